"""Scenes of the story: what happens to members, and what is recorded of prices and of a source that sends rubbish."""

from __future__ import annotations

from typing import Any, Final

from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_pb2 import Fill
from ledger.v1.member_service_pb2 import ExternalVolume
from tests.kept.narrator import Narrator
from tests.kept.trading import Trading

BITMART: Final = "bitmart-api-vip"
DIGEST: Final = bytes(range(32))
SOURCE: Final[dict[str, Any]] = {"currency": "USDT", "source": "index-1d", "source_sha256": DIGEST}


class Scenes:
    """Each is played once, at the instant that the narrator's clock shows."""

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator
        self.do, self.refused, self.trade = narrator.do, narrator.refused, narrator.trade
        self.trading = Trading(narrator)

    def numbered_with_faults(self) -> None:
        """A source that sends what is recorded, what was recorded before, and what is refused in four ways."""
        first = self.trading.fill("dave")
        bad = [
            self.trading.fill("dave", exec_id=first.exec_id, last_px="0.9"),
            self.trading.fill("dave", "NO_SUCH"),
            self.trading.fill("dave", product="PRODUCT_FUTURES"),
            self.trading.fill("dave", last_px="1e5"),
            self.trading.fill("dave", last_qty="0.00001"),
            Fill(),
        ]
        answer = self.trade(first, *bad, first, self.trading.fill("erin"), source="engine-2")
        assert (answer.recorded, answer.replayed, len(answer.refusals)) == (2, 1, len(bad)), answer

    def behaviour(self) -> None:
        """What was measured, the ban that rests on it, bans on top of each other, and a lifted one."""
        window = {"window_from": "2024-07-03", "window_until": "2024-07-04"}
        measured = self.do(
            "RecordBehaviourMetric", account_id="mallory", code="LOW_FILL_RATIO", value="0.0004", **window
        )
        evidence = [measured.receipt.position]
        self.do("BanAccount", account_id="mallory", days=3, start_time="2024-07-03 18:00", reason_code="LOW_FILL_RATIO",
                evidence_positions=evidence)  # fmt: skip
        self.refused("BanAccount", "METRIC_UNKNOWN", account_id="mallory", days=1, reason_code="LOW_FILL_RATIO",
                     evidence_positions=[1])  # fmt: skip
        self.do("BanAccount", account_id="mallory", days=7, start_time="2024-07-04", reason_code="ORDER_SPAM")
        self.do("BanAccount", account_id="dave", days=2, start_time="2024-07-04", reason_code="ORDER_SPAM")
        self.do("LiftBan", account_id="dave", lift_time="2024-07-04 11:00")
        self.refused("LiftBan", "NOT_BANNED", account_id="bob")

    def closes(self) -> None:
        """Closes of the first days, one of them restated twice."""
        first: dict[str, Any] = {"asset": "ETH", "day": "2024-07-01", **SOURCE}
        position = self.do("RecordDailyClose", price="3300", **first).receipt.position
        self.refused("RecordDailyClose", "CLOSE_ALREADY_RECORDED", price="3301", **first)
        for price in ("3305.25", "3306"):
            restated = self.do("RecordDailyClose", price=price, restates=position, **first)
            position = restated.receipt.position
        self.refused("RecordDailyClose", "CLOSE_DAY_NOT_OVER", asset="ETH", day="2024-07-06", price="1", **SOURCE)
        self.close_days("ETH", range(2, 6))

    def close_days(self, asset: str, days: range) -> None:
        """Closes of some days of July."""
        for day in days:
            self.do("RecordDailyClose", asset=asset, day=f"2024-07-{day:02}", price=f"33{day:02}.5", **SOURCE)

    def matches(self) -> None:
        """Matches approved, rejected by a person, refused by the rules at once, and left alone."""
        claim = {
            "venues": ["okx", "binance"],
            "external_tier": "VIP2",
            "period_from": "2024-06-10",
            "period_until": "2024-07-10",
            "external_volume": ExternalVolume(spot="400000.5", futures="250000"),
            "evidence_sha256": DIGEST,
            "programme_id": BITMART,
            "authority": Authority(actor="requester", reason="they asked by mail"),
        }
        self.do("RequestMatch", account_id="dave", **claim)
        self.do("RequestMatch", account_id="hugo", **claim)  # nobody settles it, so it expires
        self.do("ApproveMatch", account_id="dave", match_id="m1")
        self.refused("ApproveMatch", "MATCH_SETTLED", account_id="dave", match_id="m1")
        self.do("RequestMatch", account_id="mallory", **claim)
        self.do("RejectMatch", account_id="mallory", match_id="m1", reason_code="EVIDENCE_FALSE")
        assert not self.do("RequestMatch", account_id="erin", **claim).eligible
        low = {**claim, "external_volume": ExternalVolume(spot="99999.99", futures="0")}
        assert not self.do("RequestMatch", account_id="gina", **low).eligible

    def applications(self) -> None:
        """One that is granted, one that is declined, one that stays open and one that is incomplete."""
        steps = dict.fromkeys(("account_opened", "api_key_created", "community_joined", "form_submitted"), True)
        for account_id in ("gina", "carol", "bob"):
            self.do("SubmitApplication", account_id=account_id, received_time="2024-07-11 15:00",
                    programme_id=BITMART, **steps)  # fmt: skip
        incomplete = {**steps, "form_submitted": False}
        self.refused(
            "SubmitApplication", "APPLICATION_INCOMPLETE", account_id="erin", programme_id=BITMART, **incomplete
        )
        self.do("VerifyApiIdentity", account_id="gina", verified_time="2024-07-11 16:00")
        self.do("SettleApplication", account_id="gina", application_id="p1", outcome=1)
        self.do("SettleApplication", account_id="carol", application_id="p1", outcome=2)
        self.refused("SettleApplication", "APPLICATION_SETTLED", account_id="carol", application_id="p1", outcome=1)
        for account_id in ("dave", "bob"):
            self.do("AssignKeyAccountManager", account_id=account_id, manager_id="kam-1", programme_id=BITMART)

    def rewards(self) -> None:
        """Bounties of a week, promotions, and bonuses to who may have one and who may not."""
        self.do("ReportFeedback", account_id="alice", kind=1, channel=2, report_time="2024-07-05 10:00")
        self.do("ReportFeedback", account_id="carol", kind=3, channel=3, report_time="2024-07-05 11:00")
        self.do("ReportFeedback", account_id="bob", kind=2, channel=1, report_time="2024-07-11 11:00")
        money: dict[str, Any] = {"currency": "USDT", "programme_id": BITMART}
        self.do("AwardBounty", week="2024-W27", report_id="r1", amount="50", **money)
        self.refused("AwardBounty", "FEEDBACK_UNKNOWN", week="2024-W27", report_id="r9", amount="50", **money)
        self.do("CloseBountyRound", week="2024-W27")
        self.refused("CloseBountyRound", "BOUNTY_ROUND_RUNNING", week="2024-W28")
        for name, kind in (("july", "API_EXCLUSIVE"), ("net", "NET_BUY")):
            self.do("AnnouncePromotion", promotion_id=name, promotion_type=kind, start_time="2024-07-05",
                    end_time="2024-07-25")  # fmt: skip
        self.do("AwardBonus", promotion_id="july", account_id="alice", amount="10.5", award_time="2024-07-10", **money)
        self.refused(
            "AwardBonus", "PROMOTION_NOT_ELIGIBLE", promotion_id="net", account_id="alice", amount="3", **money
        )
        self.do("AwardBonus", promotion_id="net", account_id="alice", amount="3", override=True, **money)
