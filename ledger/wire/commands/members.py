"""The commands of MemberService."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

from ledger.domain import commands
from ledger.domain.events import (
    AccountFlagged,
    MatchClaim,
    MatchRejected,
    MatchRequested,
    Recorded,
)
from ledger.domain.refusal import Reason
from ledger.domain.rules.application import OUTCOMES, STEPS
from ledger.domain.rules.fake_accounts import KINDS
from ledger.v1 import command_pb2
from ledger.v1 import member_service_pb2 as pb
from ledger.wire.commands.grants import grant_of
from ledger.wire.enums import set_words
from ledger.wire.fields import (
    Shape,
    digest,
    ids,
    interval,
    measure,
    named,
    optional_id,
    optional_ns,
    past_ns,
    required_digest,
    required_id,
    required_ns,
    volume,
)
from ledger.wire.status import timestamp

VENUES_MAX: Final = 20  # exchanges in one match


def flag_account(shape: Shape, request: pb.FlagAccountRequest, latest_ns: int) -> commands.FlagAccount:
    """Read FlagAccount."""
    return commands.FlagAccount(
        account_id=shape(required_id, request.account_id, "account_id"),
        kind=shape(named, request.kind, KINDS, "kind"),
        flag_time_ns=shape(optional_ns, request, "flag_time", past_ns, latest_ns),
        evidence_sha256=shape(digest, request.evidence_sha256, "evidence_sha256"),
    )


def flag_account_response(recorded: Recorded) -> pb.FlagAccountResponse:
    """Answer with the flag."""
    event = recorded.event
    assert isinstance(event, AccountFlagged), recorded
    kind = command_pb2.FlagKind.ValueType(KINDS.index(event.kind) + 1)
    flag = command_pb2.Flag(flag_id=event.flag_id, kind=kind, flagged_time=timestamp(event.flagged_time_ns))
    return pb.FlagAccountResponse(flag=flag)


def unflag_account(shape: Shape, request: pb.UnflagAccountRequest, latest_ns: int) -> commands.UnflagAccount:
    """Read UnflagAccount."""
    return commands.UnflagAccount(
        account_id=shape(required_id, request.account_id, "account_id"),
        unflag_time_ns=shape(optional_ns, request, "unflag_time", past_ns, latest_ns),
    )


def request_match(shape: Shape, request: pb.RequestMatchRequest, latest_ns: int) -> commands.RequestMatch:
    """Read RequestMatch."""
    return commands.RequestMatch(
        account_id=shape(required_id, request.account_id, "account_id"),
        claim=_claim(shape, request, latest_ns),
        request_time_ns=shape(optional_ns, request, "request_time", past_ns, latest_ns),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def request_match_response(recorded: Recorded) -> pb.RequestMatchResponse:
    """Answer with the match, and its tier or why it is not eligible."""
    event = recorded.event
    assert isinstance(event, MatchRequested | MatchRejected), recorded
    if isinstance(event, MatchRejected):
        response = pb.RequestMatchResponse(match_id=event.match_id)
        set_words(response, refused_because=Reason(event.reason).name)
        return response
    return pb.RequestMatchResponse(match_id=event.match_id, eligible=True, tier=event.tier)


def approve_match(shape: Shape, request: pb.ApproveMatchRequest, latest_ns: int) -> commands.ApproveMatch:
    """Read ApproveMatch."""
    return commands.ApproveMatch(
        account_id=shape(required_id, request.account_id, "account_id"),
        match_id=shape(required_id, request.match_id, "match_id"),
        approved_by=request.authority.actor,
        approve_time_ns=shape(optional_ns, request, "approve_time", past_ns, latest_ns),
    )


def approve_match_response(recorded: Recorded) -> pb.ApproveMatchResponse:
    """Answer with the grant of the match."""
    return pb.ApproveMatchResponse(grant=grant_of(recorded.event))


def reject_match(shape: Shape, request: pb.RejectMatchRequest, latest_ns: int) -> commands.RejectMatch:
    """Read RejectMatch."""
    return commands.RejectMatch(
        account_id=shape(required_id, request.account_id, "account_id"),
        match_id=shape(required_id, request.match_id, "match_id"),
        reason_code=shape(required_id, request.reason_code, "reason_code"),
        reject_time_ns=shape(optional_ns, request, "reject_time", past_ns, latest_ns),
    )


def submit_application(
    shape: Shape, request: pb.SubmitApplicationRequest, latest_ns: int
) -> commands.SubmitApplication:
    """Read SubmitApplication."""
    return commands.SubmitApplication(
        account_id=shape(required_id, request.account_id, "account_id"),
        received_time_ns=shape(optional_ns, request, "received_time", past_ns, latest_ns),
        steps={step: getattr(request, step) for step in STEPS},
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def verify_api_identity(
    shape: Shape, request: pb.VerifyApiIdentityRequest, latest_ns: int
) -> commands.VerifyApiIdentity:
    """Read VerifyApiIdentity."""
    return commands.VerifyApiIdentity(
        account_id=shape(required_id, request.account_id, "account_id"),
        verified_time_ns=shape(optional_ns, request, "verified_time", past_ns, latest_ns),
    )


def settle_application(
    shape: Shape, request: pb.SettleApplicationRequest, latest_ns: int
) -> commands.SettleApplication:
    """Read SettleApplication."""
    return commands.SettleApplication(
        account_id=shape(required_id, request.account_id, "account_id"),
        application_id=shape(required_id, request.application_id, "application_id"),
        outcome=shape(named, request.outcome, OUTCOMES, "outcome"),
        settle_time_ns=shape(optional_ns, request, "settle_time", past_ns, latest_ns),
    )


def assign_key_account_manager(
    shape: Shape, request: pb.AssignKeyAccountManagerRequest, latest_ns: int
) -> commands.AssignKeyAccountManager:
    """Read AssignKeyAccountManager."""
    return commands.AssignKeyAccountManager(
        account_id=shape(required_id, request.account_id, "account_id"),
        manager_id=shape(required_id, request.manager_id, "manager_id"),
        assign_time_ns=shape(optional_ns, request, "assign_time", past_ns, latest_ns),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def record_behaviour_metric(
    shape: Shape, request: pb.RecordBehaviourMetricRequest, latest_ns: int
) -> commands.RecordBehaviourMetric:
    """Read RecordBehaviourMetric."""
    from_ns, until_ns = _past_interval(shape, request, "window_from", "window_until", latest_ns)
    return commands.RecordBehaviourMetric(
        account_id=shape(required_id, request.account_id, "account_id"),
        code=shape(required_id, request.code, "code"),
        value=shape(measure, request.value, "value"),
        window_from_ns=from_ns,
        window_until_ns=until_ns,
    )


def _claim(shape: Shape, request: pb.RequestMatchRequest, latest_ns: int) -> MatchClaim:
    from_ns, until_ns = _past_interval(shape, request, "period_from", "period_until", latest_ns)
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


def _past_interval(
    shape: Shape, request: Message, from_field: str, until_field: str, latest_ns: int
) -> tuple[int, int]:
    """[from, until) of something that is over."""
    from_ns = shape(required_ns, request, from_field, past_ns, latest_ns)
    until_ns = shape(required_ns, request, until_field, past_ns, latest_ns)
    shape(interval, from_ns, until_ns, until_field)
    return from_ns, until_ns
