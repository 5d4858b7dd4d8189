"""New tables are made beside the live ones, go on where they stopped, and take their place while others read."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from projections.tables.rebuild import Rebuild, StillNeeded, old_schema, take_rebuild_lock
from projections.tables.rows import TABLES
from projections.tables.tables import Tables, next_schema, read_schema
from tests.domain.worked import fills
from tests.projections.site import Site
from tests.write_side import record


def finish(rebuild: Rebuild) -> None:
    list(rebuild.fill())
    assert rebuild.switch() == ""


def test_every_table_of_the_history_has_rows_or_these_tests_show_nothing(site: Site) -> None:
    assert min(map(len, site.rows().values())) >= 1


def test_new_tables_equal_those_that_were_moved_along_the_log(site: Site) -> None:
    before = site.rows()
    rebuild = site.rebuild()
    assert not rebuild.begin()
    list(rebuild.fill())
    compared = site.compare(rebuild)
    assert [one.table for one in compared.tables] == list(TABLES)
    assert all(one.same and one.digest for one in compared.tables)
    assert rebuild.switch() == ""
    assert site.rows() == before
    assert site.schemas() == {read_schema(site.schema)}


def test_a_comparison_counts_rows_added_removed_and_changed(site: Site) -> None:
    right = site.rows()
    site.execute("DELETE FROM {read}.accounts WHERE account_id = 'bob'")
    site.execute("INSERT INTO {read}.trials VALUES ('nobody', 'g1', 'p', 1, NULL), ('nobody', 'g2', 'p', 1, NULL)")
    site.execute("UPDATE {read}.fee_days SET charges = charges + 1 WHERE account_id = 'carol'")
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    found = {one.table: (one.added, one.removed, one.changed) for one in site.compare(rebuild).tables if not one.same}
    assert found == {"accounts": (1, 0, 0), "trials": (0, 2, 0), "fee_days": (0, 0, 1)}
    rebuild.switch()
    assert site.rows() == right, "what was wrong is right again"


def test_a_comparison_is_at_the_position_of_the_live_tables_though_more_is_recorded(site: Site) -> None:
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    site.writing.step(record(fills({"account_id": "alice", "exec_id": "later"})))
    site.advance()
    at = site.writing.log.head().position
    site.writing.step(record(fills({"account_id": "alice", "exec_id": "latest"})))
    compared = site.compare(rebuild)
    assert (compared.position, {one.same for one in compared.tables}) == (at, {True})
    rebuild.switch()
    assert rebuild.position_live() == at + 1, "it has caught up with the log"


def test_live_tables_that_lie_about_their_position_are_replaced_without_a_comparison(site: Site) -> None:
    site.execute("UPDATE {read}.position SET position = 1000000")
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    compared = site.compare(rebuild)
    assert (compared.tables, "at position 1,000,000" in compared.why_not) == ((), True)
    rebuild.switch()
    assert rebuild.position_live() == site.writing.log.head().position


def test_without_live_tables_the_new_ones_are_the_first(site: Site) -> None:
    before = site.rows()
    site.execute("DROP SCHEMA {read} CASCADE")
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    assert "there are none" in site.compare(rebuild).why_not
    rebuild.switch()
    assert site.rows() == before


def test_a_rebuild_that_ended_anywhere_goes_on_from_the_account_it_had_stored(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.rows()
    monkeypatch.setattr("projections.tables.rebuild._ACCOUNTS_PER_READ", 1)
    site.rebuild().begin()
    left = []
    while True:
        rebuild = site.rebuild(rows_per_transaction=1)
        assert rebuild.begin(), "it finds what the last one has left"
        steps = rebuild.fill()
        first = next(steps, None)
        if first is None or first.total == 1:
            break
        left.append(first.total)
        steps.close()
    assert left == list(range(left[0], 1, -1)), "each has one account less to do"
    finish(rebuild)
    assert site.rows() == before


def test_what_another_release_has_left_is_thrown_away(site: Site) -> None:
    site.rebuild().begin()
    statement = SQL("UPDATE {}.rebuild SET made_by = 'an older release'").format(Identifier(next_schema(site.schema)))
    site.connection.execute(statement)
    assert not site.rebuild().begin()
    assert site.rebuild().begin()
    assert not site.rebuild().begin(anew=True)


def test_a_second_rebuild_is_told_who_the_first_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.tables.rebuild._LOCK_WAIT_S", 0)
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(psycopg.connect(site.dsn, autocommit=True, application_name=name))
            for name in ("the first", "the second")
        )
        assert take_rebuild_lock(first, site.schema) == ""
        assert take_rebuild_lock(second, site.schema).startswith("the first, since 20")
        first.close()
        monkeypatch.setattr("projections.tables.rebuild._LOCK_WAIT_S", 0.2)
        assert take_rebuild_lock(second, site.schema) == "", "it ends with the session that held it"


def test_who_may_read_the_live_tables_may_read_the_new_ones(site: Site) -> None:
    site.execute("GRANT USAGE ON SCHEMA {read} TO PUBLIC")
    site.execute("GRANT SELECT ON {read}.fee_days, {read}.vip_now TO PUBLIC")
    rebuild = site.rebuild()
    rebuild.begin()
    finish(rebuild)
    statement = (
        "SELECT table_name::text FROM information_schema.role_table_grants"
        " WHERE table_schema = %s AND grantee = 'PUBLIC' AND privilege_type = 'SELECT' ORDER BY 1"
    )
    found = site.connection.execute(statement, (read_schema(site.schema),)).fetchall()
    assert found == [("fee_days",), ("vip_now",)]


def test_old_tables_that_a_view_of_somebody_needs_are_kept(site: Site) -> None:
    site.execute("CREATE VIEW public.of_somebody AS SELECT * FROM {read}.fee_days")
    try:
        rebuild = site.rebuild()
        rebuild.begin()
        list(rebuild.fill())
        assert "view of_somebody depends on table" in rebuild.switch()
        assert old_schema(site.schema) in site.schemas()
        with pytest.raises(StillNeeded, match="view of_somebody depends on table"):
            rebuild.begin()
    finally:
        site.execute("DROP VIEW public.of_somebody")
    rebuild.begin()
    finish(rebuild)
    assert site.schemas() == {read_schema(site.schema)}


def test_kept_tables_stay_until_the_next_rebuild(site: Site) -> None:
    for keep_old in (True, True, False):
        rebuild = site.rebuild()
        rebuild.begin()
        list(rebuild.fill())
        rebuild.switch(keep_old=keep_old)
        assert (old_schema(site.schema) in site.schemas()) == keep_old


def test_a_reader_that_does_not_let_go_is_waited_for_and_never_disturbed(site: Site) -> None:
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    with psycopg.connect(site.dsn) as reader:
        count = SQL("SELECT count(*) FROM {}").format(Identifier(read_schema(site.schema), "volume_days"))
        before = reader.execute(count).fetchone()
        waited = []

        def wait() -> None:
            """At the second attempt the reader ends its transaction."""
            waited.append(reader.execute(count).fetchone())
            if len(waited) == 2:
                reader.rollback()

        assert rebuild.switch(wait=wait) == ""
    assert waited == [before, before]


def test_a_runner_in_a_transaction_is_waited_for_and_its_next_one_does_nothing(site: Site) -> None:
    rebuild = site.rebuild()
    rebuild.begin()
    list(rebuild.fill())
    site.writing.step(record(fills({"account_id": "zoe", "exec_id": "last"})))
    head = site.writing.log.head().position
    runner = Tables(site.writing.log, site.schema)
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        with connection.transaction():
            assert runner.advance(connection, head - 1, head)
            switching = threading.Thread(target=rebuild.switch)
            switching.start()
            switching.join(0.3)
            assert switching.is_alive()
        switching.join(20)
        assert not switching.is_alive()
        before = site.rows()
        assert not runner.advance(connection, head - 1, head), "the new tables are further"
        assert runner.position(connection) == head
    assert site.rows() == before
    assert ("zoe", "zoe", "", False, None, None, None, None) in before["accounts"]
