"""How far the tables of the read side have come, and waiting until they have come far enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from eventsourcing.persistence import PersistenceError
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg.sql import SQL, Identifier

from ledger.domain.refusal import Reason
from ledger.store.log import Log
from ledger.wire.status import refuse
from projections.as_of import Reader
from projections.tables.tables import TABLES_VERSION, TablesPosition, next_schema, read_schema, standing_statement
from projections.waiting import wait_until


def tables_standing(log: Log, schema: str) -> TablesPosition:
    """Return how far the materialised tables are, whichever release made them; (0, 0) where nobody has made any yet."""
    exists = log.query(SQL("SELECT to_regclass(%(name)s)::text"), {"name": f"{read_schema(schema)}.position"})
    if exists[0][0] is None:
        return TablesPosition(0, 0)
    return TablesPosition(*log.query(standing_statement(schema), {})[0])


def lag_ns(log: Log, tables: int, head: int, now_ns: int) -> int:
    """Return the age of the oldest commit that tables at a position lack; 0: they are at the head."""
    if tables >= head:
        return 0
    return max(now_ns - log.head_at_position(tables + 1).recorded_time_ns, 0)


def rebuilding(log: Log, schema: str) -> bool:
    """Return whether new tables are made beside those in use: by this process, another one, or one that was killed."""
    name = f"{next_schema(schema)}.rebuild"
    return log.query(SQL("SELECT to_regclass(%(name)s)::text"), {"name": name})[0][0] is not None


def tables_position(reader: Reader, schema: str) -> int:
    """Return how far the tables of this release are; 0 while there are none of it."""
    position, version = tables_standing(reader.log, schema)
    return position if version == TABLES_VERSION else 0


def wait_for_tables(reader: Reader, schema: str, position: int, *, any_version: bool = False) -> int:
    """Return how far the tables are, once they have reached a position. Refuses with POSITION_NOT_REACHED.

    What decides something needs the tables of this release. With `any_version` those of another one will do: what they
    lack is refused by `table_rows`.
    """
    seen = tables_standing(reader.log, schema)

    def reached() -> bool:
        return seen.position >= max(position, 1) and (any_version or seen.version == TABLES_VERSION)

    def look_again() -> bool:
        nonlocal seen
        seen = tables_standing(reader.log, schema)
        return reached()

    if not reached():
        wait_until(look_again, reader.config.read_wait_ms_max, lambda why: _not_reached(seen, why))
    return seen.position


def table_rows(log: Log, schema: str, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return rows of a statement over the tables, `{read}` in it. Refuses what tables of another version lack."""
    read = Identifier(read_schema(schema))
    try:
        return log.query(SQL(statement).format(read=read), dict(parameters))
    except PersistenceError as error:
        if not isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
            raise
    standing = TablesPosition(*log.query(standing_statement(schema), {})[0])
    if standing.version != TABLES_VERSION:
        _not_reached(standing)
    return log.query(SQL(statement).format(read=read), dict(parameters))  # they have been replaced meanwhile


def _not_reached(standing: TablesPosition, why: str = "") -> NoReturn:
    detail = f"the tables are at position {standing.position}"
    if standing.version not in (0, TABLES_VERSION):
        detail += f", of version {standing.version}, and lack what this asks for until they are of {TABLES_VERSION}"
    refuse(Reason.POSITION_NOT_REACHED, "min_position", detail + why, position=str(standing.position))
