"""Show what a command did, and where that is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.cli.screens.accounts import flag_kind
from ledger.cli.screens.layout import instant
from ledger.v1 import command_service_pb2 as command_pb
from ledger.v1 import evaluation_service_pb2 as evaluations_pb
from ledger.v1 import member_service_pb2 as member_pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from ledger.v1 import reward_service_pb2 as rewards_pb

# What is told of an answer, with its fields in it, where a sentence says it all.
_SENTENCES: Final[Mapping[type[Message], str]] = {
    command_pb.RegisterAccountResponse: "registered, owner {owner_id}",
    command_pb.RegisterSymbolResponse: "registered",
    command_pb.RegisterCurrencyResponse: "registered",
    command_pb.RevokeTierResponse: "revoked from {revoked_time} UTC on",
    command_pb.LiftBanResponse: "not banned from {lifted_time} UTC on",
    member_pb.UnflagAccountResponse: "not flagged from {unflagged_time} UTC on",
    member_pb.RequestMatchResponse: "match {match_id} is rejected, {refused_because}",
    member_pb.RejectMatchResponse: "match rejected at {rejected_time} UTC",
    member_pb.SubmitApplicationResponse: "application {application_id} is received",
    member_pb.VerifyApiIdentityResponse: "identity verified at {verified_time} UTC",
    member_pb.SettleApplicationResponse: "application settled at {settled_time} UTC",
    member_pb.AssignKeyAccountManagerResponse: "has this key account manager from {assigned_time} UTC on",
    member_pb.RecordBehaviourMetricResponse: "metric recorded; a ban names it by --evidence {receipt.position}",
    rewards_pb.ReportFeedbackResponse: "report {report_id} of week {week}",
    rewards_pb.AwardBountyResponse: "bounty awarded to {account_id}, which was {tier} when it reported",
    rewards_pb.CloseBountyRoundResponse: "round closed at {closed_time} UTC",
    rewards_pb.AnnouncePromotionResponse: "announced",
    rewards_pb.AwardBonusResponse: "bonus awarded",
    programmes_pb.AssignPairClassResponse: "class assigned from {valid_from} UTC on",
    programmes_pb.SetPairRatesResponse: "own rates changed from {valid_from} UTC on",
    evaluations_pb.RecordDailyCloseResponse: "closed at {close.price} {close.currency} on {close.day}",
}


def written(answer: Any, subject: str, request_id: str) -> list[str]:
    """Return three lines: what a command did to its subject, where that is recorded, and the request id."""
    receipt = answer.receipt
    before = " before" if receipt.replayed else ""
    where = f"at position {receipt.position} of {receipt.ledger_id}, {instant(receipt.recorded_time)} UTC"
    return [f"{subject}: {_outcome(answer)}", f"recorded{before} {where}", f"request id {request_id}"]


def _outcome(answer: Any) -> str:
    match answer:
        case (
            command_pb.StartTrialResponse(grant=grant)
            | command_pb.ChangeTierResponse(grant=grant)
            | member_pb.ApproveMatchResponse(grant=grant)
        ):
            until = f" until {instant(grant.valid_until)} UTC" if grant.HasField("valid_until") else ", without an end"
            return f"{grant.tier} ({grant.source} {grant.grant_id}) from {instant(grant.valid_from)}{until}"
        case command_pb.BanAccountResponse(ban=ban):
            return f"banned from {instant(ban.start_time)} until {instant(ban.end_time)} UTC ({ban.reason_code})"
        case member_pb.FlagAccountResponse(flag=flag):
            return f"flagged {flag_kind(flag)} ({flag.flag_id}) from {instant(flag.flagged_time)} UTC on"
        case member_pb.RequestMatchResponse(eligible=True):
            return f"match {answer.match_id} is worth {answer.tier} and waits for approval"
        case rewards_pb.AwardBonusResponse(overridden=True):
            return "bonus awarded, although it is not eligible: an approver let it in"
        case programmes_pb.PublishProgrammeResponse(programme=version):
            since = instant(version.valid_from)
            return f"{version.programme_id} {version.version} in force from {since} UTC on"
        case _ if type(answer) in _SENTENCES:
            values = {field.name: _shown(getattr(answer, field.name)) for field in answer.DESCRIPTOR.fields}
            return _SENTENCES[type(answer)].format_map(values)
        case _:
            return _of_any(answer)


def _of_any(answer: Message) -> str:
    """Return the fields of an answer beside its receipt, for example "noted time 2024-10-04 12:00:00"."""
    others = [(field, value) for field, value in answer.ListFields() if field.name != "receipt"]
    return ", ".join(f"{field.name.replace('_', ' ')} {_shown(value)}" for field, value in others) or "done"


def _shown(value: Any) -> Any:
    return instant(value) if isinstance(value, Timestamp) else value
