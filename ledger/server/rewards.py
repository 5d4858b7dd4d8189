"""RewardService: the weekly bug bounty, promotions and their bonuses."""

from __future__ import annotations

from typing import Any

from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.events import BonusAwarded, BountyAwarded, BountyRoundClosed, FeedbackReported
from ledger.domain.rules.bug_bounty import CHANNELS, KINDS, round_of
from ledger.server.command_rpc import Asking
from ledger.v1 import reward_service_pb2 as pb
from ledger.v1 import reward_service_pb2_grpc as pb_grpc
from ledger.wire.fields import Shape, amount, interval, named, optional_id, required_id, required_ns, week
from ledger.wire.status import timestamp


class RewardService(Asking, pb_grpc.RewardServiceServicer):
    """Handlers of the RPCs about rewards."""

    def ReportFeedback(self, request: pb.ReportFeedbackRequest, context: Any) -> pb.ReportFeedbackResponse:
        def read(shape: Shape) -> Command:
            return commands.ReportFeedback(
                account_id=shape(required_id, request.account_id, "account_id"),
                kind=shape(named, request.kind, KINDS, "kind"),
                channel=shape(named, request.channel, CHANNELS, "channel"),
                report_time_ns=shape(self.past, request, "report_time"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, FeedbackReported), event
        return pb.ReportFeedbackResponse(
            receipt=receipt, week=round_of(event.reported_time_ns), report_id=event.report_id
        )

    def AwardBounty(self, request: pb.AwardBountyRequest, context: Any) -> pb.AwardBountyResponse:
        def read(shape: Shape) -> Command:
            return commands.AwardBounty(
                week=shape(week, request.week, "week"),
                report_id=shape(required_id, request.report_id, "report_id"),
                amount=shape(amount, request.amount, "amount"),
                currency=shape(required_id, request.currency, "currency"),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, BountyAwarded), event
        return pb.AwardBountyResponse(receipt=receipt, account_id=event.account_id, tier=event.tier)

    def CloseBountyRound(self, request: pb.CloseBountyRoundRequest, context: Any) -> pb.CloseBountyRoundResponse:
        def read(shape: Shape) -> Command:
            return commands.CloseBountyRound(week=shape(week, request.week, "week"))

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, BountyRoundClosed), event
        return pb.CloseBountyRoundResponse(receipt=receipt, closed_time=timestamp(event.closed_time_ns))

    def AnnouncePromotion(self, request: pb.AnnouncePromotionRequest, context: Any) -> pb.AnnouncePromotionResponse:
        def read(shape: Shape) -> Command:
            start_ns = shape(required_ns, request, "start_time")
            end_ns = shape(required_ns, request, "end_time")
            shape(interval, start_ns, end_ns, "end_time")
            return commands.AnnouncePromotion(
                promotion_id=shape(required_id, request.promotion_id, "promotion_id"),
                promotion_type=shape(required_id, request.promotion_type, "promotion_type"),
                start_time_ns=start_ns,
                end_time_ns=end_ns,
            )

        receipt, _ = self.ask(request, context, read)
        return pb.AnnouncePromotionResponse(receipt=receipt)

    def AwardBonus(self, request: pb.AwardBonusRequest, context: Any) -> pb.AwardBonusResponse:
        def read(shape: Shape) -> Command:
            return commands.AwardBonus(
                promotion_id=shape(required_id, request.promotion_id, "promotion_id"),
                account_id=shape(required_id, request.account_id, "account_id"),
                amount=shape(amount, request.amount, "amount"),
                currency=shape(required_id, request.currency, "currency"),
                award_time_ns=shape(self.past, request, "award_time"),
                override=request.override,
                actor=request.authority.actor,
                approver=request.authority.approver,
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, BonusAwarded), event
        return pb.AwardBonusResponse(receipt=receipt, overridden=event.overridden)
