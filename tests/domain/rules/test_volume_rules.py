"""R3, R15, R16, R18, by the worked cases of the business document."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.events import CellKey
from ledger.domain.instants import SECOND_NS
from ledger.domain.money import mantissa
from ledger.domain.rules.cumulative_trading_volume import counts_for, event_period, excluded_because
from ledger.domain.rules.evaluation_days import evaluation_window, next_evaluation_ns
from ledger.domain.rules.monthly_trading_volume import TierTable, tier_for_volume
from ledger.domain.state.account import AccountState
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from tests.domain.worked import programme

CASES = json.loads((Path(__file__).parents[2] / "cases" / "cases.json").read_text())


def cases(op: str) -> list[Any]:
    """Cases of an op at the default settings; the switches come with the programme's issue."""
    return [pytest.param(case, id=case["id"]) for case in CASES if case["when"]["op"] == op and not switched(case)]


def switched(case: dict[str, Any]) -> bool:
    return "config" in case["given"] or "error" in case["expect"]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


@pytest.mark.parametrize("case", cases("tier_for_volume"))
def test_a_volume_gives_the_tier_of_its_band(case: dict[str, Any]) -> None:
    volume = mantissa(case["given"]["volume_usdt"], NOTIONAL_SCALE)
    assert volume is not None
    assert tier_for_volume(programme(), volume) == case["expect"]["tier"]


@pytest.mark.parametrize("switches", [{}, {"boundary_policy": "terms"}, {"above_top": "manual_review"}])
def test_a_table_of_tiers_says_the_same_at_and_around_each_edge(switches: dict[str, Any]) -> None:
    rules = programme(**switches)
    edges = [0, *(least for _, least in rules.volume_bands), *(band.volume for band in rules.terms_bands)]
    volumes = [edge + step for edge in (*edges, rules.volume_top or 0) for step in (-1, 0, 1, 2)]
    found = [TierTable(rules).tier(volume) for volume in volumes]
    assert found == [tier_for_volume(rules, volume) for volume in volumes]
    assert len({*found}) >= 5


@pytest.mark.parametrize("case", cases("next_evaluation"))
def test_the_next_evaluation_is_strictly_after(case: dict[str, Any]) -> None:
    assert next_evaluation_ns(programme(), ns(case["when"]["after"])) == ns(case["expect"]["at"])


@pytest.mark.parametrize("case", cases("evaluation_window"))
def test_an_evaluation_looks_back_thirty_days(case: dict[str, Any]) -> None:
    expected = (ns(case["expect"]["from"]), ns(case["expect"]["to"]))
    assert evaluation_window(programme(), ns(case["when"]["at"])) == expected


@pytest.mark.parametrize(
    ("product", "channel", "self_trade", "banned", "reason"),
    [
        (1, 1, False, False, ""),
        (2, 2, True, True, "NOT_SPOT"),
        (1, 2, True, True, "NOT_API"),
        (1, 0, False, False, "NOT_API"),
        (1, 1, True, True, "SELF_TRADE"),
        (1, 1, False, True, "BANNED"),
    ],
)
def test_volume_counts_unless_a_fact_speaks_against_it(
    product: int, channel: int, self_trade: bool, banned: bool, reason: str
) -> None:
    cell = CellKey("USDT", product, channel, self_trade, banned, zero_fee=False)
    assert excluded_because(cell, programme()) == reason


def test_fills_during_a_ban_count_if_the_programme_says_so() -> None:
    cell = CellKey("USDT", 1, 1, self_trade=False, banned=True, zero_fee=False)
    assert excluded_because(cell, programme(ban_count_volume=True)) == ""


@pytest.mark.parametrize(
    ("window", "cut"),
    [((0, 100), (10, 90)), ((10, 90), (10, 90)), ((20, 30), (20, 30)), ((0, 10), (10, 10)), ((90, 99), (90, 90))],
)
def test_a_window_is_cut_to_the_period_of_the_programme(window: tuple[int, int], cut: tuple[int, int]) -> None:
    assert event_period(programme(period_from_ns=10, period_until_ns=90), window) == cut
    assert event_period(programme(), window) == window


def test_volume_of_a_sub_account_counts_for_its_parent_if_the_programme_says_so() -> None:
    main, sub = AccountState("main"), AccountState("sub", parent_account_id="main")
    aggregating = programme(aggregate_subaccounts=True)
    assert [counts_for(account, programme()) for account in (main, sub)] == ["main", "sub"]
    assert [counts_for(account, aggregating) for account in (main, sub)] == ["main", "main"]
