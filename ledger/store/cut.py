"""The cut of an account: what a proof of its events needs, without a byte that the account may not see.

Each event is there with the parts that the account may see, and with hashes alone of the others. Its leaf follows from
these, so whoever holds the leaves of the log can check a cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from ledger.domain.instants import DAY_NS, LATEST_NS, day_number
from ledger.domain.streams import account_stream, fee_stream, repricing_stream
from ledger.store.leaf import Opening, Part, hashes_of, leaf_of, opened, parts_of
from ledger.store.log import Log, StoredRow

_ROWS_AT_ONCE: Final = 100  # in memory: a run of fills may take megabytes


class CutEvent(NamedTuple):
    """An event as its account may see it. The erasable part is a hash alone once it is erased."""

    position: int
    shown: Opening
    hidden_sha256: bytes
    erasable: Opening | bytes


def cut_of(log: Log, account_id: str, until: int, secret: bytes) -> Iterator[CutEvent]:
    """Yield the events of an account up to a position: its decisions, its repricings, its days, each in order.

    They are read by their keys, with what may be erased of them and is still there.
    """
    days = log.totals_of_account(account_id, 0, LATEST_NS // DAY_NS, until)
    streams = (account_stream(account_id), repricing_stream(account_id))
    fees = (fee_stream(account_id, day_number(each.day)) for each in days)
    for stream in chain(streams, fees):
        for rows in _pages(log, stream, until):
            outside = log.erasable_parts(row.position for row in rows)
            yield from (cut_out(row, secret, outside.get(row.position)) for row in rows)


def cut_out(row: StoredRow, secret: bytes, outside: Opening | None = None) -> CutEvent:
    """Return one event as its account may see it; `outside` is its erasable part, where that lies outside it."""
    position, parts = row.position, parts_of(*row[1:])
    _, hidden_sha256, erasable_sha256 = hashes_of(position, parts, secret)
    shown = opened(position, Part.SHOWN, parts.shown, secret)
    if parts.erasable_sha256:
        return CutEvent(position, shown, hidden_sha256, outside or erasable_sha256)
    return CutEvent(position, shown, hidden_sha256, opened(position, Part.ERASABLE, parts.erasable, secret))


def leaf_of_cut(event: CutEvent) -> bytes:
    """Return the leaf of an event out of what its cut has."""
    erasable = event.erasable
    if isinstance(erasable, Opening):
        erasable = erasable.sha256(Part.ERASABLE)
    return leaf_of(event.position, (event.shown.sha256(Part.SHOWN), event.hidden_sha256, erasable))


def _pages(log: Log, stream: str, until: int) -> Iterator[list[StoredRow]]:
    """Yield the rows of a stream up to a position, a few in memory at once."""
    after, full = 0, True
    while full:
        rows = log.stored(stream, after, until, _ROWS_AT_ONCE)
        yield rows
        full = len(rows) == _ROWS_AT_ONCE
        after = rows[-1].position if rows else after
