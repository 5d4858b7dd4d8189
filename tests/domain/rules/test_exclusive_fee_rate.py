"""R1: the fee table, all of it, as printed in the business document."""

from __future__ import annotations

import pytest

from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.state.programme import PairRates, Rates
from tests.domain.worked import programme

MAKER, TAKER, API, WEB = 1, 2, 1, 2

TABLE = """
VIP1  0.04   0.05   0.1   0.12  0.2   0.24
VIP2  0.02   0.04   0.06  0.08  0.18  0.2
VIP3  -0.001 0.03   0.02  0.06  0.06  0.1
VIP4  -0.001 0.025  0.00  0.05  0.06  0.08
VIP5  -0.001 0.02   0.00  0.04  0.04  0.07
"""
CELLS = [
    (row.split()[0], "ABC"[column // 2], MAKER if column % 2 == 0 else TAKER, percent)
    for row in TABLE.strip().splitlines()
    for column, percent in enumerate(row.split()[1:])
]


def test_the_table_has_thirty_rates() -> None:
    assert len(CELLS) == 30


@pytest.mark.parametrize(("tier", "pair_class", "liquidity", "percent"), CELLS)
def test_each_rate_is_the_printed_one(tier: str, pair_class: str, liquidity: int, percent: str) -> None:
    ppm, why = fee_rate(programme(), tier=tier, pair_class=pair_class, liquidity=liquidity, channel=API)
    whole, _, fraction = percent.partition(".")
    assert ppm == int(whole + fraction.ljust(4, "0"))
    assert why == "TIER"


@pytest.mark.parametrize(("tier", "pair_class"), [("NONE", "A"), ("VIP3", ""), ("VIP3", "D")])
def test_without_a_row_it_is_the_base_rate(tier: str, pair_class: str) -> None:
    found = fee_rate(programme(), tier=tier, pair_class=pair_class, liquidity=MAKER, channel=API)
    assert found == (2500, "BASE")


def test_a_public_rate_that_is_lower_wins_unless_the_programme_says_otherwise() -> None:
    cheap = programme(base_rates=Rates(0, 100))
    kind = {"tier": "VIP1", "pair_class": "A", "liquidity": TAKER, "channel": API}
    assert fee_rate(cheap, **kind) == (100, "BASE_LOWER")  # type: ignore[arg-type]
    stubborn = programme(base_rates=Rates(0, 100), never_worse_than_base=False)
    assert fee_rate(stubborn, **kind) == (500, "TIER")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("override", "tier", "liquidity", "expected"),
    [
        (PairRates(0, None), "VIP1", MAKER, (0, "PAIR")),
        (PairRates(0, None), "VIP1", TAKER, (500, "TIER")),
        (PairRates(None, 700), "VIP5", TAKER, (700, "PAIR")),
        (PairRates(None, 700), "NONE", TAKER, (700, "PAIR")),
        (PairRates(None, 700), "NONE", MAKER, (2500, "BASE")),
        (PairRates(122_500, 122_500), "VIP1", TAKER, (122_500, "PAIR")),
        (PairRates(122_500, None), "NONE", MAKER, (122_500, "PAIR")),
    ],
)
def test_rates_of_a_pair_bind_everybody_side_by_side(
    override: PairRates, tier: str, liquidity: int, expected: tuple[int, str]
) -> None:
    found = fee_rate(programme(), tier=tier, pair_class="A", liquidity=liquidity, channel=API, override=override)
    assert found == expected


@pytest.mark.parametrize(
    ("tier", "pair_class", "expected"),
    [
        ("NONE", "A", (2500, "BASE")),
        ("NONE", "C", (5000, "BASE")),
        ("NONE", "", (2500, "BASE")),
        ("VIP1", "C", (2400, "TIER")),
        ("VIP1", "B", (900, "BASE_LOWER")),
        ("VIP2", "B", (800, "TIER")),
    ],
)
def test_a_class_may_have_public_rates_of_its_own(tier: str, pair_class: str, expected: tuple[int, str]) -> None:
    rules = programme(class_base_rates={"C": Rates(5000, 5000), "B": Rates(900, 900)})
    assert fee_rate(rules, tier=tier, pair_class=pair_class, liquidity=TAKER, channel=API) == expected


@pytest.mark.parametrize(
    ("scope", "channel", "ppm"), [("account", WEB, 500), ("api_only", WEB, 2500), ("api_only", API, 500)]
)
def test_the_scope_of_the_programme_decides_about_other_channels(scope: str, channel: int, ppm: int) -> None:
    rules = programme(rate_scope=scope)
    found, _ = fee_rate(rules, tier="VIP1", pair_class="A", liquidity=TAKER, channel=channel)
    assert found == ppm
    own = PairRates(None, 70)
    found, _ = fee_rate(rules, tier="VIP1", pair_class="A", liquidity=TAKER, channel=channel, override=own)
    assert found == 70, "what everybody pays, whatever the channel"
