"""The commands of CommandService."""

from __future__ import annotations

from typing import Final

from ledger.domain import commands
from ledger.domain.events import AccountBanned, CreditWithdrawn, FeeCredited, Recorded
from ledger.domain.instants import BEGINNING_NS, DAY_NS
from ledger.domain.money import SCALE_MAX
from ledger.domain.refusal import Reason
from ledger.domain.state.programme import PRODUCTS
from ledger.domain.streams import account_and_day
from ledger.v1 import command_pb2
from ledger.v1 import command_service_pb2 as pb
from ledger.wire.commands.grants import grant_of
from ledger.wire.fields import (
    Shape,
    amount,
    at_most,
    interval,
    optional_id,
    optional_ns,
    past_ns,
    required_id,
    required_position,
    utc_day,
)
from ledger.wire.status import refuse, timestamp

EVIDENCE_MAX: Final = 100  # metrics that one ban rests on


def register_account(shape: Shape, request: pb.RegisterAccountRequest, latest_ns: int) -> commands.RegisterAccount:
    """Read RegisterAccount."""
    return commands.RegisterAccount(
        account_id=shape(required_id, request.account_id, "account_id"),
        owner_id=shape(optional_id, request.owner_id, "owner_id"),
        parent_account_id=shape(optional_id, request.parent_account_id, "parent_account_id"),
        registered_time_ns=shape(optional_ns, request, "registered_time", past_ns, latest_ns),
    )


def register_symbol(shape: Shape, request: pb.RegisterSymbolRequest, _: int) -> commands.RegisterSymbol:
    """Read RegisterSymbol."""
    return commands.RegisterSymbol(
        symbol=shape(required_id, request.symbol, "symbol"),
        base_currency=shape(required_id, request.base_currency, "base_currency"),
        quote_currency=shape(required_id, request.quote_currency, "quote_currency"),
        product=shape(_product, request.product),
        price_scale=shape(_scale, request.price_scale, "price_scale"),
        quantity_scale=shape(_scale, request.quantity_scale, "quantity_scale"),
        valid_from_ns=shape(optional_ns, request, "valid_from") if request.HasField("valid_from") else BEGINNING_NS,
        pair_class=shape(optional_id, request.pair_class, "pair_class"),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def register_currency(shape: Shape, request: pb.RegisterCurrencyRequest, _: int) -> commands.RegisterCurrency:
    """Read RegisterCurrency."""
    return commands.RegisterCurrency(
        currency=shape(required_id, request.currency, "currency"),
        decimals=shape(_scale, request.decimals, "decimals"),
    )


def start_trial(shape: Shape, request: pb.StartTrialRequest, latest_ns: int) -> commands.StartTrial:
    """Read StartTrial."""
    return commands.StartTrial(
        account_id=shape(required_id, request.account_id, "account_id"),
        start_time_ns=shape(optional_ns, request, "start_time", past_ns, latest_ns),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def start_trial_response(recorded: Recorded) -> pb.StartTrialResponse:
    """Answer with the grant of the trial."""
    return pb.StartTrialResponse(grant=grant_of(recorded.event))


def change_tier(shape: Shape, request: pb.ChangeTierRequest, _: int) -> commands.ChangeTier:
    """Read ChangeTier."""
    valid_from_ns = shape(optional_ns, request, "valid_from")
    valid_until_ns = shape(optional_ns, request, "valid_until")
    shape(interval, valid_from_ns, valid_until_ns, "valid_until")
    return commands.ChangeTier(
        account_id=shape(required_id, request.account_id, "account_id"),
        tier=shape(required_id, request.tier, "tier"),
        valid_from_ns=valid_from_ns,
        valid_until_ns=valid_until_ns,
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def change_tier_response(recorded: Recorded) -> pb.ChangeTierResponse:
    """Answer with the grant."""
    return pb.ChangeTierResponse(grant=grant_of(recorded.event))


def revoke_tier(shape: Shape, request: pb.RevokeTierRequest, _: int) -> commands.RevokeTier:
    """Read RevokeTier."""
    return commands.RevokeTier(
        account_id=shape(required_id, request.account_id, "account_id"),
        grant_id=shape(required_id, request.grant_id, "grant_id"),
        revoke_time_ns=shape(optional_ns, request, "revoke_time"),
    )


def ban_account(shape: Shape, request: pb.BanAccountRequest, latest_ns: int) -> commands.BanAccount:
    """Read BanAccount."""
    return commands.BanAccount(
        account_id=shape(required_id, request.account_id, "account_id"),
        days=request.days,
        start_time_ns=shape(optional_ns, request, "start_time", past_ns, latest_ns),
        reason_code=shape(required_id, request.reason_code, "reason_code"),
        evidence_positions=shape(at_most, request.evidence_positions, "evidence_positions", EVIDENCE_MAX),
    )


def ban_account_response(recorded: Recorded) -> pb.BanAccountResponse:
    """Answer with the ban."""
    event = recorded.event
    assert isinstance(event, AccountBanned), recorded
    ban = command_pb2.Ban(
        ban_id=event.ban_id,
        start_time=timestamp(event.start_time_ns),
        end_time=timestamp(event.end_time_ns),
        reason_code=event.reason_code,
    )
    return pb.BanAccountResponse(ban=ban)


def lift_ban(shape: Shape, request: pb.LiftBanRequest, latest_ns: int) -> commands.LiftBan:
    """Read LiftBan."""
    return commands.LiftBan(
        account_id=shape(required_id, request.account_id, "account_id"),
        lift_time_ns=shape(optional_ns, request, "lift_time", past_ns, latest_ns),
    )


def release_fact(
    shape: Shape, request: pb.ReleaseFactRequest, _: int
) -> commands.ReleaseFact | commands.ReleaseSharedFact:
    """Read ReleaseFact."""
    if not request.account_id:
        return commands.ReleaseSharedFact(_fact_position(shape, request))
    return commands.ReleaseFact(*_fact(shape, request))


def decline_fact(
    shape: Shape, request: pb.DeclineFactRequest, _: int
) -> commands.DeclineFact | commands.DeclineSharedFact:
    """Read DeclineFact."""
    if not request.account_id:
        return commands.DeclineSharedFact(_fact_position(shape, request))
    return commands.DeclineFact(*_fact(shape, request))


def withdraw_fact(shape: Shape, request: pb.WithdrawFactRequest, _: int) -> commands.WithdrawFact:
    """Read WithdrawFact."""
    return commands.WithdrawFact(*_fact(shape, request))


_FactRequest = pb.ReleaseFactRequest | pb.DeclineFactRequest | pb.WithdrawFactRequest


def _fact(shape: Shape, request: _FactRequest) -> tuple[str, int]:
    account_id = shape(required_id, request.account_id, "account_id")
    return account_id, _fact_position(shape, request)


def _fact_position(shape: Shape, request: _FactRequest) -> int:
    position: int = shape(required_position, request.fact_position, "fact_position")
    return position


def credit_fee(shape: Shape, request: pb.CreditFeeRequest, latest_ns: int) -> commands.CreditFee:
    """Read CreditFee."""
    return commands.CreditFee(
        account_id=shape(required_id, request.account_id, "account_id"),
        day=shape(_past_day, request.day, latest_ns),
        amount=shape(amount, request.amount, "amount"),
        currency=shape(required_id, request.currency, "currency"),
        reason_code=shape(required_id, request.reason_code, "reason_code"),
    )


def credit_fee_response(recorded: Recorded) -> pb.CreditFeeResponse:
    """Answer with the day, and what is credited."""
    event, (_, day) = recorded.event, account_and_day(recorded.stream)
    assert isinstance(event, FeeCredited), recorded
    return pb.CreditFeeResponse(day=day, amount=event.amount, currency=event.currency)


def withdraw_credit(shape: Shape, request: pb.WithdrawCreditRequest, _: int) -> commands.WithdrawCredit:
    """Read WithdrawCredit."""
    return commands.WithdrawCredit(
        account_id=shape(required_id, request.account_id, "account_id"),
        credit_position=shape(required_position, request.credit_position, "credit_position"),
        reason_code=shape(required_id, request.reason_code, "reason_code"),
    )


def withdraw_credit_response(recorded: Recorded) -> pb.WithdrawCreditResponse:
    """Answer with the credit that is taken back."""
    event, (_, day) = recorded.event, account_and_day(recorded.stream)
    assert isinstance(event, CreditWithdrawn), recorded
    return pb.WithdrawCreditResponse(
        credit_position=event.credit_position, day=day, amount=event.amount, currency=event.currency
    )


def _past_day(value: str, latest_ns: int) -> int:
    day = utc_day(value, "day")
    if day * DAY_NS > latest_ns:
        refuse(Reason.TIME_IN_FUTURE, "day", "lies in the future")
    return day


def _product(value: int) -> int:
    if value not in (0, *PRODUCTS.values()):
        refuse(Reason.ENUM_UNSPECIFIED, "product", f"{value} is not a product")
    return value or PRODUCTS["SPOT"]


def _scale(value: int, field: str) -> int:
    if value > SCALE_MAX:
        refuse(Reason.SCALE_OUT_OF_RANGE, field, f"{value} decimals, at most {SCALE_MAX}")
    return value
