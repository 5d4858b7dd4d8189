"""A check finds whatever is not as the log says: each column of each table is corrupted once, rows go and come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.errors import CheckViolation, NotNullViolation, UniqueViolation
from psycopg.sql import SQL, Composed, Identifier

from projections.check import TABLES, Check
from projections.check.findings import Finding
from projections.check.read_tables import READ_TABLES
from projections.tables.tables import read_schema
from tests.domain.worked import fills
from tests.projections.site import Site
from tests.unguarded import unguard
from tests.write_side import record

# Another value of each type, as near as can be; the second one where the first is taken.
OTHERS = {
    "text": ("coalesce({c}, '') || '~'",),
    "bigint": ("coalesce({c}, 0) + 1", "coalesce({c}, 0) + 1000000"),
    "integer": ("coalesce({c}, 0) + 1",),
    "numeric": ("{c} + 0.000000000000000001",),
    "boolean": ("NOT {c}",),
    "date": ("{c} + 1", "{c} + 1000"),
    "bytea": ("{c} || '\\x00'",),
}
CANNOT_BE_WRONG = {("position", "only_row")}  # PostgreSQL itself holds it


class Place(NamedTuple):
    """A column of a table."""

    schema: str
    table: str
    column: str
    type: str
    nullable: bool
    unique: bool  # part of a key

    @property
    def name(self) -> Identifier:
        return Identifier(self.schema, self.table)


@pytest.fixture(autouse=True)
def _tampered_with(site: Site) -> None:
    """What these tests do to the log, only who has disabled its triggers can do."""
    unguard(site.connection, site.schema)


def places(site: Site) -> list[Place]:
    """Every column of every table of the ledger."""
    statement = (
        "SELECT table_schema::text, table_name::text, column_name::text, data_type::text, is_nullable = 'YES',"
        " EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
        "   WHERE i.indisunique AND a.attname = column_name"
        "   AND i.indrelid = format('%%I.%%I', table_schema, table_name)::regclass)"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = ANY(%s) AND table_type = 'BASE TABLE' ORDER BY 1, 2, ordinal_position"
    )
    schemas = [site.schema, read_schema(site.schema)]
    return [Place(*row) for row in site.connection.execute(statement, (schemas,)).fetchall()]


def findings(site: Site, *names: str) -> list[Finding]:
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        found = Check(connection, site.schema).findings(names or TABLES)
        return [one for one in found if isinstance(one, Finding)]


def rows_of(site: Site, table: Identifier) -> list[tuple[str, dict[str, Any]]]:
    """(ctid, the row as a document), in the order of ctid."""
    statement = SQL("SELECT ctid::text, to_jsonb(t) FROM {} AS t ORDER BY ctid").format(table)
    return site.connection.execute(statement).fetchall()


@contextmanager
def restored(site: Site, table: Identifier) -> Iterator[None]:
    """Whatever happens to the rows of a table, they are as before when the block ends."""
    before = [row for _, row in rows_of(site, table)]
    try:
        yield
    finally:
        with site.connection.transaction():
            site.connection.execute(SQL("DELETE FROM {}").format(table))
            insert = SQL("INSERT INTO {0} SELECT (jsonb_populate_record(NULL::{0}, %s)).*").format(table)
            with site.connection.cursor() as cursor:
                cursor.executemany(insert, [(psycopg.types.json.Jsonb(row),) for row in before])


def corrupted(site: Site, place: Place, ctid: str) -> dict[str, Any] | None:
    """Give one value another one near by: the row then, or None if PostgreSQL lets nobody."""
    for other in OTHERS[place.type]:
        column = Identifier(place.column)
        value = SQL(other).format(c=column)  # type: ignore[arg-type]
        if changed := updated(site, place, value, ctid):
            return changed
    return None


def updated(site: Site, place: Place, value: Composed | SQL, ctid: str) -> dict[str, Any] | None:
    statement = SQL("UPDATE {} AS t SET {} = {} WHERE ctid = %s::tid RETURNING to_jsonb(t)")
    try:
        statement = statement.format(place.name, Identifier(place.column), value)  # type: ignore[assignment]
        row = site.connection.execute(statement, (ctid,)).fetchone()
    except (CheckViolation, NotNullViolation, UniqueViolation):
        return None
    return row[0] if row else None


def names_it(found: list[Finding], place: Place, *rows: dict[str, Any]) -> bool:
    """Whether one of the findings names the table, the column or the whole row, and the key of the row."""
    for one in found:
        if one.table != place.table or (one.column and place.table != "events" and place.column not in one.column):
            continue
        for row in rows:
            known = {name: str(row.get(name, value)).lower().removeprefix("\\x") for name, value in one.key}
            if known == {name: value.lower() for name, value in one.key}:
                return True
    return False


def test_without_corruption_nothing_is_found(site: Site) -> None:
    assert findings(site) == []


def test_every_table_and_column_there_is_can_be_checked(site: Site) -> None:
    assert {place.table for place in places(site)} == set(TABLES)
    assert {place.type for place in places(site)} <= set(OTHERS)


def test_each_column_of_each_table_corrupted_once_is_found_and_named(site: Site) -> None:
    untouched = set()
    for place in places(site):
        with restored(site, place.name):
            rows = rows_of(site, place.name)
            if (place.table, place.column) == ("events", "originator_id"):  # a check knows where fees lie
                rows = [row for row in rows if row[1]["originator_id"].startswith("fees/")]
            ctid, before = rows[len(rows) // 2]
            after = corrupted(site, place, ctid)
            if after is None:
                untouched.add((place.table, place.column))
                continue
            found = findings(site, *(READ_TABLES if place.schema == read_schema(site.schema) else TABLES))
            if (place.table, place.column) == ("events", "originator_id"):  # its old stream lacks it now
                assert "events" in {one.table for one in found}, before
            else:
                assert names_it(found, place, before, after), (place, before, found)
    assert untouched == CANNOT_BE_WRONG, untouched
    assert findings(site) == [], "all is as it was"


def test_a_value_that_became_null_is_found_and_a_null_that_became_a_value(site: Site) -> None:
    seen = {}
    for place in (place for place in places(site) if place.nullable):
        for null in (True, False):
            rows = [row for row in rows_of(site, place.name) if (row[1][place.column] is None) == null]
            seen[place.column, null] = bool(rows)
            for ctid, before in rows[:1]:
                with restored(site, place.name):
                    after = corrupted(site, place, ctid) if null else updated(site, place, SQL("NULL"), ctid)
                    assert after is not None, place
                    assert names_it(findings(site), place, before), (place, before)
    assert [name for name, null in seen if not null and not seen[name, null]] == [], "there is one of each"
    assert {name for name, null in seen if null and seen[name, null]} >= {"valid_until_ns", "time_max_ns"}


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_a_row_that_is_gone_is_missed(site: Site, which: str) -> None:
    for table in TABLES:
        place = next(place for place in places(site) if place.table == table)
        with restored(site, place.name):
            rows = rows_of(site, place.name)
            ctid, row = rows[{"first": 0, "middle": len(rows) // 2, "last": -1}[which]]
            site.connection.execute(SQL("DELETE FROM {} WHERE ctid = %s::tid").format(place.name), (ctid,))
            found = {one.code for one in findings(site)}
            if table in ("erasable_text", "erasable_parts"):
                assert found == set(), "whoever has a right to it may have it erased"
            elif table == "account_snapshots":
                assert found == set(), "nothing rests on it"
            elif table == "events" and which == "last":
                assert found, "others miss it: its commit, what it says"
            else:
                assert f"{table.upper()}_MISSING" in found, (table, row)


def test_a_row_too_many_is_found(site: Site) -> None:
    for table in TABLES:
        columns = [place for place in places(site) if place.table == table]
        if table == "position":
            continue  # PostgreSQL itself lets it have one row
        with restored(site, columns[0].name):
            rows = rows_of(site, columns[0].name)
            ctid, _ = rows[len(rows) // 2]
            copied = [
                SQL(OTHERS[one.type][-1]).format(c=Identifier(one.column)) if one.unique else Identifier(one.column)  # type: ignore[arg-type]
                for one in columns
            ]
            insert = SQL("INSERT INTO {0} SELECT {1} FROM {0} WHERE ctid = %s::tid")
            site.connection.execute(insert.format(columns[0].name, SQL(", ").join(copied)), (ctid,))
            found = findings(site)
            wanted = "ERASABLE_TEXT_DIFFERS" if table == "erasable_text" else f"{table.upper()}_EXTRA"
            assert found, table
            if table != "events":  # one behind a gap: what lies between is missing
                assert wanted in {one.code for one in found}, (table, found)


def test_tables_behind_the_log_are_checked_at_the_position_they_hold(site: Site) -> None:
    site.writing.step(record(fills({"account_id": "zoe", "exec_id": "not yet"})))
    assert findings(site) == []
    site.execute("UPDATE {read}.position SET position = position + 1")
    assert {one.table for one in findings(site)} == {"accounts", "fee_days", "volume_days"}


def test_a_position_inside_a_commit_is_found(site: Site) -> None:
    head = site.writing.log.head().position
    site.writing.step(record(fills({"account_id": "zoe", "exec_id": "1"}, {"account_id": "yve", "exec_id": "1"})))
    site.execute(f"UPDATE {{read}}.position SET position = {head + 1}")
    assert "POSITION_DIFFERS" in {one.code for one in findings(site)}


def test_only_the_tables_asked_for_are_told_of(site: Site) -> None:
    site.execute("DELETE FROM {read}.fee_days")
    site.execute("DELETE FROM {read}.trials")
    assert {one.table for one in findings(site, "trials", "commits")} == {"trials"}
    assert findings(site, "commits") == []


def test_a_table_that_is_not_there_or_has_another_shape_is_said_to_be_so(site: Site) -> None:
    site.execute("DROP TABLE {read}.trials")
    site.execute("ALTER TABLE {read}.ban_intervals ADD COLUMN note text")
    assert {one.code for one in findings(site)} == {"TRIALS_ABSENT", "BAN_INTERVALS_SHAPE_DIFFERS"}


def test_without_tables_of_the_read_side_each_is_absent(site: Site) -> None:
    site.execute("DROP SCHEMA {read} CASCADE")
    assert {one.kind for one in findings(site)} == {"ABSENT"}


def test_an_account_whose_events_make_no_sense_hides_no_finding_of_another(site: Site) -> None:
    events = Identifier(site.schema, "events")
    statement = SQL("UPDATE {} SET state = '\\xff' WHERE originator_id = 'account/dave'").format(events)
    site.connection.execute(statement)
    site.execute("DELETE FROM {read}.trials")
    found = findings(site)
    assert ("EVENTS_UNREADABLE", (("account_id", "dave"),)) in {(one.code, one.key) for one in found}
    assert {dict(one.key)["account_id"] for one in found if one.code == "TRIALS_MISSING"} == {"alice", "erin"}
