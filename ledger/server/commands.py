"""CommandService: the back office. Each RPC reads its shape, waits for the commit, and answers from the event."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.events import (
    AccountBanned,
    AccountRegistered,
    BanLifted,
    Event,
    TierChanged,
    TierRevoked,
    TrialStarted,
)
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.money import SCALE_MAX
from ledger.domain.refusal import Reason
from ledger.domain.state.programme import PRODUCTS
from ledger.server.command_rpc import Asking, given
from ledger.v1 import command_pb2
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import command_service_pb2_grpc as pb_grpc
from ledger.wire.fields import Shape, at_most, optional_id, required_id
from ledger.wire.status import refuse, timestamp

EVIDENCE_MAX: Final = 100  # metrics that one ban rests on


class CommandService(Asking, pb_grpc.CommandServiceServicer):
    """Handlers of the back office's RPCs."""

    def RegisterAccount(self, request: pb.RegisterAccountRequest, context: Any) -> pb.RegisterAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.RegisterAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                owner_id=shape(optional_id, request.owner_id, "owner_id"),
                parent_account_id=shape(optional_id, request.parent_account_id, "parent_account_id"),
                registered_time_ns=shape(self.past, request, "registered_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, AccountRegistered), event
        return pb.RegisterAccountResponse(receipt=receipt, owner_id=event.owner_id)

    def RegisterSymbol(self, request: pb.RegisterSymbolRequest, context: Any) -> pb.RegisterSymbolResponse:
        def read(shape: Shape) -> Command:
            return commands.RegisterSymbol(
                symbol=shape(required_id, request.symbol, "symbol"),
                base_currency=shape(required_id, request.base_currency, "base_currency"),
                quote_currency=shape(required_id, request.quote_currency, "quote_currency"),
                product=shape(_product, request.product),
                price_scale=shape(_scale, request.price_scale, "price_scale"),
                quantity_scale=shape(_scale, request.quantity_scale, "quantity_scale"),
                valid_from_ns=shape(given, request, "valid_from", BEGINNING_NS),
                pair_class=shape(optional_id, request.pair_class, "pair_class"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, _ = self.ask(request, context, read)
        return pb.RegisterSymbolResponse(receipt=receipt)

    def RegisterCurrency(self, request: pb.RegisterCurrencyRequest, context: Any) -> pb.RegisterCurrencyResponse:
        def read(shape: Shape) -> Command:
            return commands.RegisterCurrency(
                currency=shape(required_id, request.currency, "currency"),
                decimals=shape(_scale, request.decimals, "decimals"),
            )

        receipt, _ = self.ask(request, context, read)
        return pb.RegisterCurrencyResponse(receipt=receipt)

    def StartTrial(self, request: pb.StartTrialRequest, context: Any) -> pb.StartTrialResponse:
        def read(shape: Shape) -> Command:
            return commands.StartTrial(
                account_id=shape(required_id, request.account_id, "account_id"),
                start_time_ns=shape(self.past, request, "start_time"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        return pb.StartTrialResponse(receipt=receipt, grant=grant_of(event))

    def ChangeTier(self, request: pb.ChangeTierRequest, context: Any) -> pb.ChangeTierResponse:
        def read(shape: Shape) -> Command:
            valid_from_ns = shape(given, request, "valid_from", None)
            valid_until_ns = shape(given, request, "valid_until", None)
            shape(_interval, valid_from_ns, valid_until_ns)
            return commands.ChangeTier(
                account_id=shape(required_id, request.account_id, "account_id"),
                tier=shape(required_id, request.tier, "tier"),
                valid_from_ns=valid_from_ns,
                valid_until_ns=valid_until_ns,
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        return pb.ChangeTierResponse(receipt=receipt, grant=grant_of(event))

    def RevokeTier(self, request: pb.RevokeTierRequest, context: Any) -> pb.RevokeTierResponse:
        def read(shape: Shape) -> Command:
            return commands.RevokeTier(
                account_id=shape(required_id, request.account_id, "account_id"),
                grant_id=shape(required_id, request.grant_id, "grant_id"),
                revoke_time_ns=shape(given, request, "revoke_time", None),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, TierRevoked), event
        return pb.RevokeTierResponse(receipt=receipt, revoked_time=timestamp(event.revoked_time_ns))

    def BanAccount(self, request: pb.BanAccountRequest, context: Any) -> pb.BanAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.BanAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                days=request.days,
                start_time_ns=shape(self.past, request, "start_time"),
                reason_code=shape(required_id, request.reason_code, "reason_code"),
                evidence_positions=shape(at_most, request.evidence_positions, "evidence_positions", EVIDENCE_MAX),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, AccountBanned), event
        ban = command_pb2.Ban(
            ban_id=event.ban_id,
            start_time=timestamp(event.start_time_ns),
            end_time=timestamp(event.end_time_ns),
            reason_code=event.reason_code,
        )
        return pb.BanAccountResponse(receipt=receipt, ban=ban)

    def LiftBan(self, request: pb.LiftBanRequest, context: Any) -> pb.LiftBanResponse:
        def read(shape: Shape) -> Command:
            return commands.LiftBan(
                account_id=shape(required_id, request.account_id, "account_id"),
                lift_time_ns=shape(self.past, request, "lift_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, BanLifted), event
        return pb.LiftBanResponse(receipt=receipt, lifted_time=timestamp(event.lifted_time_ns))


def _product(value: int) -> int:
    if value not in (0, *PRODUCTS.values()):
        refuse(Reason.ENUM_UNSPECIFIED, "product", f"{value} is not a product")
    return value or PRODUCTS["SPOT"]


def _interval(from_ns: int | None, until_ns: int | None) -> None:
    if from_ns is not None and until_ns is not None and until_ns <= from_ns:
        refuse(Reason.INTERVAL_EMPTY, "valid_until", "the grant would end before or when it starts")


def _scale(value: int, field: str) -> int:
    if value > SCALE_MAX:
        refuse(Reason.SCALE_OUT_OF_RANGE, field, f"{value} decimals, at most {SCALE_MAX}")
    return value


def grant_of(event: Event) -> command_pb2.Grant:
    """The grant that an event gave, on the wire."""
    assert isinstance(event, TrialStarted | TierChanged), event
    grant = command_pb2.Grant(
        grant_id=event.grant_id,
        tier=event.tier,
        source="TRIAL" if isinstance(event, TrialStarted) else event.source,
        valid_from=timestamp(event.valid_from_ns),
        programme_id=event.programme_id,
        evidence="" if isinstance(event, TrialStarted) else event.evidence,
    )
    if event.valid_until_ns is not None:
        grant.valid_until.CopyFrom(timestamp(event.valid_until_ns))
    return grant
