"""RewardService: the weekly bug bounty, promotions and their bonuses."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import BonusAwarded, BountyAwarded, BountyRoundClosed, FeedbackReported
from ledger.domain.rules.bug_bounty import round_of
from ledger.server.command_rpc import Asking
from ledger.v1 import reward_service_pb2 as pb
from ledger.v1 import reward_service_pb2_grpc as pb_grpc
from ledger.wire.status import timestamp


class RewardService(Asking, pb_grpc.RewardServiceServicer):
    """Handlers of the RPCs about rewards."""

    def ReportFeedback(self, request: pb.ReportFeedbackRequest, context: Any) -> pb.ReportFeedbackResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, FeedbackReported), event
        return pb.ReportFeedbackResponse(
            receipt=receipt, week=round_of(event.reported_time_ns), report_id=event.report_id
        )

    def AwardBounty(self, request: pb.AwardBountyRequest, context: Any) -> pb.AwardBountyResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, BountyAwarded), event
        return pb.AwardBountyResponse(receipt=receipt, account_id=event.account_id, tier=event.tier)

    def CloseBountyRound(self, request: pb.CloseBountyRoundRequest, context: Any) -> pb.CloseBountyRoundResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, BountyRoundClosed), event
        return pb.CloseBountyRoundResponse(receipt=receipt, closed_time=timestamp(event.closed_time_ns))

    def AnnouncePromotion(self, request: pb.AnnouncePromotionRequest, context: Any) -> pb.AnnouncePromotionResponse:
        receipt, _ = self.ask(request, context)
        return pb.AnnouncePromotionResponse(receipt=receipt)

    def AwardBonus(self, request: pb.AwardBonusRequest, context: Any) -> pb.AwardBonusResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, BonusAwarded), event
        return pb.AwardBonusResponse(receipt=receipt, overridden=event.overridden)
