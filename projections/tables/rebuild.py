"""The read side's tables made anew from the log, beside the live ones, which stay in use until they are replaced.

New tables lie in the schema `<schema>_read_next` with a row that says how far they are: who is killed goes on there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.state.rulebook import fold_rulebook
from ledger.store.log import Log
from projections.tables.differences import differences
from projections.tables.progress import Progress
from projections.tables.rows import TABLES, TableRows, add_rows, no_rows, rows_of_accounts
from projections.tables.stored import StoredTable, stored_table
from projections.tables.switch import drop_tables, relation_names, try_switch
from projections.tables.tables import (
    POSITIONS_PER_BATCH,
    TABLES_VERSION,
    Tables,
    create_tables,
    next_schema,
    read_schema,
    tables_text,
)

_ACCOUNTS_PER_READ: Final = 64  # all their days are in memory at once
ROWS_PER_TRANSACTION: Final = 50_000
_POSITIONS_BEHIND_MAX: Final = 8 * POSITIONS_PER_BATCH  # live tables further behind are not waited for

_SWITCH_WAIT_S: Final = 0.2
_LOCK_ATTEMPTS: Final = 10
_LOCK_WAIT_S: Final = 0.2
_LOCKED_BY: Final = """
SELECT format('%%s, since %%s', application_name, date_trunc('second', backend_start))
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""

_STATE: Final = """
CREATE TABLE {next}.rebuild (
    made_by text NOT NULL, position bigint NOT NULL, account_id text NOT NULL, filled boolean NOT NULL
)
"""


class StillNeeded(Exception):
    """Tables that were replaced are used by something that is not ours: one line."""


@dataclass(frozen=True, slots=True)
class TableCompared:
    """New rows of a table against the live ones; a digest is empty where there is no such live table."""

    table: str
    rows: int
    digest: str
    live_digest: str
    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def same(self) -> bool:
        """Return True if the live table had exactly these rows, or there was none."""
        return self.digest == self.live_digest or not self.live_digest


@dataclass(frozen=True, slots=True)
class Compared:
    """New and live tables at one position; `why_not` says why no comparison was possible."""

    position: int
    tables: tuple[TableCompared, ...]
    why_not: str = ""


class Rebuild:
    """One rebuild of the tables of one ledger, over a connection that holds the lock of rebuilds."""

    def __init__(
        self, log: Log, schema: str, connection: Connection[Any], *, rows_per_transaction: int = ROWS_PER_TRANSACTION
    ) -> None:
        self._rows_per_transaction = rows_per_transaction
        self._log = log
        self._schema = schema
        self._connection = connection
        self._live = read_schema(schema)
        self.next = next_schema(schema)
        self._tables = Tables(log, schema, read=self.next)

    def begin(self, *, anew: bool = False) -> bool:
        """Make empty tables, unless an earlier rebuild of this release left some: then this one goes on (True).

        Raises StillNeeded if the tables that an earlier one replaced cannot be dropped.
        """
        self._drop_old()
        if not anew and self._made_by() == _release():
            return True
        position = self._start_position()
        with self._connection.transaction():
            self._connection.execute(self._sql("DROP SCHEMA IF EXISTS {next} CASCADE"))
            create_tables(self._connection, self._schema, read=self.next)
            self._connection.execute(self._sql(_STATE))
            statement = self._sql("INSERT INTO {next}.rebuild VALUES (%s, %s, '', false)")
            self._connection.execute(statement, (_release(), position))
        return False

    def fill(self) -> Iterator[Progress]:
        """Fill in all rows as of the position the rebuild began at, account by account, in large transactions."""
        until, after, filled = self._state()
        if filled:
            return
        book = fold_rulebook(programmes.parse, self._log.rulebook(until))
        rows, done = no_rows(), 0
        for page in self._log.accounts_after(after, _ACCOUNTS_PER_READ):
            add_rows(rows, rows_of_accounts(self._log, book, page.account_ids, until))
            done += len(page.account_ids)
            if sum(map(len, rows.values())) >= self._rows_per_transaction:
                self._store(rows, page.account_ids[-1])
                rows = no_rows()
            yield Progress("accounts", done, page.total)
        with self._connection.transaction():
            self._copy(rows)
            self._connection.execute(self._sql("UPDATE {next}.rebuild SET filled = true"))
            self._connection.execute(self._sql("UPDATE {next}.position SET position = %s"), (until,))
            for table in TABLES:  # or PostgreSQL plans its first queries for empty ones
                self._connection.execute(SQL("ANALYZE {}").format(Identifier(self.next, table)))

    def catch_up(self, until: int) -> Iterator[Progress]:
        """Take in what was recorded since, up to the end of a commit, as the runner does."""
        began = position = self._tables.position(self._connection)
        while position < until:
            end = min(self._log.end_of_commit(min(position + POSITIONS_PER_BATCH, until)), until)
            moved = self._tables.advance(self._connection, position, end)
            assert moved, f"somebody else moves the tables in {self.next}"
            position = end
            yield Progress("positions", position - began, until - began)

    def compare(self, live: Connection[Any]) -> Compared:
        """Compare new tables with the live ones, both at the position of these; `live` reads in one snapshot."""
        tables = [table for name in TABLES if (table := stored_table(live, self._live, name))]
        position = Tables(self._log, self._schema).position(live) if tables else None
        mine = self._tables.position(self._connection)
        if position is None or position < mine or not self._ends_a_commit(position):
            why = "there are none" if position is None else f"they are at position {position:,}"
            return Compared(mine, (), f"the live tables cannot be compared with at position {mine:,}: {why}")
        for _ in self.catch_up(position):
            pass
        by_name = {table.name: table for table in tables}
        return Compared(position, tuple(self._compare_table(live, name, by_name.get(name)) for name in TABLES))

    def switch(self, *, keep_old: bool = False, wait: Callable[[], None] = lambda: time.sleep(_SWITCH_WAIT_S)) -> str:
        """Put the new tables in the place of the live ones, and drop these; or a line that says why they are kept.

        `wait` is called between attempts, for as long as readers do not let go of the live tables.
        """
        old = old_schema(self._schema)
        names = relation_names(self._connection, self.next)
        while not try_switch(self._connection, self._live, self.next, old, self._to_head):
            wait()
            self._to_head()
        return "" if keep_old else drop_tables(self._connection, old, names)

    def position_live(self) -> int:
        """Return how far the tables are that are in use now."""
        return Tables(self._log, self._schema).position(self._connection)

    # -- steps --------------------------------------------------------------------------------------------------------

    def _drop_old(self) -> None:
        old = old_schema(self._schema)
        if why := drop_tables(self._connection, old, relation_names(self._connection, old)):
            raise StillNeeded(f"the tables in {old} were replaced, and are needed still: {why}")

    def _to_head(self) -> None:
        for _ in self.catch_up(self._log.head().position):
            pass

    def _start_position(self) -> int:
        """Return the position of the live tables, so that both can be compared.

        It is the log's head where they are far from it, or claim more than the log has.
        """
        head = self._log.head().position
        if stored_table(self._connection, self._live, "position") is None:
            return head
        position = Tables(self._log, self._schema).position(self._connection)
        near = head - _POSITIONS_BEHIND_MAX <= position <= head
        return position if near and self._ends_a_commit(position) else head

    def _ends_a_commit(self, position: int) -> bool:
        head = self._log.head().position
        return position == 0 or (position <= head and self._log.end_of_commit(position) == position)

    def _made_by(self) -> str:
        """Return the release that made what an earlier rebuild left; empty: there is nothing."""
        found = self._connection.execute("SELECT to_regclass(%s)::text", (f"{self.next}.rebuild",)).fetchone()
        if found is None or found[0] is None:
            return ""
        row = self._connection.execute(self._sql("SELECT made_by FROM {next}.rebuild")).fetchone()
        return str(row[0]) if row else ""

    def _state(self) -> tuple[int, str, bool]:
        row = self._connection.execute(self._sql("SELECT position, account_id, filled FROM {next}.rebuild")).fetchone()
        assert row is not None
        return row[0], row[1], row[2]

    def _store(self, rows: TableRows, account_id: str) -> None:
        """Store rows, and the last account they are of, in one transaction: what a killed rebuild goes on from."""
        with self._connection.transaction():
            self._copy(rows)
            self._connection.execute(self._sql("UPDATE {next}.rebuild SET account_id = %s"), (account_id,))

    def _copy(self, rows: TableRows) -> None:
        with self._connection.cursor() as cursor:
            for table, values in rows.items():
                with cursor.copy(SQL("COPY {} FROM STDIN").format(Identifier(self.next, table))) as copy:
                    for row in values:
                        copy.write_row(row)

    def _compare_table(self, live: Connection[Any], name: str, old: StoredTable | None) -> TableCompared:
        new = stored_table(self._connection, self.next, name)
        assert new is not None, name
        count, digest = new.count(self._connection), new.digest(self._connection)
        if old is None or old.columns != new.columns:
            return TableCompared(name, count, digest, "")
        live_digest = old.digest(live)
        if digest == live_digest:
            return TableCompared(name, count, digest, live_digest)
        found = {"added": 0, "removed": 0, "changed": 0}
        with self._connection.transaction():
            for one in differences(old.rows(live), new.rows(self._connection), new.key):
                kind = "added" if one.stored is None else "removed" if one.expected is None else "changed"
                found[kind] += 1
        return TableCompared(name, count, digest, live_digest, **found)

    def _sql(self, text: str) -> Any:
        return SQL(text).format(next=Identifier(self.next))


def old_schema(schema: str) -> str:
    """Name of the schema of the tables that were replaced."""
    return f"{read_schema(schema)}_old"


def take_rebuild_lock(connection: Connection[Any], schema: str, *, attempts: int = _LOCK_ATTEMPTS) -> str:
    """Let this session be the only one that rebuilds; or who is it already, by the name of its session."""
    name = rebuild_lock_name(schema)
    for last in (False,) * attempts + (True,):
        row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
        if row is not None and row[0]:
            return ""
        if not last:
            time.sleep(_LOCK_WAIT_S)  # PostgreSQL needs a moment to notice that one was killed
    row = connection.execute(_LOCKED_BY, (name,)).fetchone()
    return str(row[0]) if row else "another session"


def give_rebuild_lock_back(connection: Connection[Any], schema: str) -> None:
    """Let another session rebuild."""
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (rebuild_lock_name(schema),))


def rebuild_lock_name(schema: str) -> str:
    """Return the name of the advisory lock that whoever rebuilds the tables of a ledger has."""
    return f"{read_schema(schema)}:rebuild"


def _release() -> str:
    """Return a text that differs where rows may look otherwise: a rebuild goes on only under the same."""
    return f"{version('fee-ledger')} {TABLES_VERSION} {hashlib.sha256(tables_text().encode()).hexdigest()}"
