"""A page sequence over a hundred thousand fills while fills arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.v1.query_service_pb2 import ListFeeHistoryRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, symbol

FILLS = 100_000
PER_BATCH = 5_000


def record(ledger: Ledger, first: int, count: int) -> None:
    """Fills over ten days, neither in the order of time nor of days."""
    fills = (
        fill(exec_id=f"E{number}", transact_time=at(NOON_NS - number * 7_919 % 864_000 * 10**9))
        for number in range(first, first + count)
    )
    ledger.fills.RecordFills(batch(*fills, source="engine", first_sequence=first))


@contextmanager
def fills_arriving(ledger: Ledger) -> Iterator[None]:
    """Fills of the same account, into the same days, until the block ends."""
    stop = threading.Event()

    def send() -> None:
        number = FILLS + 1
        while not stop.is_set():
            record(ledger, number, 50)
            number += 50

    sender = threading.Thread(target=send)
    sender.start()
    yield
    stop.set()
    sender.join()


def test_nothing_comes_twice_and_nothing_is_missing_over_a_hundred_thousand_fills(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())
    for first in range(1, FILLS + 1, PER_BATCH):
        record(ledger, first, PER_BATCH)
    request = ListFeeHistoryRequest(account_id="alice", page_size=10_000)
    request.at.as_of.CopyFrom(at(NOON_NS))
    names: list[str] = []
    positions: set[int] = set()
    order: list[tuple[str, int, int]] = []
    with fills_arriving(ledger):
        while True:
            page = ledger.queries.ListFeeHistory(request)
            positions.add(page.basis.known_at_position)
            names += [line.fill_ref.exec_id for line in page.lines]
            order += [(line.fill_ref.day, line.line_ref.position, line.line_ref.line) for line in page.lines]
            assert page.totals[0].lines >= FILLS
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert len(positions) == 1
    assert order == sorted(order)
    assert len(names) == len(set(names)) == page.totals[0].lines
    assert {f"E{number}" for number in range(1, FILLS + 1)} <= set(names)
    assert ledger.log.head().position > positions.pop()
    assert order[0][0] < order[-1][0]
