"""Tables of another release: the runner makes older ones anew by itself, and leaves newer ones alone."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import psycopg
import pytest

from ledger.domain import commands
from ledger.store.postgres.database import connect
from projections.check import Check
from projections.check.findings import Finding
from projections.tables import rebuild
from projections.tables.progress import Progress
from projections.tables.rebuild import Rebuild
from projections.tables.runner import Runner
from projections.tables.tables import TABLES_VERSION, read_schema, standing_statement, tables_text
from tests.projections.rich import decide
from tests.projections.site import Site
from tests.waiting import wait_for

# Who changes the statements that make the tables raises TABLES_VERSION, and says here what they are now.
DIGESTS = {
    6: "1836553a9721fc2f",
    7: "39b4edccb7cec009",
    8: "851b57975e222f4f",
    9: "21cef2e1e95191e8",
    10: "23231f49ebc63c5b",
}

Run = Callable[[], AbstractContextManager[Runner]]


def test_tables_that_change_are_of_another_version() -> None:
    assert hashlib.sha256(tables_text().encode()).hexdigest()[:16] == DIGESTS[TABLES_VERSION]


@pytest.fixture
def run(site: Site, caplog: pytest.LogCaptureFixture) -> Run:
    """Runs a runner while a block lasts."""
    caplog.set_level(logging.INFO, "projections")

    @contextmanager
    def running() -> Iterator[Runner]:
        runner = Runner(site.writing.log, site.schema, lambda: connect(site.dsn, "projections"))
        runner.start()
        try:
            yield runner
        finally:
            runner.stop()

    return running


def become_old(site: Site) -> None:
    """As an older release might have left them: no number, a table and a column less, rows with another meaning."""
    site.execute("ALTER TABLE {read}.position DROP COLUMN version")
    site.execute("DROP TABLE {read}.flag_intervals")
    site.execute("DELETE FROM {read}.trials")
    site.execute("ALTER TABLE {read}.accounts DROP COLUMN parent_account_id CASCADE")


def version(site: Site) -> int:
    row = site.connection.execute(standing_statement(site.schema)).fetchone()
    assert row is not None
    return int(row[1])


def is_current(site: Site) -> bool:
    return version(site) == TABLES_VERSION


def findings(site: Site) -> list[Finding]:
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        return [one for one in Check(connection, site.schema).findings() if isinstance(one, Finding)]


def lines(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if words in record.getMessage()]


def test_tables_of_an_older_release_are_made_anew_without_anybody(
    site: Site, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.tables.upgrade._TOLD_EACH_S", 0)
    before = site.rows()
    become_old(site)
    (found,) = [one for one in findings(site) if one.code == "POSITION_DIFFERS"]
    assert (found.column, found.stored, found.expected) == ("version", "1", str(TABLES_VERSION))
    with run():
        wait_for(lambda: is_current(site))
        decide(site.writing, commands.RegisterAccount("later", "", "", 1))
        wait_for(lambda: ("later", "later", "") in [row[:3] for row in site.rows()["accounts"]])
    after = site.rows()
    assert all(after[table] == rows for table, rows in before.items() if table not in ("accounts", "position"))
    assert findings(site) == []
    assert site.schemas() == {read_schema(site.schema)}
    (began,) = lines(caplog, "are made beside them")
    assert f"are of version 1: new ones, of version {TABLES_VERSION}," in began
    assert lines(caplog, f"new tables for {read_schema(site.schema)}: ")[0].endswith(" accounts")
    assert len(lines(caplog, f"are of version {TABLES_VERSION} now, at position ")) == 1


def test_tables_that_are_ahead_of_the_log_are_made_anew(site: Site, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    before = site.rows()
    site.execute("UPDATE {read}.position SET position = position + 1000")  # of a log that was longer
    site.execute("DELETE FROM {read}.trials")
    with run():
        wait_for(lambda: site.rows() == before)
    assert findings(site) == []
    assert len(lines(caplog, ", which the log has not reached: new ones, of version ")) == 1


@pytest.mark.parametrize("missing", ["trials", "position"])
def test_a_table_that_is_missing_is_made_with_what_lies_before(site: Site, run: Run, missing: str) -> None:
    before = site.rows()
    site.execute(f"DROP TABLE {{read}}.{missing}")
    with run():
        wait_for(lambda: read_schema(site.schema) in site.schemas() and site.connection.execute(
            "SELECT to_regclass(%s)", (f"{read_schema(site.schema)}.{missing}",)).fetchone() != (None,))  # fmt: skip
    assert site.rows() == before


def test_a_runner_that_is_killed_again_and_again_goes_on_where_it_was(
    site: Site, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_ACCOUNTS_PER_READ", 1)
    monkeypatch.setattr(Rebuild.__init__, "__kwdefaults__", {"rows_per_transaction": 1})
    monkeypatch.setattr("projections.tables.runner._RESTART_S_FIRST", 0.01)
    left, fill = [], Rebuild.fill

    def killed(self: Rebuild) -> Iterator[Progress]:
        for taken, step in enumerate(fill(self), start=1):
            yield step
            if taken == 3:
                left.append(step.total)
                self._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(Rebuild, "fill", killed)
    before = site.rows()
    become_old(site)
    with run():
        wait_for(lambda: is_current(site))
    assert len(left) > 2
    assert left == sorted(left, reverse=True), "each attempt has fewer accounts to do"
    assert len(lines(caplog, "are made beside them")) == 1
    assert len(lines(caplog, "go on being made beside them")) >= len(left) - 1
    assert site.rows() == before


def test_of_two_runners_one_makes_them(site: Site, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Rebuild] = []
    begin = Rebuild.begin
    monkeypatch.setattr(Rebuild, "begin", lambda self, **rest: begun.append(self) or begin(self, **rest))
    become_old(site)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(run())
        wait_for(lambda: is_current(site))
    assert len(begun) == 1
    assert findings(site) == []


def test_a_rebuild_by_hand_is_waited_for(site: Site, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    become_old(site)
    with psycopg.connect(site.dsn, autocommit=True, application_name="by hand") as other:
        assert rebuild.take_rebuild_lock(other, site.schema) == ""
        with run():
            wait_for(lambda: lines(caplog, "are made anew by another session: by hand"))
            assert not is_current(site)
            other.close()
            wait_for(lambda: is_current(site))


def test_tables_of_a_newer_release_are_left_alone_and_said_once(
    site: Site, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.tables.upgrade._AGAIN_S", 0.01)
    site.execute("UPDATE {read}.position SET version = 99")
    site.execute("DROP TABLE {read}.trials")  # it has no need of them
    with run():
        wait_for(lambda: lines(caplog, "newer release"))
        decide(site.writing, commands.RegisterAccount("later", "", "", 1))
        with pytest.raises(AssertionError):
            wait_for(lambda: version(site) != 99, 0.3)
    (line,) = lines(caplog, "newer release")
    assert "are of version 99, made by a newer release, and are left alone: this release makes version" in line


def test_what_is_used_by_somebody_is_said_and_nothing_is_lost(
    site: Site, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    site.execute("CREATE VIEW public.of_somebody AS SELECT account_id FROM {read}.fee_days")
    become_old(site)
    try:
        with run():
            wait_for(lambda: is_current(site))
        (line,) = lines(caplog, "that were replaced are kept")
        assert "view of_somebody depends on table" in line
        become_old(site)
        with run():
            wait_for(lambda: lines(caplog, "cannot be made anew"))
            site.execute("DROP VIEW public.of_somebody")
            wait_for(lambda: is_current(site))
    finally:
        site.execute("DROP VIEW IF EXISTS public.of_somebody")
