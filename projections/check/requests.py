"""Checks which request caused which event: the table against the envelopes of the events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from ledger.store.log import KnownRequest
from projections.check.events import Facts
from projections.check.findings import DIFFERS, EXTRA, MISSING, Finding, StoredRows, finding
from projections.tables.rows import Row

_TABLE: Final = "requests"


class RequestRows:
    """Checks rows in the order of their positions, beside the events they name.

    A request may have many events, and its row is that of the first: of the others it is asked for by name.
    """

    def __init__(self, stored: StoredRows, known: Callable[[Iterable[str]], Mapping[str, KnownRequest]]) -> None:
        self._stored = stored
        self._known = known
        self._loose: dict[str, Row] = {}  # rows at whose position no event names them
        self._told: set[str] = set()

    def take(self, facts: Sequence[Facts], through: int) -> Iterator[Finding]:
        """Yield findings of the next events, the last of them at position `through`."""
        at: dict[int, list[Row]] = defaultdict(list)
        for row in self._stored.through(through):
            at[row[2]].append(row)
        others: list[Facts] = []
        for one in facts:
            mine = _of_request(at.get(one.position, ()), one.request_id)
            if mine is not None:
                at[one.position].remove(mine)
                if mine[1] != one.request_sha256:
                    yield _differs(one.request_id, "sha256", mine[1], one.request_sha256)
            elif one.request_id:
                others.append(one)
        self._loose.update((row[0], row) for rows in at.values() for row in rows)
        yield from self._others(others)

    def end(self) -> Iterator[Finding]:
        """Yield findings of rows that no event names."""
        self._loose.update((row[0], row) for row in self._stored.rest())
        for name, row in self._loose.items():
            if name not in self._told:
                yield finding(_TABLE, EXTRA, stored=f"position {row[2]}", request_id=name)

    def _others(self, others: Sequence[Facts]) -> Iterator[Finding]:
        """Yield findings of events that no row of their request points at: the first one must be further up."""
        known = self._known({one.request_id for one in others}) if others else {}
        for one in others:
            row = known.get(one.request_id)
            wrong = row is None or row.position > one.position or one.request_id in self._loose
            if not wrong or one.request_id in self._told:
                continue
            self._told.add(one.request_id)
            if row is None:
                yield finding(_TABLE, MISSING, expected=f"position {one.position}", request_id=one.request_id)
            else:
                yield _differs(one.request_id, "position", row.position, one.position)


def _of_request(rows: Iterable[Row], request_id: str) -> Row | None:
    return next((row for row in rows if row[0] == request_id), None)


def _differs(name: str, column: str, stored: object, expected: object) -> Finding:
    return finding(_TABLE, DIFFERS, column=column, stored=stored, expected=expected, request_id=name)
