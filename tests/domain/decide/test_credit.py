"""Credits by hand: of whom, of how much and in what two persons may give one, and what takes it back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.domain.commands import CreditFee, WithdrawCredit
from ledger.domain.decide.credit import decide_credit, decide_credit_withdrawal
from ledger.domain.decide.decided import Decided
from ledger.domain.events import CreditWithdrawn, CurrencyRegistered, Event, FeeCredited, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.domain.streams import REGISTERS, fee_stream
from tests.domain.worked import NOON_NS, TODAY, recorded, rulebook

DAY = TODAY[1]
CREDIT = CreditFee("alice", DAY, "12.5", "USDT", "OUTAGE")
WITHDRAW = WithdrawCredit("alice", 7, "MISTAKE")


def said(found: Decided | Refusal) -> str:
    """The reason of a refusal; empty: it is decided."""
    return found.reason.name if isinstance(found, Refusal) else ""


def of_alice(event: Event, position: int = 7) -> Recorded:
    return recorded(event, position, fee_stream("alice", DAY))


GIVEN = FeeCredited("12.5", "USDT", "OUTAGE", DAY * DAY_NS)


def test_a_credit_counts_from_the_beginning_of_its_day_on() -> None:
    found = decide_credit(CREDIT, rulebook(), is_known=True)
    assert found == Decided(NOON_NS - DAY_NS // 2, (("fees/alice/2024-10-04", GIVEN),))


def test_nobody_is_credited_of_whom_the_ledger_has_not_heard() -> None:
    assert said(decide_credit(CREDIT, rulebook(), is_known=False)) == "ACCOUNT_UNKNOWN"


@pytest.mark.parametrize(
    ("currency", "refused"),
    [
        ("USDT", ""),  # the symbol's quote currency
        ("XRP", ""),  # its base currency
        ("BMX", ""),  # fees are paid in it
        ("EUR", ""),  # registered
        ("USD", "CURRENCY_UNKNOWN"),
        ("usdt", "CURRENCY_UNKNOWN"),
    ],
)
def test_a_credit_is_in_a_currency_in_which_fees_may_be(currency: str, refused: str) -> None:
    book = evolve_rulebook(rulebook(), recorded(CurrencyRegistered("EUR", 2), 9, REGISTERS))
    assert said(decide_credit(replace(CREDIT, currency=currency, amount="1"), book, is_known=True)) == refused


def test_where_nothing_is_registered_a_credit_is_in_any_currency() -> None:
    assert said(decide_credit(CREDIT, Rulebook(lambda _: None), is_known=True)) == ""  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(("amount", "refused"), [("0.01", ""), ("0.010", ""), ("0.001", "AMOUNT_TOO_FINE")])
def test_a_credit_is_no_finer_than_fees_in_its_currency(amount: str, refused: str) -> None:
    book = evolve_rulebook(rulebook(), recorded(CurrencyRegistered("USDT", 2), 9, REGISTERS))
    assert said(decide_credit(replace(CREDIT, amount=amount), book, is_known=True)) == refused


def test_fees_in_a_currency_that_is_not_registered_have_8_decimals_and_so_has_a_credit() -> None:
    for amount, refused in (("0.00000001", ""), ("0.000000001", "AMOUNT_TOO_FINE"), ("9" * 20, "")):
        assert said(decide_credit(replace(CREDIT, amount=amount), rulebook(), is_known=True)) == refused


def test_a_withdrawal_takes_all_of_a_credit_back_on_its_day() -> None:
    taken = CreditWithdrawn(7, "12.5", "USDT", "MISTAKE", DAY * DAY_NS)
    found = decide_credit_withdrawal(WITHDRAW, [of_alice(GIVEN)])
    assert found == Decided(DAY * DAY_NS, ((fee_stream("alice", DAY), taken),))


def test_a_credit_that_is_of_another_account_or_none_is_unknown() -> None:
    of_bob = recorded(GIVEN, 7, fee_stream("bob", DAY))
    for of_day in ([], [of_bob], [of_alice(GIVEN, 6)]):
        assert said(decide_credit_withdrawal(WITHDRAW, of_day)) == "CREDIT_UNKNOWN"


def test_a_withdrawal_is_no_credit() -> None:
    taken = CreditWithdrawn(7, "12.5", "USDT", "MISTAKE", DAY * DAY_NS)
    of_day = [of_alice(GIVEN), of_alice(taken, 8)]
    assert said(decide_credit_withdrawal(replace(WITHDRAW, credit_position=8), of_day)) == "CREDIT_UNKNOWN"


def test_a_credit_is_withdrawn_once_and_others_of_its_day_stay() -> None:
    taken = CreditWithdrawn(7, "12.5", "USDT", "MISTAKE", DAY * DAY_NS)
    of_day = [of_alice(GIVEN), of_alice(GIVEN, 8), of_alice(taken, 9)]
    assert said(decide_credit_withdrawal(WITHDRAW, of_day)) == "CREDIT_ALREADY_WITHDRAWN"
    assert said(decide_credit_withdrawal(replace(WITHDRAW, credit_position=8), of_day)) == ""
