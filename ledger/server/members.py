"""MemberService: fake accounts, fee rate matches, applications, key account managers, behaviour."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import (
    AccountFlagged,
    AccountUnflagged,
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    KamAssigned,
    MatchRejected,
    MatchRequested,
)
from ledger.domain.refusal import Reason
from ledger.server.command_rpc import Asking
from ledger.server.commands import grant_of
from ledger.v1 import command_pb2
from ledger.v1 import member_service_pb2 as pb
from ledger.v1 import member_service_pb2_grpc as pb_grpc
from ledger.wire.status import timestamp


class MemberService(Asking, pb_grpc.MemberServiceServicer):
    """Handlers of the RPCs about members."""

    def FlagAccount(self, request: pb.FlagAccountRequest, context: Any) -> pb.FlagAccountResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, AccountFlagged), event
        flag = command_pb2.Flag(flag_id=event.flag_id, kind=request.kind, flagged_time=timestamp(event.flagged_time_ns))
        return pb.FlagAccountResponse(receipt=receipt, flag=flag)

    def UnflagAccount(self, request: pb.UnflagAccountRequest, context: Any) -> pb.UnflagAccountResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, AccountUnflagged), event
        return pb.UnflagAccountResponse(receipt=receipt, unflagged_time=timestamp(event.unflagged_time_ns))

    def RequestMatch(self, request: pb.RequestMatchRequest, context: Any) -> pb.RequestMatchResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, MatchRequested | MatchRejected), event
        if isinstance(event, MatchRejected):
            because = Reason(event.reason).name
            return pb.RequestMatchResponse(receipt=receipt, match_id=event.match_id, refused_because=because)
        return pb.RequestMatchResponse(receipt=receipt, match_id=event.match_id, eligible=True, tier=event.tier)

    def ApproveMatch(self, request: pb.ApproveMatchRequest, context: Any) -> pb.ApproveMatchResponse:
        receipt, event = self.ask(request, context)
        return pb.ApproveMatchResponse(receipt=receipt, grant=grant_of(event))

    def RejectMatch(self, request: pb.RejectMatchRequest, context: Any) -> pb.RejectMatchResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, MatchRejected), event
        return pb.RejectMatchResponse(receipt=receipt, rejected_time=timestamp(event.rejected_time_ns))

    def SubmitApplication(self, request: pb.SubmitApplicationRequest, context: Any) -> pb.SubmitApplicationResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, ApplicationSubmitted), event
        return pb.SubmitApplicationResponse(receipt=receipt, application_id=event.application_id)

    def VerifyApiIdentity(self, request: pb.VerifyApiIdentityRequest, context: Any) -> pb.VerifyApiIdentityResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, ApiIdentityVerified), event
        return pb.VerifyApiIdentityResponse(receipt=receipt, verified_time=timestamp(event.verified_time_ns))

    def SettleApplication(self, request: pb.SettleApplicationRequest, context: Any) -> pb.SettleApplicationResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, ApplicationSettled), event
        return pb.SettleApplicationResponse(receipt=receipt, settled_time=timestamp(event.settled_time_ns))

    def AssignKeyAccountManager(
        self, request: pb.AssignKeyAccountManagerRequest, context: Any
    ) -> pb.AssignKeyAccountManagerResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, KamAssigned), event
        return pb.AssignKeyAccountManagerResponse(receipt=receipt, assigned_time=timestamp(event.assigned_time_ns))

    def RecordBehaviourMetric(
        self, request: pb.RecordBehaviourMetricRequest, context: Any
    ) -> pb.RecordBehaviourMetricResponse:
        receipt, _ = self.ask(request, context)
        return pb.RecordBehaviourMetricResponse(receipt=receipt)
