"""Totals of many fronts at once are those of each front by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from ledger.domain.events import CellKey, CellTotals, FeeSum
from ledger.domain.state.volume_cells import CREDITS
from ledger.store.codec import run_front, totals_read
from ledger.store.codec.run_front import totals_in
from ledger.store.codec.totals_read import totals_of_fronts
from tests.store.codec.test_events import ENVELOPE, RUN, encode
from tests.store.codec.test_run_front import STATES

SEED = 20_261_129


def told(states: Sequence[bytes]) -> list[Any]:
    """Of each front its cells without their fees, and the fees: which cell they are of is not told. None: it is cut.

    Fees are (currency, charges, rebates, credits, lines).
    """
    found = totals_of_fronts(states)
    fees: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for front, *amounts in zip(*found.fees, strict=True):
        fees[front].append(tuple(amounts))
    cells: dict[int, list[CellTotals]] = defaultdict(list)
    for front, key, notional, lines in zip(*found.cells, strict=True):
        cells[front].append(CellTotals(key, notional, lines, ()))
    assert not set(found.cut) & (cells.keys() | fees.keys())
    return [None if front in found.cut else (cells[front], sorted(fees[front])) for front in range(len(states))]


def expected(states: Sequence[bytes]) -> list[Any]:
    """The same, each front read by itself."""
    return [
        None
        if cells is None
        else ([cell._replace(fees=()) for cell in cells], sorted(each for cell in cells for each in fees_of(cell)))
        for cells in map(totals_in, states)
    ]


def fees_of(cell: CellTotals) -> list[tuple[Any, ...]]:
    """What a cell has, as `told` tells it: rebates of the cell of no line are credits."""
    by_hand = cell.key == CREDITS
    return [
        (fee.currency, fee.charges, "0" if by_hand else fee.rebates, fee.rebates if by_hand else "0", fee.lines)
        for fee in cell.fees
    ]


@pytest.mark.parametrize("name", STATES)
def test_a_front_of_any_length_tells_the_totals_or_that_it_does_not_hold_them(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever comes behind it: a field that is cut off must not be read on in the next front."""
    state = STATES[name]
    for length in range(1, len(state) + 1):
        monkeypatch.setattr(totals_read, "FRONT_BYTES", length)
        monkeypatch.setattr(run_front, "FRONT_BYTES", length)
        assert told([state[:length]] * 3) == expected([state[:length]] * 3), length


def cells_of(random: Random) -> tuple[CellTotals, ...]:
    def fee() -> FeeSum:
        lines = random.choice((0, 1, 127, 128, 2**40))
        return FeeSum(random.choice(("USDT", "B", "X" * 20)), f"{random.randrange(10**9)}.5", "-0.1", lines)

    def cell() -> CellTotals:
        product, channel = random.choices(range(4), k=2)
        self_trade, banned, zero_fee = random.choices((False, True), k=3)
        key = CellKey(random.choice(("USDT", "Q" * 20)), product, channel, self_trade, banned, zero_fee)
        if random.random() < 0.05:
            return CellTotals(CREDITS, "0", 0, tuple(fees()))
        return CellTotals(key, "1" * random.randint(1, 150), random.choice((0, 1, 300)), tuple(fees()))

    def fees() -> list[FeeSum]:
        return [fee() for _ in range(random.choice((0, 1, 1, 1, 3)))]

    return tuple(cell() for _ in range(random.choice((1, 1, 1, 2, 9, 60))))


def test_random_totals_of_many_fronts_are_those_of_each() -> None:
    random = Random(SEED)
    states = [encode(ENVELOPE, replace(RUN, totals=cells_of(random)))[1] for _ in range(500)]
    states = [state[: run_front.FRONT_BYTES] for state in states]
    found = told(states)
    assert found == expected(states), f"seed {SEED}"
    assert 0 < found.count(None) < 250, "some go on behind their fronts"


def test_no_fronts_have_no_totals() -> None:
    assert told([]) == []
