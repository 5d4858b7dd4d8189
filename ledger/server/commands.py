"""CommandService: the back office. Each RPC reads its shape, waits for the commit, and answers from the event."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain import commands
from ledger.domain.commands import Command, Request
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
from ledger.domain.programme import PRODUCTS
from ledger.domain.refusal import Reason
from ledger.jobs import Accepted, Ask, Refused
from ledger.server.handling import Handling
from ledger.shape import REASON_TEXT_CHARACTERS_MAX, Shape, optional_id, past_ns, required_id, text, time_ns
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import command_service_pb2_grpc as pb_grpc
from ledger.wire import RefusedError, refusals, refuse, timestamp

_TICKET_CHARACTERS_MAX: Final = 200


class CommandService(pb_grpc.CommandServiceServicer):
    """Handlers of the back office's RPCs."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def RegisterAccount(self, request: pb.RegisterAccountRequest, context: Any) -> pb.RegisterAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.RegisterAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                owner_id=shape(optional_id, request.owner_id, "owner_id"),
                parent_account_id=shape(optional_id, request.parent_account_id, "parent_account_id"),
                registered_time_ns=shape(self._past, request, "registered_time"),
            )

        receipt, event = self._ask(request, context, read)
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
                valid_from_ns=shape(_given, request, "valid_from", BEGINNING_NS),
                pair_class=shape(optional_id, request.pair_class, "pair_class"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, _ = self._ask(request, context, read)
        return pb.RegisterSymbolResponse(receipt=receipt)

    def RegisterCurrency(self, request: pb.RegisterCurrencyRequest, context: Any) -> pb.RegisterCurrencyResponse:
        def read(shape: Shape) -> Command:
            return commands.RegisterCurrency(
                currency=shape(required_id, request.currency, "currency"),
                decimals=shape(_scale, request.decimals, "decimals"),
            )

        receipt, _ = self._ask(request, context, read)
        return pb.RegisterCurrencyResponse(receipt=receipt)

    def StartTrial(self, request: pb.StartTrialRequest, context: Any) -> pb.StartTrialResponse:
        def read(shape: Shape) -> Command:
            return commands.StartTrial(
                account_id=shape(required_id, request.account_id, "account_id"),
                start_time_ns=shape(self._past, request, "start_time"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self._ask(request, context, read)
        return pb.StartTrialResponse(receipt=receipt, grant=_grant(event))

    def ChangeTier(self, request: pb.ChangeTierRequest, context: Any) -> pb.ChangeTierResponse:
        def read(shape: Shape) -> Command:
            valid_from_ns = shape(_given, request, "valid_from", None)
            valid_until_ns = shape(_given, request, "valid_until", None)
            shape(_interval, valid_from_ns, valid_until_ns)
            return commands.ChangeTier(
                account_id=shape(required_id, request.account_id, "account_id"),
                tier=shape(required_id, request.tier, "tier"),
                valid_from_ns=valid_from_ns,
                valid_until_ns=valid_until_ns,
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self._ask(request, context, read)
        return pb.ChangeTierResponse(receipt=receipt, grant=_grant(event))

    def RevokeTier(self, request: pb.RevokeTierRequest, context: Any) -> pb.RevokeTierResponse:
        def read(shape: Shape) -> Command:
            return commands.RevokeTier(
                account_id=shape(required_id, request.account_id, "account_id"),
                grant_id=shape(required_id, request.grant_id, "grant_id"),
                revoke_time_ns=shape(_given, request, "revoke_time", None),
            )

        receipt, event = self._ask(request, context, read)
        assert isinstance(event, TierRevoked), event
        return pb.RevokeTierResponse(receipt=receipt, revoked_time=timestamp(event.revoked_time_ns))

    def BanAccount(self, request: pb.BanAccountRequest, context: Any) -> pb.BanAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.BanAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                days=request.days,
                start_time_ns=shape(self._past, request, "start_time"),
                reason_code=shape(required_id, request.reason_code, "reason_code"),
            )

        receipt, event = self._ask(request, context, read)
        assert isinstance(event, AccountBanned), event
        ban = pb.Ban(
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
                lift_time_ns=shape(self._past, request, "lift_time"),
            )

        receipt, event = self._ask(request, context, read)
        assert isinstance(event, BanLifted), event
        return pb.LiftBanResponse(receipt=receipt, lifted_time=timestamp(event.lifted_time_ns))

    def _past(self, request: Message, field: str) -> int | None:
        """A time of something that has happened; None: not given."""
        if not request.HasField(field):
            return None
        return past_ns(getattr(request, field), field, self._handling.latest_ns())

    def _ask(
        self, request: Any, context: grpc.ServicerContext, read: Callable[[Shape], Command]
    ) -> tuple[pb.Receipt, Event]:
        """The receipt and the first event of a command, or the end of the call with a status."""
        with refusals(context):
            with Shape() as shape:
                ask = Ask(_request(shape, request), read(shape))
            answer = self._handling.submit(ask, context)
            if isinstance(answer, Refused):
                raise RefusedError(answer.refusal, **_record_of(answer))
            assert isinstance(answer, Accepted), answer
            return self._receipt(answer), answer.recorded.event
        raise AssertionError("refusals end the call")

    def _receipt(self, answer: Accepted) -> pb.Receipt:
        return pb.Receipt(
            ledger_id=self._handling.ledger_id,
            position=answer.recorded.position,
            recorded_time=timestamp(answer.recorded.envelope.recorded_time_ns),
            replayed=answer.replayed,
        )


def _request(shape: Shape, request: Any) -> Request:
    """Who asks. The hash is of the RPC and its body, as this release serialises it, deterministically."""
    authority = request.authority
    return Request(
        request_id=shape(required_id, request.request_id, "request_id"),
        sha256=hashlib.sha256(
            request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
        ).digest(),
        actor=shape(optional_id, authority.actor, "authority.actor"),
        approver=shape(optional_id, authority.approver, "authority.approver"),
        ticket=shape(text, authority.ticket, "authority.ticket", _TICKET_CHARACTERS_MAX),
        reason=shape(text, authority.reason, "authority.reason", REASON_TEXT_CHARACTERS_MAX),
        reason_salt=os.urandom(16),
    )


def _record_of(answer: Refused) -> dict[str, str]:
    if not answer.position:
        return {}
    return {"position": str(answer.position), "replayed": "true" if answer.replayed else "false"}


def _given(request: Message, field: str, default: Any) -> Any:
    """A time field in ns, or the default where it is not set."""
    if not request.HasField(field):
        return default
    value: Timestamp = getattr(request, field)
    return time_ns(value, field)


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


def _grant(event: Event) -> pb.Grant:
    assert isinstance(event, TrialStarted | TierChanged), event
    grant = pb.Grant(
        grant_id=event.grant_id,
        tier=event.tier,
        source="TRIAL" if isinstance(event, TrialStarted) else event.source,
        valid_from=timestamp(event.valid_from_ns),
        programme_id=event.programme_id,
    )
    if event.valid_until_ns is not None:
        grant.valid_until.CopyFrom(timestamp(event.valid_until_ns))
    return grant
