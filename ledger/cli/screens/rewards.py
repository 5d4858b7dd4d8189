"""Screens about rewards: bounty rounds and promotions."""

from __future__ import annotations

from ledger.cli.screens.layout import given, headline, pairs, table, verdict
from ledger.v1 import member_query_service_pb2 as pb


def bounty_rounds(found: pb.ListBountyRoundsResponse) -> list[str]:
    """Weeks with reports."""
    rows = [
        (
            one.week,
            f"{one.reports:,}",
            f"{one.awarded:,}",
            _closed(one),
        )
        for one in found.rounds
    ]
    shown = table(("week", ">reports", ">awarded", "closed (UTC)"), rows) if rows else ["none"]
    return [*headline("bounty rounds", found.basis), "", *shown]


def _closed(round_: pb.BountyRound) -> str:
    return given(round_, "closed_time") if round_.HasField("closed_time") else "open"


def promotion_check(found: pb.CheckPromotionEligibilityResponse, account: str, promotion_type: str) -> list[str]:
    """Show if an account may take part in a kind of promotion."""
    subject = f"{account} in {promotion_type}: {verdict(found.eligible, found.refused_because)}"
    return headline(subject, found.basis) + pairs([("tier", found.tier)])


def months_without_promotion(found: pb.ListMonthsWithoutPromotionResponse) -> list[str]:
    """Months in which API users had no promotion of their own."""
    return [*headline("months without a promotion for API users", found.basis), "", *(found.months or ["none"])]
