"""Show what a command did, and where that is recorded."""

from __future__ import annotations

from typing import Any

from ledger.cli.screens.accounts import flag_kind
from ledger.cli.screens.layout import instant
from ledger.v1 import command_service_pb2 as command_pb
from ledger.v1 import evaluation_service_pb2 as evaluations_pb
from ledger.v1 import member_service_pb2 as member_pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from ledger.v1 import reward_service_pb2 as rewards_pb


def written(answer: Any, subject: str, request_id: str) -> list[str]:
    """Return three lines: what a command did to its subject, where that is recorded, and the request id."""
    receipt = answer.receipt
    before = " before" if receipt.replayed else ""
    where = f"at position {receipt.position} of {receipt.ledger_id}, {instant(receipt.recorded_time)} UTC"
    outcome = _of_account(answer) or _of_member(answer) or _of_reward(answer) or _of_register(answer)
    return [f"{subject}: {outcome}", f"recorded{before} {where}", f"request id {request_id}"]


def _of_account(answer: Any) -> str:
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
        case command_pb.RevokeTierResponse(revoked_time=time):
            return f"revoked from {instant(time)} UTC on"
        case command_pb.LiftBanResponse(lifted_time=time):
            return f"not banned from {instant(time)} UTC on"
        case command_pb.RegisterAccountResponse(owner_id=owner_id):
            return f"registered, owner {owner_id}"
        case _:
            return ""


def _of_member(answer: Any) -> str:
    match answer:
        case member_pb.FlagAccountResponse(flag=flag):
            return f"flagged {flag_kind(flag)} ({flag.flag_id}) from {instant(flag.flagged_time)} UTC on"
        case member_pb.UnflagAccountResponse(unflagged_time=time):
            return f"not flagged from {instant(time)} UTC on"
        case member_pb.RequestMatchResponse(eligible=True):
            return f"match {answer.match_id} is worth {answer.tier} and waits for approval"
        case member_pb.RequestMatchResponse():
            return f"match {answer.match_id} is rejected, {answer.refused_because}"
        case member_pb.RejectMatchResponse(rejected_time=time):
            return f"match rejected at {instant(time)} UTC"
        case member_pb.SubmitApplicationResponse(application_id=application_id):
            return f"application {application_id} is received"
        case member_pb.VerifyApiIdentityResponse(verified_time=time):
            return f"identity verified at {instant(time)} UTC"
        case member_pb.SettleApplicationResponse(settled_time=time):
            return f"application settled at {instant(time)} UTC"
        case member_pb.AssignKeyAccountManagerResponse(assigned_time=time):
            return f"has this key account manager from {instant(time)} UTC on"
        case member_pb.RecordBehaviourMetricResponse(receipt=receipt):
            return f"metric recorded; a ban names it by --evidence {receipt.position}"
        case _:
            return ""


def _of_reward(answer: Any) -> str:
    match answer:
        case rewards_pb.ReportFeedbackResponse(week=week, report_id=report_id):
            return f"report {report_id} of week {week}"
        case rewards_pb.AwardBountyResponse(account_id=account_id, tier=tier):
            return f"bounty awarded to {account_id}, which was {tier} when it reported"
        case rewards_pb.CloseBountyRoundResponse(closed_time=time):
            return f"round closed at {instant(time)} UTC"
        case rewards_pb.AnnouncePromotionResponse():
            return "announced"
        case rewards_pb.AwardBonusResponse(overridden=overridden):
            return "bonus awarded" + (", although it is not eligible: an approver let it in" if overridden else "")
        case _:
            return ""


def _of_register(answer: Any) -> str:
    match answer:
        case programmes_pb.PublishProgrammeResponse(programme=version):
            since = instant(version.valid_from)
            return f"{version.programme_id} {version.version} in force from {since} UTC on"
        case programmes_pb.AssignPairClassResponse(valid_from=time):
            return f"class assigned from {instant(time)} UTC on"
        case programmes_pb.SetPairRatesResponse(valid_from=time):
            return f"own rates changed from {instant(time)} UTC on"
        case evaluations_pb.RecordDailyCloseResponse(close=close):
            return f"closed at {close.price} {close.currency} on {close.day}"
        case _:
            return "registered"
