"""Runs controls, page by page, and remembers what the last ones found, so that a page sequence is one search."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg import Connection

from ledger import programmes
from ledger.domain.refusal import Refusal
from ledger.domain.state.held import Held
from ledger.domain.state.rulebook import fold_rulebook
from ledger.store.log import Log
from ledger.store.reads import Connections, OneConnection
from ledger.wire.status import RefusedError
from projections.controls import CONTROLS
from projections.controls.scope import Finding, Scope, beginnings

IDLE_S: Final = 60.0  # a page sequence whose next page nobody asks for is let go of
SNAPSHOTS_MAX: Final = 2  # page sequences that go on at the same time
# Findings, and one more for each control that was searched; one that found more is searched again for each page.
_REMEMBERED_MAX: Final = 50_000


class Search(NamedTuple):
    """The things that findings depend on. `control` is empty for all controls."""

    control: str
    as_of_ns: int
    within_days: int
    programme_id: str
    position: int  # of the tables


class Page(NamedTuple):
    """A search for some findings: at most `size`, those that stand after a place; `now_ns` is the wall clock."""

    search: Search
    after: str
    size: int
    now_ns: int


class Found(NamedTuple):
    """A finding, and the control that found it."""

    control: str
    finding: Finding

    @property
    def place(self) -> str:
        """Return where it stands in the list, as text that sorts so."""
        time_ns = self.finding.time_ns if CONTROLS[self.control].oldest_first else None
        return f"{self.control}\0{time_ns or 0:020}\0{self.finding.subject}"


class Searches:
    """The controls of one ledger."""

    def __init__(self, connections: Connections) -> None:
        self._schema = connections.schema
        self._snapshots = _Snapshots(connections)
        self._remembered: Held[tuple[Search, str], list[Found]] = Held(lambda found: 1 + len(found))

    def page(self, page: Page) -> list[Found]:
        """Return a page of findings, by control, then by time where they wait to be done, then by subject."""
        self._snapshots.close(idle_s=IDLE_S)
        try:
            found = list(islice(self._after(page), page.size))
        except BaseException:
            self._snapshots.drop(page.search)
            raise
        if len(found) < page.size:
            self._snapshots.drop(page.search)
        return found

    def rest(self) -> None:
        """Let go of page sequences: nobody has asked for a page for some time."""
        self._snapshots.close()

    def _after(self, page: Page) -> Iterator[Found]:
        """Yield findings after the place of a page, in order."""
        log, search = self._snapshots.log(page.search), page.search
        book = fold_rulebook(programmes.parse, log.rulebook(log.head().position))
        programme = book.programme(search.programme_id, search.as_of_ns)
        if isinstance(programme, Refusal):
            raise RefusedError(programme)
        scope = Scope(log, self._schema, book, programme, search.as_of_ns, search.within_days, page.now_ns)
        of_control, *_, subject = page.after.split("\0") if page.after else ("", "")
        for name in [search.control] if search.control else sorted(CONTROLS):
            if name >= of_control:
                account_id = subject.split("/")[0] if name == of_control else ""
                found = self._of_control(name, search, replace(scope, from_account=account_id, wanted=page.size))
                yield from (one for one in found if one.place > page.after)

    def _of_control(self, name: str, search: Search, scope: Scope) -> Iterable[Found]:
        """Return the findings of a control in their order: all, or from the scope's account on."""
        found = (Found(name, finding) for finding in CONTROLS[name].find(scope))
        if CONTROLS[name].by_account:
            return _in_order(found)
        if (search, name) in self._remembered:
            return self._remembered.hold((search, name), self._remembered[search, name])
        listed = self._remembered.hold((search, name), sorted(found, key=lambda one: one.place))
        self._remembered.shrink(_REMEMBERED_MAX)
        return listed


class _Snapshots:
    """Transactions of page sequences: each page sees log and tables as the first one did.

    PostgreSQL keeps what they see, so they are few, and none is idle for long. A sequence without one goes on in a new
    one.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open: OrderedDict[Search, _Snapshot] = OrderedDict()  # the least recently used one first

    def log(self, search: Search) -> Log:
        """Return the log as the search sees it."""
        found = self._open.pop(search, None) or self._begun()
        self._open[search] = found._replace(used_s=time.monotonic())
        return found.log

    def drop(self, search: Search) -> None:
        """Let go of a sequence, if it has a transaction."""
        if found := self._open.pop(search, None):
            with suppress(psycopg.Error, PersistenceError):  # it may be gone already
                found.stack.close()

    def close(self, idle_s: float = 0.0) -> None:
        """Let go of all sequences that have been idle for so long."""
        for search, one in list(self._open.items()):
            if time.monotonic() - one.used_s >= idle_s:
                self.drop(search)

    def _begun(self) -> _Snapshot:
        while len(self._open) >= SNAPSHOTS_MAX:
            self.drop(next(iter(self._open)))
        with ExitStack() as stack:
            connection = stack.enter_context(self._connections.get_connection())
            stack.enter_context(connection.transaction())
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")  # the writer needs a processor, too
            log = Log(_Transaction(self._connections.schema, connection))
            return _Snapshot(log, stack.pop_all(), time.monotonic())


class _Transaction(OneConnection):
    """The connection of a transaction, in which a statement that fails ends no more than itself."""

    @contextmanager
    def get_connection(self) -> Iterator[Connection[Any]]:
        """Give the connection. Raises PersistenceError, as a pool does."""
        with super().get_connection() as connection:
            try:
                with connection.transaction():
                    yield connection
            except psycopg.Error as error:
                raise PersistenceError(str(error)) from error


class _Snapshot(NamedTuple):
    """A log within a transaction, which `stack` ends, and when it was last used, by the monotonic clock."""

    log: Log
    stack: ExitStack
    used_s: float


def _in_order(found: Iterable[Found]) -> Iterator[Found]:
    """Yield findings, which come by account, in the order of their places: `a-1/g1` stands before `a/g1`."""
    held: list[Found] = []  # each account begins the name of the next one
    for account_id, of_account in groupby(found, key=lambda one: one.finding.account_id):
        ready = [one for one in held if one.finding.account_id not in beginnings(account_id)]
        yield from sorted(ready, key=lambda one: one.place)
        held = [one for one in held if one not in ready] + list(of_account)
    yield from sorted(held, key=lambda one: one.place)
