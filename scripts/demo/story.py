"""The story of the demo's exchange, as steps: markets open, accounts have lives, the engine sends its fills."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger.client import Client, LedgerError
from ledger.domain.instants import DAY_NS, SECOND_NS
from scripts.demo.evaluating import evaluating
from scripts.demo.exchange import (
    ACCOUNTS,
    BANS,
    BEGIN_NS,
    GRANT_FROM_DAY,
    GRANT_TOLD_DAY,
    HELD_ACCOUNT,
    PAIRS,
    Exchange,
)
from scripts.demo.play import APPROVER, EVERYONE, FOUR_EYES, REVIEWER, SOURCE, Played, Step, UnexpectedError

FEE_DECIMALS = {"USDT": 4, "BTC": 8}
EVIDENCE = hashlib.sha256(b"statement of the other exchange").digest()

Act = Callable[[Client, Played], Any]


@dataclass(frozen=True)
class Story:
    """All that happens on an exchange."""

    exchange: Exchange

    def steps(self) -> Iterator[Step]:
        """Every step, of one instant in the order in which the ledger hears of it."""
        trials_ns = [self.exchange.day(2, 9), self.exchange.day(10, 14)]
        yield Step(BEGIN_NS, EVERYONE, _register)
        yield from self._tiers()
        yield from self._members()
        yield from self._conduct()
        yield from self._rewards()
        for at_ns, first, fills in self.exchange.batches():
            yield Step(at_ns, EVERYONE, _fills(first, fills))
        yield from evaluating(self.exchange, trials_ns)

    def _step(self, who: str, day: int, hours: int, told: str, act: Act, name: str = "") -> Step:
        """A step that is told as it was sent; what later steps need of the answer is kept under a name."""

        def do(ledger: Client, played: Played) -> str:
            played.answers[name] = act(ledger, played)
            return told

        return Step(self.exchange.day(day, hours), who, do)

    def _tiers(self) -> Iterator[Step]:
        """Trials, and tiers by hand."""
        step = self._step
        yield Step(self.exchange.day(2, 9), "alba", _trial("alba"))
        yield Step(self.exchange.day(10, 14), "cedar", _trial("cedar"))
        yield Step(self.exchange.day(20, 11), "alba.bot", _trial("alba.bot"))
        yield step(
            "brook", 0, 0, "is given VIP4", lambda ledger, _: ledger.change_tier("brook", tier="VIP4", **FOUR_EYES)
        )
        yield step(
            "brook", 45, 0, "is given VIP5",
            lambda ledger, _: ledger.change_tier("brook", tier="VIP5", **FOUR_EYES), "brook",
        )  # fmt: skip
        from_ns = self.exchange.day(GRANT_FROM_DAY)
        yield step(
            HELD_ACCOUNT, GRANT_TOLD_DAY, 10, f"is given VIP1, valid from {_day(from_ns)} on",
            lambda ledger, _: ledger.change_tier(HELD_ACCOUNT, tier="VIP1", valid_from=from_ns, **FOUR_EYES),
            HELD_ACCOUNT,
        )  # fmt: skip
        yield step(
            "brook", 78, 12, "has VIP5 revoked",
            lambda ledger, played: ledger.revoke_tier(
                "brook", grant_id=played.answers["brook"].grant.grant_id, **FOUR_EYES
            ),
        )  # fmt: skip

    def _members(self) -> Iterator[Step]:
        """An application, and a VIP of another exchange."""
        step = self._step
        yield step(
            "fjord", 12, 10, "applies for membership", lambda ledger, _: ledger.submit_application("fjord"), "fjord"
        )
        yield step("fjord", 14, 11, "is verified as an API user", lambda ledger, _: ledger.verify_api_identity("fjord"))
        yield step(
            "fjord", 21, 15, "has the application granted, within ten business days",
            lambda ledger, played: ledger.settle_application(
                "fjord", application_id=played.answers["fjord"].application_id, outcome="GRANTED"
            ),
        )  # fmt: skip
        yield Step(self.exchange.day(23, 11), "fjord", self._match)
        yield step(
            "fjord", 24, 16, "has the match approved by others: 30 days",
            lambda ledger, played: ledger.approve_match(
                "fjord", match_id=played.answers["match"].match_id, actor=APPROVER, approver=REVIEWER
            ),
        )  # fmt: skip
        yield step("ember", 83, 10, "applies for membership", lambda ledger, _: ledger.submit_application("ember"))

    def _match(self, ledger: Client, played: Played) -> str:
        until_ns = self.exchange.day(23)
        played.answers["match"] = asked = ledger.request_match(
            "fjord", venues=["elsewhere"], external_tier="Gold", period_from=until_ns - 30 * DAY_NS,
            period_until=until_ns, spot_volume=1_900_000, futures_volume=700_000, evidence_sha256=EVIDENCE,
        )  # fmt: skip
        if not asked.eligible:
            raise UnexpectedError(f"fjord is not eligible for a match: {asked.refused_because}")
        return f"shows 2.6 million USDT traded elsewhere, worth {asked.tier}"

    def _conduct(self) -> Iterator[Step]:
        """A robot that was none, and two bans, one of them on evidence."""
        step, until_ns = self._step, self.exchange.day(62)
        yield step(
            "alba.bot", 22, 15, "is flagged: created by a robot",
            lambda ledger, _: ledger.flag_account("alba.bot", kind="ROBOT"),
        )  # fmt: skip
        yield step(
            "alba.bot", 52, 10, "is unflagged, on appeal",
            lambda ledger, _: ledger.unflag_account("alba.bot", **FOUR_EYES),
        )  # fmt: skip
        (start, _), (again, _) = BANS["cedar"], BANS["dune"]
        yield step(
            "cedar", 62, 7, "is measured: QUOTE_ONE_UP in 41 % of its quotes",
            lambda ledger, _: ledger.record_behaviour_metric(
                "cedar", code="QUOTE_ONE_UP", value="0.41", window_from=until_ns - DAY_NS, window_until=until_ns
            ), "metric",
        )  # fmt: skip
        yield step(
            "cedar", *start, "is banned for 7 days on that evidence",
            lambda ledger, played: ledger.ban_account(
                "cedar", days=7, reason_code="QUOTE_ONE_UP",
                evidence_positions=[played.answers["metric"].receipt.position],
            ),
        )  # fmt: skip
        yield step(
            "cedar", *BANS["cedar"][1], "has the ban lifted", lambda ledger, _: ledger.lift_ban("cedar", **FOUR_EYES)
        )
        yield step(
            "dune", *again, "is banned for 5 days: ORDER_SPAM",
            lambda ledger, _: ledger.ban_account("dune", days=5, reason_code="ORDER_SPAM"),
        )  # fmt: skip

    def _rewards(self) -> Iterator[Step]:
        """A round of bug bounties, and a promotion."""
        step = self._step
        yield step(
            "brook", 26, 13, "reports a bug of the API",
            lambda ledger, _: ledger.report_feedback("brook", kind="BUG", channel="TELEGRAM"), "report",
        )  # fmt: skip
        yield step(
            "brook", 27, 13, "is awarded 250 USDT for the report",
            lambda ledger, played: ledger.award_bounty(
                played.answers["report"].week, report_id=played.answers["report"].report_id, bounty=250,
                currency="USDT", **FOUR_EYES,
            ),
        )  # fmt: skip
        start_ns = self.exchange.day(35)
        yield step(
            EVERYONE, 33, 10, "promotion spring-api, for API users, is announced",
            lambda ledger, _: ledger.announce_promotion(
                "spring-api", promotion_type="API_EXCLUSIVE", start_time=start_ns, end_time=start_ns + 10 * DAY_NS
            ),
        )  # fmt: skip
        yield step(
            "alba", 40, 10, "is awarded 100 USDT of the promotion",
            lambda ledger, _: ledger.award_bonus(
                "alba", promotion_id="spring-api", bonus=100, currency="USDT", **FOUR_EYES
            ),
        )  # fmt: skip
        at_ns = self.exchange.day(26, 13)
        at_ns += 8 * DAY_NS - at_ns % DAY_NS

        def close(ledger: Client, played: Played) -> str:
            week = played.answers["report"].week
            ledger.close_bounty_round(week)
            return f"bounty round of {week} is closed"

        if at_ns < self.exchange.end_ns:
            yield Step(at_ns, EVERYONE, close)


def _register(ledger: Client, _: Played) -> str:
    """Currencies, markets and accounts."""
    for currency, decimals in FEE_DECIMALS.items():
        ledger.register_currency(currency, decimals=decimals)
    for pair in PAIRS:
        ledger.register_symbol(
            pair.symbol,
            base_currency=pair.base,
            quote_currency=pair.quote,
            price_scale=pair.price_scale,
            quantity_scale=pair.quantity_scale,
            pair_class=pair.pair_class,
        )
    for account in ACCOUNTS:
        ledger.register_account(account.account_id, owner_id=account.owner_id)
    return ""


def _trial(account_id: str) -> Callable[[Client, Played], str]:
    """A trial may be refused, and that is part of the story."""

    def act(ledger: Client, _: Played) -> str:
        try:
            ledger.start_trial(account_id)
        except LedgerError as error:
            if error.reason is None:
                raise
            return f"asks for a trial and is refused: {error.reason.name}"
        return "starts the trial"

    return act


def _fills(first: int, fills: list[Any]) -> Callable[[Client, Played], str]:
    def act(ledger: Client, played: Played) -> str:
        answer = ledger.record_fills(fills, source=SOURCE, first_sequence=first, actor="demo")
        if answer.recorded != len(fills):
            raise UnexpectedError(f"{len(answer.refusals)} fills were refused: {answer.refusals[:1]}")
        played.recorded += answer.recorded
        return ""

    return act


def _day(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // SECOND_NS, tz=UTC):%Y-%m-%d}"
