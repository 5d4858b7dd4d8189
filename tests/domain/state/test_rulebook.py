"""What the shared registers say at an instant."""

from __future__ import annotations

import pytest

from ledger.domain.events import CurrencyRegistered, PairClassAssigned, SymbolRegistered
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.rulebook import Market, Rulebook, evolve_rulebook
from tests.domain.worked import recorded, rulebook


def market(book: Rulebook, at_ns: int, *, symbol: str = "S", product: int = 0) -> Market:
    found = book.market("bitmart", symbol, product, at_ns)
    assert isinstance(found, Market), found
    return found


def test_terms_and_class_of_a_symbol_hold_from_their_instant_until_the_next() -> None:
    book = rulebook(pair_class="A", price_scale=2)
    book = evolve_rulebook(book, recorded(SymbolRegistered("S", "XRP", "USDT", 1, 5, 8, valid_from_ns=100), 4))
    book = evolve_rulebook(book, recorded(PairClassAssigned("bitmart-api-vip", "S", "C", valid_from_ns=200), 5))
    found = [(market(book, at_ns).terms.price_scale, market(book, at_ns).pair_class) for at_ns in (99, 100, 199, 200)]
    assert found == [(2, "A"), (5, "A"), (5, "A"), (5, "C")]


def test_a_symbol_is_unknown_before_its_first_terms() -> None:
    book = evolve_rulebook(rulebook(), recorded(SymbolRegistered("T", "T", "USDT", 1, 5, 8, valid_from_ns=100), 4))
    found = book.market("bitmart", "T", 0, 99)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.SYMBOL_UNKNOWN
    assert market(book, 100, symbol="T").pair_class == ""


def test_a_product_without_rates_is_refused() -> None:
    found = rulebook().market("bitmart", "S", 2, 0)
    assert isinstance(found, Refusal)
    assert found.reason == Reason.PRODUCT_WITHOUT_RATES


@pytest.mark.parametrize(("venue", "expected"), [("", "bitmart"), ("bitmart", "bitmart")])
def test_the_only_governed_venue_need_not_be_named(venue: str, expected: str) -> None:
    assert rulebook().venue(venue) == expected


def test_a_venue_that_no_programme_governs_is_refused() -> None:
    found = rulebook().venue("elsewhere")
    assert isinstance(found, Refusal)
    assert found.reason == Reason.VENUE_UNKNOWN


def test_fees_round_to_eight_decimals_unless_the_currency_says_otherwise() -> None:
    assert market(rulebook(), 0).quote_decimals == 8
    book = evolve_rulebook(rulebook(), recorded(CurrencyRegistered("USDT", 2), 4))
    assert market(book, 0).quote_decimals == 2
