"""What a PostgreSQL of the user's own must be, before a ledger lies in it."""

from __future__ import annotations

import re

import psycopg
import pytest

from ledger.store.postgres import database
from tests.conftest import serving
from tests.tools.running import run


def test_a_server_that_is_too_old_is_refused_in_one_line_with_the_remedy(
    dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SERVER_VERSION_MIN", 990_000)  # a real one of 14 is not at hand everywhere
    with psycopg.connect(dsn) as connection:
        (version,) = connection.execute("SHOW server_version").fetchone() or ("",)
    line = re.escape(f"this is PostgreSQL {version}, and 15 or newer is needed: give the --dsn of such a one, or none")
    with pytest.raises(database.DatabaseError, match=line), serving(dsn, schema):
        pass
    ran = run("database", "migrate", "--dsn", dsn, "--schema", schema)
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(rf"fee-ledger: {line}.+\n", ran.err)
