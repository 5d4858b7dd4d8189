"""The commands of RewardService."""

from __future__ import annotations

from ledger.domain import commands
from ledger.domain.events import FeedbackReported, Recorded
from ledger.domain.rules.bug_bounty import CHANNELS, KINDS, round_of
from ledger.v1 import reward_service_pb2 as pb
from ledger.wire.fields import (
    Shape,
    amount,
    interval,
    named,
    optional_id,
    optional_ns,
    past_ns,
    required_id,
    required_ns,
    week,
)


def report_feedback(shape: Shape, request: pb.ReportFeedbackRequest, latest_ns: int) -> commands.ReportFeedback:
    """Read ReportFeedback."""
    return commands.ReportFeedback(
        account_id=shape(required_id, request.account_id, "account_id"),
        kind=shape(named, request.kind, KINDS, "kind"),
        channel=shape(named, request.channel, CHANNELS, "channel"),
        report_time_ns=shape(optional_ns, request, "report_time", past_ns, latest_ns),
    )


def report_feedback_response(recorded: Recorded) -> pb.ReportFeedbackResponse:
    """Answer with the name of the report within its week."""
    event = recorded.event
    assert isinstance(event, FeedbackReported), recorded
    return pb.ReportFeedbackResponse(week=round_of(event.reported_time_ns), report_id=event.report_id)


def award_bounty(shape: Shape, request: pb.AwardBountyRequest, _: int) -> commands.AwardBounty:
    """Read AwardBounty."""
    return commands.AwardBounty(
        week=shape(week, request.week, "week"),
        report_id=shape(required_id, request.report_id, "report_id"),
        amount=shape(amount, request.amount, "amount"),
        currency=shape(required_id, request.currency, "currency"),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def close_bounty_round(shape: Shape, request: pb.CloseBountyRoundRequest, _: int) -> commands.CloseBountyRound:
    """Read CloseBountyRound."""
    return commands.CloseBountyRound(week=shape(week, request.week, "week"))


def announce_promotion(shape: Shape, request: pb.AnnouncePromotionRequest, _: int) -> commands.AnnouncePromotion:
    """Read AnnouncePromotion."""
    start_ns = shape(required_ns, request, "start_time")
    end_ns = shape(required_ns, request, "end_time")
    shape(interval, start_ns, end_ns, "end_time")
    return commands.AnnouncePromotion(
        promotion_id=shape(required_id, request.promotion_id, "promotion_id"),
        promotion_type=shape(required_id, request.promotion_type, "promotion_type"),
        start_time_ns=start_ns,
        end_time_ns=end_ns,
    )


def award_bonus(shape: Shape, request: pb.AwardBonusRequest, latest_ns: int) -> commands.AwardBonus:
    """Read AwardBonus."""
    return commands.AwardBonus(
        promotion_id=shape(required_id, request.promotion_id, "promotion_id"),
        account_id=shape(required_id, request.account_id, "account_id"),
        amount=shape(amount, request.amount, "amount"),
        currency=shape(required_id, request.currency, "currency"),
        award_time_ns=shape(optional_ns, request, "award_time", past_ns, latest_ns),
        override=request.override,
        actor=request.authority.actor,
        approver=request.authority.approver,
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )
