"""Listed fees are summed by currency, never counted twice, never dropped."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.tools.engine_files.fees import Fees, combined


def cost(amount: Any, currency: Any = "USDT") -> dict[str, Any]:
    return {"cost": amount, "currency": currency}


@pytest.mark.parametrize(
    ("amount", "currency", "listed", "expected"),
    [
        ("1.5", "USDT", [], Fees("1.5", "USDT")),
        ("1.5", None, None, Fees("1.5", None)),
        (None, None, [cost("99")], Fees("99", "USDT")),
        (None, None, [cost("1"), cost("0.5"), cost("0.1", "BMX")], Fees("1.5", "USDT", "0.1 BMX")),
        (None, "BMX", [cost("1"), cost("0.1", "BMX")], Fees("0.1", "BMX", "1 USDT")),
        ("1.5", "USDT", [cost("1.50")], Fees("1.50", "USDT")),
        ("1.5", "USDT", [cost("1"), cost("0.5"), cost("1e-1", "BMX")], Fees("1.5", "USDT", "0.1 BMX")),
        ("1.5", None, [cost("1.5")], Fees("1.5", "USDT")),
        (None, None, [cost(None, None)], Fees(None, None)),
        (None, None, [cost("2", None)], Fees("2", None)),
        ("0", "USDT", [cost("0")], Fees("0", "USDT")),
        (None, None, [cost("1"), cost("0", "BMX")], Fees("1", "USDT")),
        (None, None, [cost("9007199254740993"), cost("1e-18")], Fees("9007199254740993.000000000000000001", "USDT")),
    ],
)
def test_what_a_fill_cost_is_said_once(amount: Any, currency: Any, listed: Any, expected: Fees) -> None:
    assert combined(amount, currency, listed, negated=False) == expected


def test_other_fees_have_the_ledgers_sign() -> None:
    listed = [cost("-1"), cost("-0.1", "BMX")]
    assert combined(None, None, listed, negated=True) == Fees("-1", "USDT", "0.1 BMX")


@pytest.mark.parametrize(
    ("amount", "currency", "listed", "why"),
    [
        ("1.5", "USDT", [cost("99")], "the fee is 1.5 USDT, but the list of fees says 99 USDT"),
        ("1.5", "USDT", [cost("1.5"), cost("1.5")], "the list of fees says 3.0 USDT"),
        ("1.5", "USDT", [cost("0.1", "BMX")], "the list of fees says 0.1 BMX"),
        ("1.5", None, [cost("1.5"), cost("0.1", "BMX")], "the fee is 1.5, but"),
        (None, None, {"cost": "1"}, "no list of objects"),
        (None, None, [cost("1_0")], "'1_0' of a fee is no decimal number"),
        (None, None, [cost("1e999")], "no decimal number"),
        (None, None, [cost(True)], "no decimal number"),
        (None, None, [cost("1", ["USDT"])], "the currency of a fee is no text"),
    ],
)
def test_fees_that_contradict_each_other_are_refused(amount: Any, currency: Any, listed: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        combined(amount, currency, listed, negated=False)
