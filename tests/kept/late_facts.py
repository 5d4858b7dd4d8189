"""Scenes of the story: facts that are recorded after the fills that they change, released, withheld and taken back."""

from __future__ import annotations

from typing import Any, Final

from tests.kept.narrator import few_lines_at_once
from tests.kept.scenes import BITMART, DIGEST, Scenes
from tests.kept.trading import ACCOUNTS

OUTAGE: Final[dict[str, Any]] = {"day": "2024-08-02", "currency": "USDT", "reason_code": "OUTAGE"}


class LateFacts(Scenes):
    """The packaged programme releases late grants and bans at once, keeps flags, and proposes what else comes late."""

    def late_facts_of_accounts(self) -> None:
        """Tiers, bans, flags, ends of tiers and owners of before, of which some wait until two persons decide."""
        tier = self.do("ChangeTier", account_id="mallory", tier="VIP2", valid_from="2024-07-20", programme_id=BITMART)
        self.do("WithdrawFact", account_id="mallory", fact_position=tier.receipt.position)
        self.refused("WithdrawFact", "FACT_ALREADY_WITHDRAWN", account_id="mallory",
                     fact_position=tier.receipt.position)  # fmt: skip
        self.do("BanAccount", account_id="erin", days=2, start_time="2024-07-25", reason_code="QUOTE_ONE_UP")
        flag = self.do("FlagAccount", account_id="gina", kind=2, flag_time="2024-07-29", evidence_sha256=DIGEST)
        self._release("gina", flag)
        self.refused("ReleaseFact", "FACT_ALREADY_RELEASED", account_id="gina", fact_position=flag.receipt.position)
        end = self.do("RevokeTier", account_id="bob", grant_id="g1", revoke_time="2024-07-20")
        self.do("DeclineFact", account_id="bob", fact_position=end.receipt.position)
        self.refused("ReleaseFact", "FACT_DECLINED", account_id="bob", fact_position=end.receipt.position)
        self.refused("ReleaseFact", "FACT_UNKNOWN", account_id="bob", fact_position=1)
        named = self.trading.fill("hugo", "ETH_BTC", last_px="0.05", last_qty="2", counterparty_owner_id="owner-hugo")
        assert self.trade(named, venue="hitbtc", source="engine-3").recorded == 1
        self.do("RegisterAccount", account_id="hugo", owner_id="owner-hugo")
        self.narrator.remember()

    def late_facts_of_pairs(self) -> None:
        """A class of before that two persons release to all accounts, and rates of before that they decline."""
        pair_class = self.do("AssignPairClass", symbol="PEPE_USDT", pair_class="C", valid_from="2024-07-22",
                             programme_id=BITMART)  # fmt: skip
        self._release("", pair_class)
        self.narrator.at("2024-08-06 09:00")
        self.trade(self.trading.fill("carol"))
        rates = self.do("SetPairRates", symbol="XRP_USDT", maker_rate="0.001", taker_rate="0.002",
                        valid_from="2024-08-06 09:00", programme_id=BITMART)  # fmt: skip
        self.do("DeclineFact", fact_position=rates.receipt.position)
        self.narrator.asking.await_repricing(*ACCOUNTS)
        self.narrator.remember()

    def repriced_in_parts(self) -> None:
        """A tier of before that reaches more fills than one commit restates."""
        with few_lines_at_once():
            self.do("ChangeTier", account_id="carol", tier="VIP1", valid_from="2024-07-01", programme_id=BITMART)
            self.narrator.asking.await_repricing("carol")
        self.narrator.remember()

    def credits(self) -> None:
        """A credit by hand that stays, and one that is withdrawn."""
        self.do("CreditFee", account_id="alice", amount="12.5", **OUTAGE)
        given = self.do("CreditFee", account_id="bob", amount="0.75", **OUTAGE)
        credit = {"account_id": "bob", "credit_position": given.receipt.position, "reason_code": "MISTAKE"}
        self.do("WithdrawCredit", **credit)
        self.refused("WithdrawCredit", "CREDIT_ALREADY_WITHDRAWN", **credit)

    def _release(self, account_id: str, answer: Any) -> None:
        self.do("ReleaseFact", account_id=account_id, fact_position=answer.receipt.position)
