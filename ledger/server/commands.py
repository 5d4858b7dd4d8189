"""CommandService: the back office. Each RPC reads its shape, waits for the commit, and answers from the event."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import (
    AccountBanned,
    AccountRegistered,
    BanLifted,
    Event,
    TierChanged,
    TierRevoked,
    TrialStarted,
)
from ledger.server.command_rpc import Asking
from ledger.v1 import command_pb2
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import command_service_pb2_grpc as pb_grpc
from ledger.wire.status import timestamp


class CommandService(Asking, pb_grpc.CommandServiceServicer):
    """Handlers of the back office's RPCs."""

    def RegisterAccount(self, request: pb.RegisterAccountRequest, context: Any) -> pb.RegisterAccountResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, AccountRegistered), event
        return pb.RegisterAccountResponse(receipt=receipt, owner_id=event.owner_id)

    def RegisterSymbol(self, request: pb.RegisterSymbolRequest, context: Any) -> pb.RegisterSymbolResponse:
        receipt, _ = self.ask(request, context)
        return pb.RegisterSymbolResponse(receipt=receipt)

    def RegisterCurrency(self, request: pb.RegisterCurrencyRequest, context: Any) -> pb.RegisterCurrencyResponse:
        receipt, _ = self.ask(request, context)
        return pb.RegisterCurrencyResponse(receipt=receipt)

    def StartTrial(self, request: pb.StartTrialRequest, context: Any) -> pb.StartTrialResponse:
        receipt, event = self.ask(request, context)
        return pb.StartTrialResponse(receipt=receipt, grant=grant_of(event))

    def ChangeTier(self, request: pb.ChangeTierRequest, context: Any) -> pb.ChangeTierResponse:
        receipt, event = self.ask(request, context)
        return pb.ChangeTierResponse(receipt=receipt, grant=grant_of(event))

    def RevokeTier(self, request: pb.RevokeTierRequest, context: Any) -> pb.RevokeTierResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, TierRevoked), event
        return pb.RevokeTierResponse(receipt=receipt, revoked_time=timestamp(event.revoked_time_ns))

    def BanAccount(self, request: pb.BanAccountRequest, context: Any) -> pb.BanAccountResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, AccountBanned), event
        ban = command_pb2.Ban(
            ban_id=event.ban_id,
            start_time=timestamp(event.start_time_ns),
            end_time=timestamp(event.end_time_ns),
            reason_code=event.reason_code,
        )
        return pb.BanAccountResponse(receipt=receipt, ban=ban)

    def LiftBan(self, request: pb.LiftBanRequest, context: Any) -> pb.LiftBanResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, BanLifted), event
        return pb.LiftBanResponse(receipt=receipt, lifted_time=timestamp(event.lifted_time_ns))


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
