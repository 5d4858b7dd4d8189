"""Programme files: what is read from them, and how a bad one is refused."""

from __future__ import annotations

import pytest

from ledger.programmes import ProgrammeError, packaged, parse, rate_ppm

GOOD = packaged()


@pytest.mark.parametrize(
    ("text", "ppm"),
    [("0.25%", 2500), ("-0.001%", -10), ("2.5bps", 250), ("-10ppm", -10), ("0%", 0), ("0.00%", 0), ("25%", 250_000)],
)
def test_a_rate_carries_its_unit(text: str, ppm: int) -> None:
    assert rate_ppm(text) == ppm


@pytest.mark.parametrize("text", ["0.0025", "0.25", "25 %", "% 25", "+1%", "1e-3%", "", "0.25%%", ".5%"])
def test_a_rate_without_a_clear_unit_is_refused(text: str) -> None:
    with pytest.raises(ProgrammeError, match="RATE_UNIT_AMBIGUOUS: key"):
        rate_ppm(text, "key")


def test_a_rate_finer_than_a_ppm_is_refused() -> None:
    with pytest.raises(ProgrammeError, match="RATE_TOO_FINE: key"):
        rate_ppm("0.00001%", "key")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('maker = "0.04%"', 'maker = "0.0004"', "RATE_UNIT_AMBIGUOUS: rates.VIP1.A.maker"),
        ('tier = "VIP3"', 'tier = "VIP9"', "TIER_UNKNOWN: trial.tier"),
        ('rounding = "ROUND_HALF_EVEN"', 'rounding = "ROUND_UP"', "VALUE_UNKNOWN: switches.rounding"),
        ("[base_rates]", "[base_rate]", "KEY_MISSING: base_rates"),
        ("days = 30", "days = = 30", "FILE_UNREADABLE"),
    ],
)
def test_a_bad_file_is_refused_with_its_key(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    with pytest.raises(ProgrammeError, match=fault):
        parse(GOOD.replace(old, new, 1))


def test_the_last_day_of_trials_ends_at_midnight() -> None:
    trial = parse(GOOD.replace("# last_day = 2027-12-31", "last_day = 2027-12-31")).trial
    assert trial.closes_at_ns == 1_830_297_600 * 10**9
