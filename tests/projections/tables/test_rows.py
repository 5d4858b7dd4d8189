"""Rows out of what an account is."""

from __future__ import annotations

import pytest

from ledger.domain.instants import NEVER_NS
from ledger.domain.state.account import AccountState
from projections.tables.rows import account_row
from projections.tables.vip_intervals import Interval

NEVER = NEVER_NS


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], (None, None)),
        ([(0, 5)], (0, 5)),
        ([(0, NEVER)], (0, None)),
        ([(0, 5), (5, 9)], (0, 9)),
        ([(0, 5), (6, 9)], (6, 9)),
        ([(20, 30), (0, 5), (25, 40), (26, 28)], (20, 40)),
        ([(0, 30), (2, 4), (7, NEVER)], (0, None)),
    ],
)
def test_the_row_of_an_account_says_since_when_it_has_a_tier_without_a_break_the_last_time(
    times: list[tuple[int, int]], expected: tuple[int | None, int | None]
) -> None:
    intervals = [Interval("p", begin, end, "VIP1", end, "MANUAL", "g1", 1) for begin, end in times]
    *_, tier_from_ns, tier_until_ns = account_row(AccountState("alice"), intervals)
    assert (tier_from_ns, tier_until_ns) == expected
