"""R17: volume in another currency counts at a close, and never at zero."""

from __future__ import annotations

import pytest

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.end_day_close import CLOSE_SCALE, Missing, Valued, close_day, value_cells, valued
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from tests.domain.worked import programme

ONE, PRICE = 10**NOTIONAL_SCALE, 10**CLOSE_SCALE
DAY = 20_000
MIDNIGHT_NS, NOON_NS = (DAY + 1) * DAY_NS, DAY * DAY_NS + DAY_NS // 2


def cell(quote: str = "USDT", *, channel: int = 1, zero_fee: bool = False) -> CellKey:
    return CellKey(quote, 1, channel, False, False, zero_fee)


def value(
    cells: dict[int, dict[CellKey, int]], closes: dict[tuple[str, int], int], **switches: str
) -> Valued | Missing:
    return value_cells(programme(**switches), cells, closes, MIDNIGHT_NS, excluded_because)


@pytest.mark.parametrize(
    ("switches", "evaluation_ns", "day"),
    [
        ({}, MIDNIGHT_NS, DAY),
        ({}, NOON_NS, DAY - 1),
        ({"partial_day_close": "wait"}, NOON_NS, DAY),
        ({"close_day": "evaluation_day"}, MIDNIGHT_NS, DAY),
        ({"close_day": "evaluation_day"}, MIDNIGHT_NS - 1, DAY - 1),
        ({"close_day": "evaluation_day"}, MIDNIGHT_NS + 9 * DAY_NS, DAY + 9),
    ],
)
def test_a_fill_of_a_day_counts_at_the_close_its_programme_names(
    switches: dict[str, str], evaluation_ns: int, day: int
) -> None:
    assert close_day(programme(**switches), fill_day=DAY, evaluation_ns=evaluation_ns) == day


def test_a_finished_day_has_its_own_close_even_if_the_window_ends_inside_another() -> None:
    assert close_day(programme(), fill_day=DAY - 3, evaluation_ns=NOON_NS) == DAY - 3


def test_each_currency_counts_at_its_own_close_and_the_volume_currency_as_it_is() -> None:
    cells = {DAY: {cell(): 5 * ONE, cell("BTC"): 2 * ONE, cell("ETH", zero_fee=True): ONE // 2}}
    closes = {("BTC", DAY): 60_000 * PRICE, ("ETH", DAY): 3_001 * PRICE, ("BTC", DAY - 1): PRICE}
    found = value(cells, closes)
    assert found == Valued(
        5 * ONE + 120_000 * ONE + 3_001 * ONE // 2, {("BTC", DAY): 60_000 * PRICE, ("ETH", DAY): 3_001 * PRICE}
    )


def test_all_closes_that_are_missing_are_listed_by_day_once_each() -> None:
    cells = {
        DAY: {cell("ETH"): ONE, cell("BTC"): ONE, cell("BTC", zero_fee=True): ONE},
        DAY - 5: {cell("ETH"): ONE, cell(): ONE},
    }
    assert value(cells, {}) == Missing((("ETH", DAY - 5), ("BTC", DAY), ("ETH", DAY)))


def test_volume_that_does_not_count_needs_no_close() -> None:
    assert value({DAY: {cell("BTC", channel=2): ONE}}, {}) == Valued(0, {})


def test_volume_that_corrections_brought_to_nothing_still_needs_its_close() -> None:
    assert value({DAY: {cell("BTC"): 0}}, {}) == Missing((("BTC", DAY),))


def test_sums_are_cut_once_at_the_end_not_cell_by_cell() -> None:
    tiny = {DAY: {cell("BTC"): 1, cell("BTC", zero_fee=True): 1}}
    assert value(tiny, {("BTC", DAY): PRICE // 2}) == Valued(1, {("BTC", DAY): PRICE // 2})
    assert valued(1, PRICE // 2) == 0
    assert valued(3 * ONE, 2 * PRICE) == 6 * ONE
