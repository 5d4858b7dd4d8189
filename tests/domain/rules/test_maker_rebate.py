"""R2: who earns a rebate, and that nobody can pump money out of it."""

from __future__ import annotations

import pytest

from ledger.domain.rules.maker_rebate import least_net_ppm, rebate_kept
from ledger.domain.state.programme import PairRates, Rates
from tests.domain.worked import programme


@pytest.mark.parametrize(
    ("rate_ppm", "self_trade", "allowed", "kept_ppm"),
    [
        (-10, False, False, -10),
        (-10, True, False, 0),
        (-10, True, True, -10),
        (300, True, False, 300),
        (0, True, False, 0),
    ],
)
def test_a_self_trade_earns_no_rebate_unless_the_programme_says_so(
    rate_ppm: int, self_trade: bool, allowed: bool, kept_ppm: int
) -> None:
    rules = programme(self_trade_rebate=allowed)
    assert rebate_kept(rules, rate_ppm=rate_ppm, self_trade=self_trade) == kept_ppm


@pytest.mark.parametrize(("pair_class", "net_ppm"), [("A", 190), ("B", 400), ("C", 1100), ("", 190)])
def test_the_least_a_trade_leaves_is_the_least_maker_and_the_least_taker_rate_of_its_class(
    pair_class: str, net_ppm: int
) -> None:
    assert least_net_ppm(programme(), pair_class=pair_class) == net_ppm


def test_public_rates_count_as_those_of_any_tier() -> None:
    rules = programme(base_rates=Rates(-300, 400))
    assert least_net_ppm(rules, pair_class="A") == -300 + 200
    assert least_net_ppm(rules, pair_class="A", with_base=False) == 190


@pytest.mark.parametrize(("pair_class", "net_ppm"), [("A", 190), ("B", -300 + 400), ("C", 1100), ("", -300 + 200)])
def test_public_rates_of_a_class_count_for_that_class_and_for_pairs_without_one(pair_class: str, net_ppm: int) -> None:
    rules = programme(class_base_rates={"B": Rates(-300, 5000)})
    assert least_net_ppm(rules, pair_class=pair_class) == net_ppm


@pytest.mark.parametrize(
    ("override", "net_ppm"),
    [
        (PairRates(None, 0, "A"), -10),
        (PairRates(None, 10, "A"), 0),
        (PairRates(None, 0, "B"), 0),
        (PairRates(None, 0), -10),
        (PairRates(0, 0, "A"), 0),
        (PairRates(-500, None, "C"), 200),
    ],
)
def test_rates_of_a_pair_stand_for_its_class_and_without_one_for_every_class(override: PairRates, net_ppm: int) -> None:
    assert least_net_ppm(programme(), pair_class=override.pair_class, override=override) == net_ppm
