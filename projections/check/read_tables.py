"""Checks the read side's tables against the log at the position they are at: account by account, all at once."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, Final

from eventsourcing.persistence import PersistenceError
from psycopg import Connection, Error

from ledger import programmes
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS
from projections.check.findings import (
    DIFFERS,
    MISSING,
    SHAPE,
    UNREADABLE,
    Counts,
    Finding,
    StoredRows,
    absent,
    compared,
    finding,
)
from projections.tables.progress import Progress
from projections.tables.rows import TABLES, Row, TableRows, add_rows, no_rows, rows_of_accounts
from projections.tables.stored import StoredTable, stored_table
from projections.tables.tables import TABLES_VERSION, UNNUMBERED, read_schema

POSITION: Final = "position"
READ_TABLES: Final = (*TABLES, POSITION)
_ACCOUNTS_PER_READ: Final = 64
_NOT_OURS: Final = (Error, PersistenceError)  # PostgreSQL is away: that is no finding


def check_read_tables(log: Log, connection: Connection[Any], schema: str, rows: Counts) -> Iterator[Finding | Progress]:
    """Yield every row of the read side that is not as the log says."""
    until, *wrong = _position(log, connection, schema, rows)
    yield from wrong
    if any(one.column == "version" for one in wrong):
        return  # what other tables hold is no finding
    tables = []
    for name in TABLES:
        table = stored_table(connection, read_schema(schema), name)
        if table is None:
            yield absent(name)
        else:
            tables.append(_Compared(table, connection, rows))
    book = _rulebook(log, until)
    if isinstance(book, Finding):
        yield book
        return
    done = 0
    for page in log.accounts_after("", _ACCOUNTS_PER_READ):
        expected, unreadable = _derived(log, book, page.account_ids, until)
        for account_id, why in unreadable.items():
            yield finding(EVENTS, UNREADABLE, column="state", stored=why, account_id=account_id)
        for one in tables:
            yield from one.through(page.account_ids[-1], expected[one.name], unreadable)
        done += len(page.account_ids)
        yield Progress("accounts", done, page.total)
    for one in tables:
        yield from one.rest()


def _rulebook(log: Log, until: int) -> Rulebook | Finding:
    """Return the rulebook; or why no row can be derived."""
    try:
        return fold_rulebook(programmes.parse, log.rulebook(until))
    except _NOT_OURS:
        raise
    except Exception as error:
        return finding(EVENTS, UNREADABLE, column="state", stored=_why(error), originator_id="registers, programme/...")


def _derived(log: Log, book: Rulebook, account_ids: Sequence[str], until: int) -> tuple[TableRows, dict[str, str]]:
    """Return rows of accounts, and why some have none: their events make no sense, bytes changed, events gone."""
    try:
        return rows_of_accounts(log, book, account_ids, until), {}
    except _NOT_OURS:
        raise
    except Exception as error:
        if len(account_ids) == 1:
            return no_rows(), {account_ids[0]: _why(error)}
    rows, unreadable = no_rows(), {}
    for account_id in account_ids:
        more, why = _derived(log, book, [account_id], until)
        add_rows(rows, more)
        unreadable.update(why)
    return rows, unreadable


def _why(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


class _Compared:
    """A table on its way along the accounts."""

    def __init__(self, table: StoredTable, connection: Connection[Any], rows: Counts) -> None:
        assert table.key[0] == 0, f"the rows of {table.name} are not in the order of accounts"
        self.name = table.name
        self._table = table
        self._stored = StoredRows(table.name, table.rows(connection), rows)
        self._comparable = True

    def through(self, account_id: str, expected: Sequence[Row], unknown: Container[str]) -> Iterator[Finding]:
        """Yield findings of accounts up to one, but for those in `unknown`."""
        if self._comparable and expected and len(expected[0]) != len(self._table.columns):
            self._comparable = False
            yield finding(self.name, SHAPE, stored=len(self._table.columns), expected=len(expected[0]))
        if self._comparable:
            stored = (row for row in self._stored.through(account_id) if row[0] not in unknown)
            yield from compared(self._table, stored, expected)

    def rest(self) -> Iterator[Finding]:
        """Yield findings of accounts that come after all that the log knows."""
        if self._comparable:
            yield from compared(self._table, self._stored.rest(), ())


def _position(log: Log, connection: Connection[Any], schema: str, rows: Counts) -> tuple[int, *tuple[Finding, ...]]:
    """Return the position of the tables, or else the log's head, and what is wrong with it."""
    head = log.head().position
    table = stored_table(connection, read_schema(schema), POSITION)
    if table is None:
        return head, absent(POSITION)
    found = list(table.rows(connection))
    if not found:
        return head, finding(POSITION, MISSING, expected=f"at most {head}")
    rows[POSITION] = len(found)
    names = [column.name for column in table.columns]
    said = dict(zip(names, found[0], strict=True))
    version = said.get("version", UNNUMBERED)
    if version != TABLES_VERSION:
        other = finding(POSITION, DIFFERS, column="version", stored=version, expected=TABLES_VERSION, only_row=True)
        return head, other
    position = int(said["position"])
    end = head if position > head or position < 0 else log.end_of_commit(position) if position else 0
    if position == end:
        return (position,)
    return end, finding(POSITION, DIFFERS, column="position", stored=position, expected=f"at most {end}", only_row=True)
