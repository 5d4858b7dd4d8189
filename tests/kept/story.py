"""The story of a kept log: five weeks of two programmes, in which every kind of event happens at least once."""

from __future__ import annotations

from typing import Any, Final

from ledger import programmes
from ledger.v1.command_pb2 import Authority
from tests.kept.late_facts import LateFacts
from tests.kept.narrator import Narrator, before_a_migration, ns, stamp
from tests.kept.scenes import BITMART, DIGEST
from tests.kept.trading import ACCOUNTS, MARKETS

HITBTC: Final = "hitbtc-spot"
PERIODIC: Final = "EVALUATION_KIND_PERIODIC"
POST_TRIAL: Final = "EVALUATION_KIND_POST_TRIAL"
OUTSIDERS: Final = ("hugo", "zoe")  # one that trades on the other venue alone, one the ledger never hears of


def tell(narrator: Narrator) -> None:
    """All of it, in four terms of the writer; the schema is brought on before the second."""
    story = _Story(narrator)
    with before_a_migration(), narrator.term("2024-07-01 12:00"):
        story.begin()
        story.first_week()
    with narrator.term("2024-07-10 09:00"):
        story.late_evaluation()
        story.second_week()
        story.evaluation_in_time()
    with narrator.term("2024-08-02 08:00"):
        story.after_the_trials()
        story.end()
    with narrator.term("2024-08-06 08:00"):
        story.late_facts_of_accounts()
        story.late_facts_of_pairs()
        story.repriced_in_parts()
        story.credits()
        story.end_of_late_facts()


class _Story(LateFacts):
    """The weeks, one after the other."""

    def begin(self) -> None:
        """Currencies, markets, accounts, and the second programme."""
        for currency, decimals in (("USDT", 6), ("BMX", 4), ("ETH", 8)):
            self.do("RegisterCurrency", currency=currency, decimals=decimals, authority=Authority(actor="clerk"))
        self.refused("RegisterCurrency", "CURRENCY_ALREADY_REGISTERED", currency="USDT", decimals=2)
        for symbol, pair_class in zip(MARKETS, ("A", "B", "C", "C", ""), strict=True):
            base, quote = symbol.split("_")
            values = {"price_scale": 10, "quantity_scale": 4, "pair_class": pair_class}
            self.do("RegisterSymbol", symbol=symbol, base_currency=base, quote_currency=quote, product=1, **values)
        scales = {"price_scale": 6, "quantity_scale": 8}
        self.do("RegisterSymbol", symbol="ETH_BTC", base_currency="ETH", quote_currency="BTC", product=1, **scales)
        self.refused("RegisterSymbol", "SYMBOL_ALREADY_REGISTERED", symbol="XRP_USDT", base_currency="XRP",
                     quote_currency="USDT", product=1)  # fmt: skip
        other = programmes.packaged("hitbtc-spot-1.toml")
        self.do("PublishProgramme", content=other)
        for symbol in ("ETH_BTC", "ETH_USDT"):
            self.do("AssignPairClass", symbol=symbol, pair_class="ALL", programme_id=HITBTC)
        for account_id in ACCOUNTS[2:]:
            opened = {"registered_time": "2024-06-20"}
            self.do("RegisterAccount", account_id=account_id, owner_id=f"owner-{account_id}", **opened)
        for account_id, parent in (("alice", ""), ("alice-2", "alice")):
            self.do("RegisterAccount", account_id=account_id, owner_id="owner-alice", parent_account_id=parent)
        self.refused("RegisterAccount", "ACCOUNT_ALREADY_REGISTERED", account_id="bob", owner_id="somebody")
        self.narrator.remember()

    def first_week(self) -> None:
        """Trials, tiers, bans, flags and fills until the first evaluation is due, which nobody runs."""
        self.do("StartTrial", account_id="alice", start_time="2024-07-01 12:00", programme_id=BITMART)
        self.do("StartTrial", account_id="gina", start_time="2024-06-25", programme_id=BITMART)
        self.refused("StartTrial", "TRIAL_ALREADY_USED", account_id="alice-2", programme_id=BITMART)
        for day in ("2024-07-02", "2024-07-03", "2024-07-04"):
            self._day(day)
            self._rebates()
        wide = self.trading.fill("ivy", "PEPE_USDT", last_px="123456789.0123456789", last_qty="99999999999.5")
        assert self.trade(wide, self.trading.bulk("ivy", "0.0001")).recorded == 2
        self.numbered_with_faults()
        self.do("ChangeTier", account_id="ivy", tier="VIP4", valid_from="2024-07-03", programme_id=BITMART)
        self.do("ChangeTier", account_id="erin", tier="VIP1", valid_from="2024-07-02",
                valid_until="2024-07-20", programme_id=BITMART)  # fmt: skip
        self.refused("ChangeTier", "TIER_UNKNOWN", account_id="erin", tier="VIP9", programme_id=BITMART)
        self.behaviour()
        self.do("FlagAccount", account_id="frank", kind=1, flag_time="2024-07-04", evidence_sha256=DIGEST)
        self.refused("FlagAccount", "ACCOUNT_ALREADY_FLAGGED", account_id="frank", kind=1)
        self.refused("StartTrial", "ACCOUNT_FLAGGED", account_id="frank", programme_id=BITMART)
        self._day("2024-07-06")
        self.trade(self.trading.bulk("bob", "650000.25"), self.trading.bulk("carol", "120000"))
        self.closes()
        self.narrator.remember()
        for day in ("2024-07-08", "2024-07-09"):
            self._day(day)
            self.trade(*(self.trading.fill("bob", symbol) for symbol in MARKETS))
        self.trade(source="engine-2", complete_until=stamp(ns("2024-07-06")))  # not silent, and yet to be waited for
        self.narrator.remember()

    def late_evaluation(self) -> None:
        """The evaluation of the 8th runs on the 10th: fees of two days are adjusted."""
        self.narrator.at("2024-07-10 10:00")
        due: dict[str, Any] = {"programme_id": BITMART, "kind": PERIODIC, "instant": "2024-07-08"}
        self.close_days("ETH", range(6, 8))
        self.refused("RunEvaluation", "EVALUATION_WAITING", recorded=False, **due)
        self.refused("RunEvaluation", "NOT_AN_EVALUATION_DAY", **{**due, "instant": "2024-07-09"})
        self._evaluate(**due, complete_sources=["engine-2"])
        self.refused("RunEvaluation", "EVALUATION_ALREADY_COMPLETED", **due, complete_sources=["engine-2"])
        self._day("2024-07-11")
        self.narrator.remember()

    def second_week(self) -> None:
        """Matches, applications, rewards, another version of the programme, and the other venue."""
        self.narrator.at("2024-07-12 10:00")
        self.matches()
        self.applications()
        text = programmes.packaged().replace('version = "3.0"', 'version = "3.1"')
        text = text.replace('discount = "25%"', 'discount = "20%"')
        self.do("PublishProgramme", content=text, valid_from="2024-07-15")
        other = text.replace('discount = "20%"', 'discount = "15%"')
        self.refused("PublishProgramme", "PROGRAMME_VERSION_EXISTS", content=other, valid_from="2024-07-16")
        self.do("SetPairRates", symbol="DOGE_USDT", maker_rate="0.0005", taker_rate="0.0007",
                valid_from="2024-07-14", programme_id=BITMART)  # fmt: skip
        self.do("AssignPairClass", symbol="XRP_ETH", pair_class="B", valid_from="2024-07-14", programme_id=BITMART)
        self.rewards()
        for day in (14, 15, 16, 17):
            self._day(f"2024-07-{day}")
            self._elsewhere()
        self.narrator.remember()

    def evaluation_in_time(self) -> None:
        """The evaluation of the 18th, and one of the other programme, which evaluates each day."""
        self._day("2024-07-18")
        self.close_days("ETH", range(8, 18))
        silent = ["engine-2", "engine-3"]
        self._evaluate(programme_id=BITMART, kind=PERIODIC, instant="2024-07-18", complete_sources=silent)
        self._evaluate(programme_id=HITBTC, kind=PERIODIC, instant="2024-07-18", complete_sources=silent)
        self._elsewhere()
        self.do("UnflagAccount", account_id="frank", unflag_time="2024-07-18 11:00")
        self.do("RevokeTier", account_id="ivy", grant_id="g1", revoke_time="2024-07-18 12:00")
        self.refused("RevokeTier", "GRANT_UNKNOWN", account_id="ivy", grant_id="g9")
        self._day("2024-07-19")
        self.close_days("BTC", range(14, 18))  # what the evaluation of the 18th lacked: it goes on
        self._evaluate(programme_id=BITMART, kind=PERIODIC, instant="2024-07-18", complete_sources=silent)
        for day in ("2024-07-20", "2024-07-22", "2024-07-25", "2024-07-29", "2024-07-30"):
            self._day(day)
        self.trade(self.trading.bulk("alice", "2500000.75"))
        self.narrator.at("2024-08-01 11:00")
        self.trade(*(self.trading.fill("alice", symbol) for symbol in MARKETS))
        self.close_days("ETH", range(18, 32))
        self.narrator.remember()

    def after_the_trials(self) -> None:
        """The volume of a trial is evaluated two days after it: a fill in between is adjusted."""
        self._day("2024-08-02")
        run = {"programme_id": BITMART, "kind": POST_TRIAL, "instant": "2024-08-01"}
        self._evaluate(**run, complete_sources=["engine-2", "engine-3"])
        self.refused("StartTrial", "TRIAL_ALREADY_USED", account_id="alice", programme_id=BITMART)
        self.narrator.remember()

    def end(self) -> None:
        """Two more days, fills that come late, twice or in columns, and a match that is taken back."""
        self._day("2024-08-03")
        late = self.trading.fill("bob", ago_ns=40 * 86_400 * 10**9)
        *_, again = self.narrator.fills.values()
        answer = self.trade(late, again)
        assert (answer.recorded, answer.replayed) == (1, 1), answer
        long = self.trading.fill("erin", cl_ord_id="a name of an order that is too long to be kept as it is " * 6)
        assert self.trade(self.trading.fill("dave"), long, source="engine-2", in_columns=True).recorded == 2
        self.do("RevokeTier", account_id="dave", grant_id="g1", revoke_time="2024-08-03 12:00")
        self._day("2024-08-05")
        self.narrator.remember()

    def end_of_late_facts(self) -> None:
        """A last day, of which the fees are as they are since the facts of before."""
        self._day("2024-08-07")
        self.narrator.remember()

    # -- what happens again and again ----------------------------------------------------------------------------------

    def _day(self, day: str) -> None:
        self.narrator.at(f"{day} 12:00")
        self.trading.quiet_day()

    def _rebates(self) -> None:
        """A maker whose tier pays rebates, and who gets none for a trade with herself."""
        maker: dict[str, Any] = {"liquidity": "LIQUIDITY_MAKER", "last_px": "1", "last_qty": "4321.5"}
        own: dict[str, Any] = {"owner_id": "owner-alice", "counterparty_owner_id": "owner-alice"}
        self.trade(self.trading.fill("alice", **maker), self.trading.fill("alice", **maker, **own), source="engine-1")

    def _elsewhere(self) -> None:
        """The other venue: volume in BTC, and some in a currency that needs a close."""
        fills = [
            self.trading.fill("hugo", "ETH_BTC", last_px="0.0541", last_qty="61.5"),
            self.trading.fill("hugo", "ETH_BTC", last_px="0.0542", last_qty="3", liquidity="LIQUIDITY_MAKER"),
            self.trading.fill("bob", "ETH_USDT", last_qty="0.5"),
        ]
        assert self.trade(*fills, venue="hitbtc", source="engine-3").recorded == len(fills)

    def _evaluate(self, **values: Any) -> None:
        self.narrator.asking.await_tables()
        assert self.do("RunEvaluation", **values).HasField("counts"), values
