"""Checks the tables beside the events against the events: one pass over the log, in its order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.domain.events import POSITION_MAX
from ledger.domain.state.account import AccountState, fold_accounts
from ledger.domain.streams import account_stream, subject_of
from ledger.replay.compare import UNDECIDABLE
from ledger.store.codec.account_snapshots import ENCODING, Snapshot, is_damaged, snapshot_of
from ledger.store.dictionaries import dictionaries
from ledger.store.log import Log
from ledger.store.postgres.migrate import DICTIONARIES, ERASABLE, EVENTS, SNAPSHOTS, TRACKING, migrations
from ledger.store.reads import KEYS
from projections.check.erasable import ErasableRows
from projections.check.events import CommitRows, EventRows, Facts, differs, facts_of
from projections.check.findings import (
    DIFFERS,
    EXTRA,
    UNREADABLE,
    Counts,
    Finding,
    StoredRows,
    absent,
    compared,
    finding,
)
from projections.check.named import Hashes
from projections.check.requests import RequestRows
from projections.tables.progress import Progress
from projections.tables.stored import StoredTable, stored_table

LOG_TABLES: Final = (
    EVENTS,
    "commits",
    "requests",
    TRACKING,
    ERASABLE,
    "erasable_text",
    SNAPSHOTS,
    DICTIONARIES,
    "migrations",
)
_ACCOUNTS_AT_ONCE: Final = 500  # whose snapshots are derived again
_EVENTS_PER_READ: Final = 200  # a fill run may take a megabyte, and so may what may be erased of it

_VERSIONS: Final = """
SELECT notification_id, originator_id, originator_version, before + 1, position_before FROM (
    SELECT originator_id, notification_id, originator_version,
        coalesce(lag(originator_version) OVER stream, 0) AS before,
        coalesce(lag(notification_id) OVER stream, 0) AS position_before
    FROM {events} WHERE {not_fees}
    WINDOW stream AS (PARTITION BY originator_id ORDER BY originator_version)
) AS versions WHERE originator_version <> before + 1 OR notification_id < position_before
"""


def check_log_tables(log: Log, connection: Connection[Any], schema: str, rows: Counts) -> Iterator[Finding | Progress]:
    """Yield every row of the log's own tables that does not follow from the events."""
    tables: dict[str, StoredTable] = {}
    for name in LOG_TABLES:
        table = stored_table(connection, schema, name)
        if table is None:
            yield absent(name)
        else:
            tables[name] = table
    if len(tables) < len(LOG_TABLES):
        return
    yield from _Pass(log, connection, tables, rows).findings()
    yield from _versions(connection, schema)
    yield from _snapshots(log, connection, tables[SNAPSHOTS], rows)
    for name, expected in (("migrations", list(migrations().items())), (DICTIONARIES, dictionaries())):
        stored = StoredRows(name, tables[name].rows(connection), rows)
        yield from compared(tables[name], stored.rest(), expected)


class _Pass:
    """One way along the log, with what is known of it so far."""

    def __init__(self, log: Log, connection: Connection[Any], tables: dict[str, StoredTable], rows: Counts) -> None:
        self._log = log
        self._connection = connection
        self._tables = tables
        self._counted = rows
        commits = tables["commits"].rows(connection, order=("last_position",))
        requests = tables["requests"].rows(connection, order=("position", "request_id"))
        self._events = EventRows()
        self._commits = CommitRows(tables["commits"], StoredRows("commits", commits, rows))
        self._requests = RequestRows(StoredRows("requests", requests, rows, place=2), log.requests)
        erasable = tables[ERASABLE].rows(connection, order=("position",), at_once=_EVENTS_PER_READ)
        self._erasable = ErasableRows(StoredRows(ERASABLE, erasable, rows))
        self._sources: dict[str, int] = {}
        self._reasons = Hashes()

    def findings(self) -> Iterator[Finding | Progress]:
        """Yield the findings of the events, then of each table."""
        head = self._log.head().position
        for page in self._log.rows_between(0, POSITION_MAX, _EVENTS_PER_READ):
            facts = []
            for row in page:
                self._counted[EVENTS] += 1
                found = facts_of(row)
                yield from self._events.take(row, found)
                if found is None:
                    yield finding(EVENTS, UNREADABLE, notification_id=row[0], column="state", stored=row[3])
                else:
                    facts.append(found)
                    self._note(found)
            yield from self._commits.take(facts)
            yield from self._requests.take(facts, page[-1][0])
            yield from self._erasable.take(facts, page[-1][0])
            yield Progress("events", page[-1][0], max(head, page[-1][0]))
        yield from self._commits.end()
        yield from self._requests.end()
        yield from self._erasable.end()
        yield from self._tracking()
        yield from self._texts()

    def _note(self, facts: Facts) -> None:
        if facts.source:
            self._sources[facts.source] = facts.last_sequence
        if facts.reason_sha256:
            self._reasons.add(facts.reason_sha256)

    def _tracking(self) -> Iterator[Finding]:
        stored = StoredRows(TRACKING, self._tables[TRACKING].rows(self._connection), self._counted)
        yield from compared(self._tables[TRACKING], stored.rest(), self._sources.items())

    def _texts(self) -> Iterator[Finding]:
        """Yield texts that do not hash to their name, or that no event names. Erased ones are no finding."""
        rows = self._tables["erasable_text"].rows(self._connection)
        for sha256, salt, text in StoredRows("erasable_text", rows, self._counted).rest():
            said = hashlib.sha256(salt + text.encode()).digest()
            if said != sha256:
                column = "sha256" if said in self._reasons else "text or salt"
                yield finding("erasable_text", DIFFERS, column=column, stored=sha256, expected=said, sha256=sha256)
            elif sha256 not in self._reasons:
                yield finding("erasable_text", EXTRA, stored="no event names it", sha256=sha256)


def _snapshots(log: Log, connection: Connection[Any], table: StoredTable, counted: Counts) -> Iterator[Finding]:
    """Yield snapshots that are not as the events up to their version say. Any may be missing or of another encoding."""
    stored = StoredRows(SNAPSHOTS, table.rows(connection), counted).rest()
    while some := list(map(Snapshot._make, islice(stored, _ACCOUNTS_AT_ONCE))):
        accounts = _accounts(log, {each.account_id: each.version for each in some})
        for each in some:
            account = accounts.get(each.account_id)
            if account is None:
                continue  # events of it are unreadable, which is a finding of theirs
            if account.version and is_damaged(each):
                column = "version, encoding, state or sha256"
                yield finding(SNAPSHOTS, DIFFERS, column=column, stored=each.sha256, account_id=each.account_id)
            elif each.encoding == ENCODING:
                yield from compared(table, [each], [snapshot_of(account)] if account.version else [])


def _accounts(log: Log, versions: Mapping[str, int]) -> dict[str, AccountState]:
    """Return accounts as of a version of each, but for those whose events cannot be read."""
    try:
        events = log.streams(map(account_stream, versions), POSITION_MAX)
        return fold_accounts((each for each in events if each.version <= versions[subject_of(each.stream)]), versions)
    except UNDECIDABLE:
        if len(versions) == 1:
            return {}
    found: dict[str, AccountState] = {}
    for one in versions.items():
        found.update(_accounts(log, dict([one])))
    return found


def _versions(connection: Connection[Any], schema: str) -> Iterator[Finding]:
    """Yield versions that do not rise by one with the position, in streams other than fee streams."""
    with connection.cursor("versions") as cursor:
        cursor.execute(SQL(_VERSIONS).format(events=Identifier(schema, EVENTS), **KEYS))
        for row in cursor:
            yield _version_finding(*row)


def _version_finding(position: int, stream: str, version: int, expected: int, before: int) -> Finding:
    row = (position, stream)
    if version != expected:
        return differs(row, "originator_version", version, expected)
    return differs(row, "notification_id", position, f"after {before}")
