"""Bounties, bonuses, and who may take part in a promotion."""

from __future__ import annotations

from typing import Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, Time, amount, timestamp
from ledger.client.requests import At, Command
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import reward_service_pb2 as rewards_pb


class Rewards(Generated):
    """Methods about rewards with other values or arguments than the contract has. Times not given are now."""

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
        return self._command(self._reward_service.AwardBounty, request, **command)

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
        return self._command(self._reward_service.AwardBonus, request, **command)

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
        return self._call(self._member_query_service.CheckPromotionEligibility, request, timeout_s)
