"""Commands and queries about rewards: the weekly bug bounty, promotions and their bonuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Unpack

import grpc

from ledger.client.calls import Calls
from ledger.client.commanding import Command, Commanding
from ledger.client.plain import Amount, Time, amount, member, timestamp
from ledger.client.reads import At
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import member_query_service_pb2_grpc, reward_service_pb2_grpc
from ledger.v1 import reward_service_pb2 as rewards_pb


class Rewards(Commanding):
    """The methods of the client about rewards. Times not given are now."""

    def __init__(
        self, channel: grpc.Channel, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool
    ) -> None:
        super().__init__(channel, call, authority=authority, read_your_writes=read_your_writes)
        self._rewards: Final = reward_service_pb2_grpc.RewardServiceStub(channel)
        self._member_queries: Final = member_query_service_pb2_grpc.MemberQueryServiceStub(channel)

    def report_feedback(
        self,
        account_id: str,
        *,
        kind: str | int,
        channel: str | int,
        report_time: Time | None = None,
        **command: Unpack[Command],
    ) -> rewards_pb.ReportFeedbackResponse:
        """Record a BUG, FEEDBACK or IMPROVEMENT sent by TELEGRAM, DISCORD or EMAIL."""
        request = rewards_pb.ReportFeedbackRequest(
            account_id=account_id,
            kind=member(rewards_pb.FeedbackKind, kind, "kind"),
            channel=member(rewards_pb.FeedbackChannel, channel, "channel"),
            report_time=timestamp(report_time, "report_time"),
        )
        return self._command(self._rewards.ReportFeedback, request, **command)

    def award_bounty(
        self,
        week: str,
        *,
        report_id: str,
        bounty: Amount,
        currency: str,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> rewards_pb.AwardBountyResponse:
        """Award a report of a week, such as 2024-W40, its bonus."""
        request = rewards_pb.AwardBountyRequest(
            week=week,
            report_id=report_id,
            amount=amount(bounty, "bounty"),
            currency=currency,
            programme_id=programme_id,
        )
        return self._command(self._rewards.AwardBounty, request, **command)

    def close_bounty_round(self, week: str, **command: Unpack[Command]) -> rewards_pb.CloseBountyRoundResponse:
        """Close the round of a week that is over: no bounty comes after."""
        return self._command(self._rewards.CloseBountyRound, rewards_pb.CloseBountyRoundRequest(week=week), **command)

    def announce_promotion(
        self, promotion_id: str, *, promotion_type: str, start_time: Time, end_time: Time, **command: Unpack[Command]
    ) -> rewards_pb.AnnouncePromotionResponse:
        """Announce a promotion; its type is for example API_EXCLUSIVE or NET_BUY."""
        request = rewards_pb.AnnouncePromotionRequest(
            promotion_id=promotion_id,
            promotion_type=promotion_type,
            start_time=timestamp(start_time, "start_time"),
            end_time=timestamp(end_time, "end_time"),
        )
        return self._command(self._rewards.AnnouncePromotion, request, **command)

    def award_bonus(
        self,
        account_id: str,
        *,
        promotion_id: str,
        bonus: Amount,
        currency: str,
        award_time: Time | None = None,
        override: bool = False,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> rewards_pb.AwardBonusResponse:
        """Award an account its share of a promotion's bonus; `override` needs another person as approver."""
        request = rewards_pb.AwardBonusRequest(
            promotion_id=promotion_id,
            account_id=account_id,
            amount=amount(bonus, "bonus"),
            currency=currency,
            award_time=timestamp(award_time, "award_time"),
            override=override,
            programme_id=programme_id,
        )
        return self._command(self._rewards.AwardBonus, request, **command)

    def check_promotion_eligibility(
        self,
        account_id: str,
        promotion_type: str,
        *,
        programme_id: str = "",
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> queries_pb.CheckPromotionEligibilityResponse:
        """Return if an account may take part in a kind of promotion, and why not."""
        request = queries_pb.CheckPromotionEligibilityRequest(
            account_id=account_id, promotion_type=promotion_type, programme_id=programme_id, at=self._at(**at)
        )
        return self._call(self._member_queries.CheckPromotionEligibility, request, timeout_s)

    def list_months_without_promotion(
        self, *, from_time: Time | None = None, timeout_s: float | None = None, **at: Unpack[At]
    ) -> queries_pb.ListMonthsWithoutPromotionResponse:
        """Months over at as_of without a promotion for API users; default: from that of the first one known."""
        request = queries_pb.ListMonthsWithoutPromotionRequest(
            from_time=timestamp(from_time, "from_time"), at=self._at(**at)
        )
        return self._call(self._member_queries.ListMonthsWithoutPromotion, request, timeout_s)

    def list_bounty_rounds(
        self, *, open_only: bool = False, timeout_s: float | None = None, **at: Unpack[At]
    ) -> queries_pb.ListBountyRoundsResponse:
        """Weeks with reports, and whether their round is closed."""
        request = queries_pb.ListBountyRoundsRequest(open_only=open_only, at=self._at(**at))
        return self._call(self._member_queries.ListBountyRounds, request, timeout_s)
