"""A symbol in an exchange's writing is that of the ledger, if it can be only one."""

from __future__ import annotations

import pytest

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.presets import PRESETS
from ledger.tools.engine_files.symbols import matching

REGISTERED = ("BTC_USDT", "BTC_USD", "ETH_USD", "XRP_USDT", "BTC_USDT:USDT", "A_BC", "AB_C")
KRAKEN = PRESETS["kraken"][0].currencies


@pytest.mark.parametrize("theirs", ["BTCUSDT", "BTC-USDT", "BTC/USDT", "btc_usdt", "Btc.Usdt"])
def test_case_and_separators_do_not_matter(theirs: str) -> None:
    assert matching([theirs], REGISTERED, {}) == {theirs: "BTC_USDT"}


def test_another_instrument_is_another_symbol() -> None:
    assert matching(["BTC/USDT:USDT"], REGISTERED, {}) == {"BTC/USDT:USDT": "BTC_USDT:USDT"}
    without = [symbol for symbol in REGISTERED if ":" not in symbol]
    assert matching(["BTC/USDT:USDT", "BTC-USDT-SWAP"], without, {}) == {"BTC/USDT:USDT": "BTC_USDT:USDT"}


def test_what_may_be_two_symbols_is_refused_and_the_ledgers_own_writing_is_none_of_it() -> None:
    with pytest.raises(UnusableError, match="symbol 'ABC' may be AB_C or A_BC: write it as the ledger does"):
        matching(["ABC"], REGISTERED, {})
    assert matching(["A_BC", "AB/C"], REGISTERED, {}) == {"AB/C": "AB_C"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("XXBTZUSD", "BTC_USD"), ("XBTUSDT", "BTC_USDT"), ("XBT/USDT", "BTC_USDT"), ("XETHZUSD", "ETH_USD"),
     ("XRPUSDT", "XRP_USDT")],
)  # fmt: skip
def test_kraken_has_names_of_its_own(theirs: str, ours: str) -> None:
    assert matching([theirs], REGISTERED, KRAKEN) == {theirs: ours}
    assert ("XBT" in theirs or "Z" in theirs) == (
        matching([theirs], REGISTERED, {}) in ({}, {theirs: theirs.replace("/", "_")})
    )
