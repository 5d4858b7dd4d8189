"""Show what a command did, and where that is recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.cli.screens.accounts import flag_kind
from ledger.cli.screens.layout import instant, many
from ledger.v1 import command_pb2
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
    command_pb.ReleaseFactResponse: "fills recorded before position {fact_position} count by it",
    command_pb.DeclineFactResponse: "fills recorded before position {fact_position} never count by it",
    command_pb.CreditFeeResponse: "{amount} {currency} credited on {day}; withdraw-credit names it by position"
    " {receipt.position}",
    command_pb.WithdrawCreditResponse: "the credit of {amount} {currency} on {day} is withdrawn",
    command_pb.WithdrawFactResponse: "the fact at position {fact_position} never was",
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

_ACCOUNTS_SHOWN_MAX: Final = 10  # one by one


def written(answer: Any, subject: str, request_id: str) -> list[str]:
    """Return three lines: what a command did to its subject, where that is recorded, and the request id.

    Of a preview: what it would do, that nothing is recorded, and what would be.
    """
    receipt = answer.receipt
    if receipt.HasField("preview"):
        outcome = _outcome(answer).partition(";")[0]  # what follows names the position, and there is none
        return [f"{subject}, if this were sent: {outcome}", *previewed(receipt.preview, receipt.ledger_id)]
    before = " before" if receipt.replayed else ""
    where = f"at position {receipt.position} of {receipt.ledger_id}, {instant(receipt.recorded_time)} UTC"
    return [f"{subject}: {_outcome(answer)}", f"recorded{before} {where}", f"request id {request_id}"]


def previewed(preview: command_pb2.Preview, ledger_id: str) -> list[str]:
    """Return in words what a command would record and charge, and that it is not recorded."""
    events = Counter((event.topic, event.stream) for event in preview.events)
    lines = [
        f"a preview, decided after position {preview.known_at_position} of {ledger_id}: nothing is recorded",
        *(f"would record {topic} in {stream}" for topic, stream in events),
    ]
    if more := preview.event_count - len(preview.events):
        lines.append(f"would record {many(more, 'more event')}")
    if preview.lines:
        lines.append(f"would restate {many(preview.lines, 'fill')} recorded before: {', '.join(charged(preview))}")
    else:
        is_later = preview.lines_later or preview.HasField("later")
        unchanged = [] if is_later else ["would change no fee of fills recorded before"]
        by_hand = [f"would have it that {one}" for one in charged(preview)]  # by a credit, or the end of one
        lines += [*unchanged, *by_hand]
    return [*lines, *later(preview)]


def later(preview: command_pb2.Preview) -> list[str]:
    """Return sentences on the fills that commits after the command's own would restate; nothing: none would come."""
    found, lines = preview.later, []
    if found.lines or found.complete:
        lines.append(_restated_later(found))
    more = "more " if found.lines else ""
    if preview.lines_later:
        fills = many(preview.lines_later, f"{more}fill")
        lines.append(f"up to {fills} would be restated by commits after it, by amounts not worked out")
    elif preview.HasField("later") and not found.complete:
        lines.append(f"commits after it may restate fills of {more}accounts that are not looked at")
    return lines


def _restated_later(found: command_pb2.LaterCommits) -> str:
    """Return in words what commits after the command's own would restate, and by how much the fees would change."""
    if not found.lines:
        return "commits after it would change no fee of fills recorded before"
    told = f"would also restate {many(found.lines, 'fill')} of {many(found.accounts, 'account')} in commits after it"
    if found.complete and found.accounts > _ACCOUNTS_SHOWN_MAX:
        return f"{told}: all of them pay {', '.join(_more(one.amount, one.currency) for one in found.net)}"
    shown = {one.account_id for one in found.differences}
    if len(shown) > _ACCOUNTS_SHOWN_MAX:
        return f"{told}; --json has the amount of each"
    return f"{told}: {', '.join(map(_pays, found.differences))}"


def charged(preview: command_pb2.Preview) -> list[str]:
    """Return by how much the fees of each account would change: "alice pays 2.5 USDT less"."""
    return list(map(_pays, preview.differences))


def _pays(one: command_pb2.FeeDifference) -> str:
    return f"{one.account_id} pays {_more(one.amount, one.currency)}"


def _more(amount: str, currency: str) -> str:
    """Return "2.5 USDT less" of "-2.5" and "USDT". A ban, for example, moves volume and no fee."""
    if amount == "0":
        return f"as much {currency} as before"
    return f"{amount.removeprefix('-')} {currency} {'less' if amount.startswith('-') else 'more'}"


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
