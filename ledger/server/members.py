"""MemberService: fake accounts, fee rate matches, applications, key account managers, behaviour."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.events import (
    AccountFlagged,
    AccountUnflagged,
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    KamAssigned,
    MatchClaim,
    MatchRejected,
    MatchRequested,
)
from ledger.domain.refusal import Reason
from ledger.domain.rules.application import OUTCOMES
from ledger.domain.rules.fake_accounts import KINDS
from ledger.server.command_rpc import Asking
from ledger.server.commands import grant_of
from ledger.v1 import command_pb2
from ledger.v1 import member_service_pb2 as pb
from ledger.v1 import member_service_pb2_grpc as pb_grpc
from ledger.wire.fields import (
    Shape,
    digest,
    ids,
    interval,
    measure,
    named,
    optional_id,
    past_ns,
    required_digest,
    required_id,
    required_ns,
    volume,
)
from ledger.wire.status import timestamp

VENUES_MAX: Final = 20  # exchanges in one match
_STEPS: Final = ("account_opened", "api_key_created", "community_joined", "form_submitted")


class MemberService(Asking, pb_grpc.MemberServiceServicer):
    """Handlers of the RPCs about members."""

    def FlagAccount(self, request: pb.FlagAccountRequest, context: Any) -> pb.FlagAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.FlagAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                kind=shape(named, request.kind, KINDS, "kind"),
                flag_time_ns=shape(self.past, request, "flag_time"),
                evidence_sha256=shape(digest, request.evidence_sha256, "evidence_sha256"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, AccountFlagged), event
        flag = command_pb2.Flag(flag_id=event.flag_id, kind=request.kind, flagged_time=timestamp(event.flagged_time_ns))
        return pb.FlagAccountResponse(receipt=receipt, flag=flag)

    def UnflagAccount(self, request: pb.UnflagAccountRequest, context: Any) -> pb.UnflagAccountResponse:
        def read(shape: Shape) -> Command:
            return commands.UnflagAccount(
                account_id=shape(required_id, request.account_id, "account_id"),
                unflag_time_ns=shape(self.past, request, "unflag_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, AccountUnflagged), event
        return pb.UnflagAccountResponse(receipt=receipt, unflagged_time=timestamp(event.unflagged_time_ns))

    def RequestMatch(self, request: pb.RequestMatchRequest, context: Any) -> pb.RequestMatchResponse:
        def read(shape: Shape) -> Command:
            return commands.RequestMatch(
                account_id=shape(required_id, request.account_id, "account_id"),
                claim=self._claim(shape, request),
                request_time_ns=shape(self.past, request, "request_time"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, MatchRequested | MatchRejected), event
        if isinstance(event, MatchRejected):
            because = Reason(event.reason).name
            return pb.RequestMatchResponse(receipt=receipt, match_id=event.match_id, refused_because=because)
        return pb.RequestMatchResponse(receipt=receipt, match_id=event.match_id, eligible=True, tier=event.tier)

    def ApproveMatch(self, request: pb.ApproveMatchRequest, context: Any) -> pb.ApproveMatchResponse:
        def read(shape: Shape) -> Command:
            return commands.ApproveMatch(
                account_id=shape(required_id, request.account_id, "account_id"),
                match_id=shape(required_id, request.match_id, "match_id"),
                approved_by=request.authority.actor,
                approve_time_ns=shape(self.past, request, "approve_time"),
            )

        receipt, event = self.ask(request, context, read)
        return pb.ApproveMatchResponse(receipt=receipt, grant=grant_of(event))

    def RejectMatch(self, request: pb.RejectMatchRequest, context: Any) -> pb.RejectMatchResponse:
        def read(shape: Shape) -> Command:
            return commands.RejectMatch(
                account_id=shape(required_id, request.account_id, "account_id"),
                match_id=shape(required_id, request.match_id, "match_id"),
                reason_code=shape(required_id, request.reason_code, "reason_code"),
                reject_time_ns=shape(self.past, request, "reject_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, MatchRejected), event
        return pb.RejectMatchResponse(receipt=receipt, rejected_time=timestamp(event.rejected_time_ns))

    def SubmitApplication(self, request: pb.SubmitApplicationRequest, context: Any) -> pb.SubmitApplicationResponse:
        def read(shape: Shape) -> Command:
            return commands.SubmitApplication(
                account_id=shape(required_id, request.account_id, "account_id"),
                received_time_ns=shape(self.past, request, "received_time"),
                steps={step: getattr(request, step) for step in _STEPS},
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, ApplicationSubmitted), event
        return pb.SubmitApplicationResponse(receipt=receipt, application_id=event.application_id)

    def VerifyApiIdentity(self, request: pb.VerifyApiIdentityRequest, context: Any) -> pb.VerifyApiIdentityResponse:
        def read(shape: Shape) -> Command:
            return commands.VerifyApiIdentity(
                account_id=shape(required_id, request.account_id, "account_id"),
                verified_time_ns=shape(self.past, request, "verified_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, ApiIdentityVerified), event
        return pb.VerifyApiIdentityResponse(receipt=receipt, verified_time=timestamp(event.verified_time_ns))

    def SettleApplication(self, request: pb.SettleApplicationRequest, context: Any) -> pb.SettleApplicationResponse:
        def read(shape: Shape) -> Command:
            return commands.SettleApplication(
                account_id=shape(required_id, request.account_id, "account_id"),
                application_id=shape(required_id, request.application_id, "application_id"),
                outcome=shape(named, request.outcome, OUTCOMES, "outcome"),
                settle_time_ns=shape(self.past, request, "settle_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, ApplicationSettled), event
        return pb.SettleApplicationResponse(receipt=receipt, settled_time=timestamp(event.settled_time_ns))

    def AssignKeyAccountManager(
        self, request: pb.AssignKeyAccountManagerRequest, context: Any
    ) -> pb.AssignKeyAccountManagerResponse:
        def read(shape: Shape) -> Command:
            return commands.AssignKeyAccountManager(
                account_id=shape(required_id, request.account_id, "account_id"),
                manager_id=shape(required_id, request.manager_id, "manager_id"),
                assign_time_ns=shape(self.past, request, "assign_time"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, KamAssigned), event
        return pb.AssignKeyAccountManagerResponse(receipt=receipt, assigned_time=timestamp(event.assigned_time_ns))

    def RecordBehaviourMetric(
        self, request: pb.RecordBehaviourMetricRequest, context: Any
    ) -> pb.RecordBehaviourMetricResponse:
        def read(shape: Shape) -> Command:
            from_ns, until_ns = self._past_interval(shape, request, "window_from", "window_until")
            return commands.RecordBehaviourMetric(
                account_id=shape(required_id, request.account_id, "account_id"),
                code=shape(required_id, request.code, "code"),
                value=shape(measure, request.value, "value"),
                window_from_ns=from_ns,
                window_until_ns=until_ns,
            )

        receipt, _ = self.ask(request, context, read)
        return pb.RecordBehaviourMetricResponse(receipt=receipt)

    def _claim(self, shape: Shape, request: pb.RequestMatchRequest) -> MatchClaim:
        from_ns, until_ns = self._past_interval(shape, request, "period_from", "period_until")
        external = request.external_volume
        return MatchClaim(
            venues=shape(ids, request.venues, "venues", VENUES_MAX),
            external_tier=shape(required_id, request.external_tier, "external_tier"),
            period_from_ns=from_ns,
            period_until_ns=until_ns,
            spot_volume=shape(volume, external.spot, "external_volume.spot"),
            futures_volume=shape(volume, external.futures, "external_volume.futures"),
            evidence_sha256=shape(required_digest, request.evidence_sha256, "evidence_sha256"),
        )

    def _past_interval(self, shape: Shape, request: Message, from_field: str, until_field: str) -> tuple[int, int]:
        """[from, until) of something that is over."""
        latest_ns = self._handling.latest_ns()
        from_ns = shape(required_ns, request, from_field, past_ns, latest_ns)
        until_ns = shape(required_ns, request, until_field, past_ns, latest_ns)
        shape(interval, from_ns, until_ns, until_field)
        return from_ns, until_ns
