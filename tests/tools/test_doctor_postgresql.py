"""`fee-ledger doctor` on an embedded PostgreSQL without checksums, and on one whose connections others have taken."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg
import pytest

from ledger.store.postgres.embedded import EmbeddedPostgres
from tests.data_folders import empty_database
from tests.tools.doctoring import doctor, heal
from tests.waiting import wait_for

OTHERS: Final = 17  # sessions
FIVE_READERS: Final = ("--read-connections", 5)  # the service needs 11 connections then, and 22 with a standby


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of an embedded PostgreSQL that does not run."""
    made = empty_database()
    yield made
    shutil.rmtree(made)


def test_pages_without_checksums_are_noted_until_the_command_printed_gives_them_some(folder: Path) -> None:
    heal(f"pg_checksums --disable -D {folder / 'data'}")
    visit = doctor("fsync-settings", "--data", folder)
    assert (visit.code, visit.levels("fsync-settings")) == (0, ["NOTE", "OK"])
    line = visit.lines["fsync-settings"][0]
    assert line.figures == {"data_checksums": "off"}
    heal(line.remedy)
    assert doctor("fsync-settings", "--data", folder).levels("fsync-settings") == ["OK"]


def test_connections_that_others_have_taken_are_named_until_they_end_or_the_command_printed_gives_more(
    folder: Path,
) -> None:
    asked = ("connections", "--data", folder, *FIVE_READERS)
    postgres = EmbeddedPostgres(folder)
    with postgres, psycopg.connect(postgres.superuser_dsn, autocommit=True) as superuser:
        superuser.execute("ALTER SYSTEM SET max_connections = 30")
    with postgres:
        with others(postgres):  # and no session of its start any more
            wait_for(lambda: doctor(*asked).only("connections").figures["connections_used"] == OTHERS)
            visit = doctor(*asked)
        line = visit.only("connections")
        assert (visit.code, line.level) == (1, "WARNING")
        assert line.figures == {"connections_max": 27, "connections_needed": 13, "connections_used": OTHERS}
        assert line.says.endswith("; 17 are in use: others leave too few")
        wait_for(lambda: doctor(*asked).levels("connections") == ["OK"])
        heal(line.remedy)
    with postgres, others(postgres):
        assert doctor(*asked).levels("connections") == ["OK"]


def others(postgres: EmbeddedPostgres) -> ExitStack:
    """Sessions of others, until the block ends."""
    with ExitStack() as stack:
        for _ in range(OTHERS):
            stack.enter_context(psycopg.connect(postgres.superuser_dsn))
        return stack.pop_all()
