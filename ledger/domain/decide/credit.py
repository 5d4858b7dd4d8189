"""Credits by hand: what two persons give an account back on a day, whatever its fees were, and what they withdraw."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.domain.commands import CreditFee, WithdrawCredit
from ledger.domain.decide.decided import Decided
from ledger.domain.events import CreditWithdrawn, FeeCredited, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.money import mantissa
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import account_of, fee_stream


def decide_credit(command: CreditFee, book: Rulebook, *, is_known: bool) -> Decided | Refusal:
    """Decide a credit; `is_known`: the ledger has heard of the account. It may be more than the fees of the day.

    It counts from the beginning of the day on, so that no instant cuts it.
    """
    if not is_known:
        detail = f"{command.account_id} has not traded, and nothing was recorded of it"
        return Refusal(Reason.ACCOUNT_UNKNOWN, "account_id", detail)
    currency, decimals = command.currency, book.decimals(command.currency)
    if not _is_known(book, currency):
        detail = f"{currency} is not registered, and no symbol or token discount is of it: register it first"
        return Refusal(Reason.CURRENCY_UNKNOWN, "currency", detail)
    if mantissa(command.amount, decimals) is None:
        detail = f"fees in {currency} have {decimals} decimals, and {command.amount} has more"
        return Refusal(Reason.AMOUNT_TOO_FINE, "amount", detail)
    at_ns = command.day * DAY_NS
    event = FeeCredited(command.amount, currency, command.reason_code, at_ns)
    return Decided(at_ns, ((fee_stream(command.account_id, command.day), event),))


def decide_credit_withdrawal(command: WithdrawCredit, of_day: Sequence[Recorded]) -> Decided | Refusal:
    """Decide what takes a credit back. `of_day` are the credits and withdrawals of its account-day, in order."""
    position = command.credit_position
    credit = next((recorded for recorded in of_day if recorded.position == position), None)
    if credit is None or not isinstance(credit.event, FeeCredited) or account_of(credit.stream) != command.account_id:
        detail = f"no credit of {command.account_id} lies at position {position}"
        return Refusal(Reason.CREDIT_UNKNOWN, "credit_position", detail)
    for recorded in of_day:
        if isinstance(recorded.event, CreditWithdrawn) and recorded.event.credit_position == position:
            detail = f"the credit at position {position} was withdrawn at position {recorded.position}"
            return Refusal(Reason.CREDIT_ALREADY_WITHDRAWN, "credit_position", detail)
    was = credit.event
    event = CreditWithdrawn(position, was.amount, was.currency, command.reason_code, was.time_min_ns)
    return Decided(was.time_min_ns, ((credit.stream, event),))


def _is_known(book: Rulebook, currency: str) -> bool:
    """Return True if fees may be in a currency: it is registered, one of a symbol's, or a token that fees are paid in.

    Where nothing is registered, any is known.
    """
    terms = [registered for dated in book.symbols.values() for _, registered in dated]
    known = {*book.currencies, *(each.base_currency for each in terms), *(each.quote_currency for each in terms)}
    offers = (programme.token_discount for dated in book.programmes.values() for _, programme in dated)
    return not known or currency in known or any(offer and offer.token == currency for offer in offers)
