"""A replay of `decide` over any generated history reproduces every event of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, get_args

import numpy as np
import pytest

from ledger import programmes
from ledger.arrays.columns import packed
from ledger.domain import commands as asked
from ledger.domain import events as told
from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun, assess
from ledger.domain.decide.evaluation_run import completed
from ledger.domain.events import PERIODIC, EvaluationStarted, Event, MigrationApplied, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.money import decimal_text
from ledger.domain.rules.end_day_close import Close
from ledger.domain.state.account import fold_account
from ledger.domain.streams import account_of, account_stream, kind_and_subject
from ledger.fills import mend
from ledger.fills.lines import ints, known_lines
from ledger.replay.replay import NOT_DECIDED
from ledger.writing.messages import Accepted, CompleteEvaluation, EvaluateAccounts, GoOnRepricing
from projections.answers.fee_history import AccountSpan, day_sums
from tests.domain.worked import fills
from tests.made_up import made_up
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record

TIERS = ("VIP1", "VIP2", "VIP3", "VIP4", "VIP5")
OWNERS = {f"account{number}": f"owner{number % 5}" for number in range(12)}
OTHER_OWNERS = {"account1": "owner3", "account2": "owner4"}  # that their fills name beside their own
EVALUATION_NS = NOON_NS - DAY_NS // 2 - 6 * DAY_NS  # 2024-09-28 00:00 UTC
EARLIER_EVALUATIONS_NS = (EVALUATION_NS - 10 * DAY_NS, EVALUATION_NS - 20 * DAY_NS, EVALUATION_NS - 31 * DAY_NS)
CLAIM = told.MatchClaim(("other",), "VIP3", NOON_NS - 30 * DAY_NS, NOON_NS, "3000000", "10", bytes(32))
YESTERDAY = NOON_NS // DAY_NS - 1
STEPS = {"account_opened": True, "api_key_created": True, "form_submitted": True, "community_joined": False}


class History:
    """A random history of a few accounts in one ledger: what it does need not be allowed."""

    def __init__(self, writing: Writing, seed: int) -> None:
        self.writing, self.random = writing, Random(seed)
        self.sent: list[dict[str, Any]] = []
        self.sequence = 1
        self.decided: dict[str, list[int]] = {}  # positions of what was recorded of an account

    def at_ns(self) -> int:
        return NOON_NS - self.random.randrange(45 * DAY_NS)

    def run(self, steps: int) -> None:
        for command in (
            asked.RegisterSymbol("T", "DOGE", "BTC", 1, 12, 6, pair_class="B"),
            asked.RegisterSymbol("NEW", "NEW", "USDT", 1, 2, 2),
            asked.RegisterSymbol("LATE", "LATE", "USDT", 1, 2, 2),
            asked.AssignPairClass("NEW", "C", None),
            asked.SetPairRates("NEW", 0, 700, None),
            asked.RegisterCurrency("BTC", 10),
            asked.AnnouncePromotion("promo", "TRADING", NOON_NS - DAY_NS, NOON_NS + DAY_NS),
            asked.StartTrial("newcomer", NOON_NS - DAY_NS),
            asked.ChangeTier("applicant", "VIP1", NOON_NS, None),
            asked.RevokeTier("applicant", "g1", NOON_NS),
            asked.BanAccount("applicant", 2, NOON_NS - DAY_NS, "ORDER_SPAM"),
            asked.LiftBan("applicant", NOON_NS),
            asked.FlagAccount("applicant", "ROBOT", NOON_NS - DAY_NS, b""),
            asked.UnflagAccount("applicant", NOON_NS),
            asked.SubmitApplication("applicant", NOON_NS, STEPS),
            asked.SettleApplication("applicant", "p1", "DECLINED", NOON_NS),
            asked.RequestMatch("claimant", CLAIM, NOON_NS),
            asked.RejectMatch("claimant", "m1", "NO_PROOF", None),
            asked.ChangeTier("reporter", "VIP1", NOON_NS - DAY_NS, None),
            asked.AssignKeyAccountManager("reporter", "kam", NOON_NS),
            asked.ReportFeedback("reporter", "BUG", "EMAIL", NOON_NS - DAY_NS // 2),
            asked.AwardBounty("2024-W40", "r1", "5", "USDT"),
            asked.AwardBonus("promo", "reporter", "5", "USDT", NOON_NS, False, "ops-1", "ops-2"),
            asked.RecordDailyClose("BTC", "USDT", NOON_NS // DAY_NS - 1, "60000.5", "index", bytes(32)),
        ):
            (answer,) = self.writing.step(ask(command))
            assert isinstance(answer, Accepted), answer
        (given,) = self.writing.step(ask(asked.ChangeTier("declined", "VIP1", NOON_NS - DAY_NS, None)))
        assert isinstance(given, Accepted), given
        self.writing.step(ask(asked.DeclineFact("declined", given.recorded.position)))
        (credited,) = self.writing.step(ask(asked.CreditFee("declined", YESTERDAY, "12.5", "USDT", "OUTAGE")))
        assert isinstance(credited, Accepted), credited
        self.writing.step(ask(asked.WithdrawCredit("declined", credited.recorded.position, "MISTAKE")))
        for number in range(steps):
            for answer in self.writing.step(*(self.input() for _ in range(self.random.randint(1, 4)))):
                if isinstance(answer, Accepted):
                    stream = answer.recorded.stream
                    of_account = kind_and_subject(stream)[0] in ("account", "fees")
                    self.decided.setdefault(account_of(stream) if of_account else "", []).append(
                        answer.recorded.position
                    )
            self.writing.step(GoOnRepricing(list(OWNERS)))
            if number == steps // 2:
                self.classify()
            if number % 40 == 39:
                self.evaluate(self.random.choice(EARLIER_EVALUATIONS_NS))
            if number % 5 == 4:
                self.withdraw()
        self.complete(self.evaluate(EVALUATION_NS))
        self.writing.new_term()

    def input(self) -> Any:
        """Fills as often as commands; some of the fills were sent before, some of those with other content."""
        return self.fills() if self.random.random() < 0.5 else self.command()

    def fills(self) -> Any:
        rows = [self.fill() for _ in range(self.random.randint(1, 8))]
        again = self.random.sample(self.sent, min(len(self.sent), self.random.randint(0, 2)))
        rows += [{**row, "price": "0.7"} if self.random.random() < 0.3 else row for row in again]
        self.sent += rows
        source = self.random.choice(("", "engine"))
        batch = fills(*rows, source=source)
        if source:
            batch = replace(batch, sequence=batch.sequence + (self.sequence - 1))
            self.sequence += len(rows)
        return record(batch)

    def fill(self) -> dict[str, Any]:
        random, account_id = self.random, self.random.choice(list(OWNERS))
        wide, number = random.random() < 0.03, random.randrange(10**6)
        return {
            "account_id": account_id,
            "exec_id": f"E{number}",
            "symbol": random.choice(("S", "S", "T", "NEW", "LATE", "NONE")),
            "transact_time_ns": NOON_NS + 60 * SECOND_NS if random.random() < 0.2 else self.at_ns(),
            "side": random.randint(1, 2),
            "liquidity": random.randint(1, 2),
            "channel": random.randint(1, 2),
            "product": random.randint(0, 2),
            "price": random.choice(("0.5", "0.25", "3")),
            "quantity": "90000000000000000000000000" if wide else decimal_text(random.randrange(1, 10**9), 2),
            "owner_id": random.choice(("", "", OWNERS[account_id], OTHER_OWNERS.get(account_id, ""))),
            "counterparty_owner_id": random.choice(("", "owner1", OWNERS[account_id])),
            "token": random.choice(("", "", "BMX")),
            "trade_id": random.choice(("", "17", "T-1")),
            "cl_ord_id": "C-1" if number % 4 == 0 else "",
            "order_time_ns": random.choice((0, NOON_NS - 60 * DAY_NS)),
        }

    def command(self) -> Any:
        random, at_ns, account_id = self.random, self.at_ns(), self.random.choice(list(OWNERS))
        until_ns = random.choice((None, at_ns + 1 + random.randrange(30 * DAY_NS)))
        number, week = random.randint(1, 3), random.choice(("2024-W36", "2024-W39"))
        position = random.choice(self.decided.get(account_id, [1]))
        by_hand = (
            asked.RegisterAccount(account_id, OWNERS[account_id], "", None),
            asked.RegisterAccount(account_id, OWNERS[account_id], "account1", at_ns),
            asked.StartTrial(account_id, at_ns),
            asked.ChangeTier(account_id, random.choice(TIERS), at_ns, until_ns),
            asked.RevokeTier(account_id, f"g{number}", at_ns),
            asked.BanAccount(account_id, random.randint(1, 7), at_ns, "ORDER_SPAM"),
            asked.LiftBan(account_id, at_ns),
            asked.FlagAccount(account_id, "FAKE", at_ns, b"\x01" * 32),
            asked.UnflagAccount(account_id, at_ns),
            asked.ReleaseFact(account_id, position),
            asked.DeclineFact(account_id, position),
            asked.CreditFee(account_id, at_ns // DAY_NS, "0.25", random.choice(("USDT", "BMX", "XYZ")), "OUTAGE"),
            asked.WithdrawCredit(account_id, position, "MISTAKE"),
            asked.WithdrawFact(account_id, position),
            asked.RequestMatch(
                account_id, replace(CLAIM, period_from_ns=at_ns - 30 * DAY_NS, period_until_ns=at_ns), at_ns
            ),
            asked.ApproveMatch(account_id, f"m{number}", "ops-3", None),
            asked.RejectMatch(account_id, f"m{number}", "NO_PROOF", None),
            asked.SubmitApplication(account_id, at_ns, STEPS),
            asked.VerifyApiIdentity(account_id, at_ns),
            asked.SettleApplication(account_id, f"p{number}", "GRANTED", None),
            asked.AssignKeyAccountManager(account_id, "kam", at_ns),
            asked.RecordBehaviourMetric(account_id, "LOW_FILL_RATIO", "0.01", at_ns - DAY_NS, at_ns),
            asked.ReportFeedback(account_id, "BUG", "EMAIL", at_ns),
            asked.AwardBounty(week, f"r{number}", "5", "USDT"),
            asked.CloseBountyRound("2024-W37"),
            asked.AwardBonus("promo", account_id, "5", "USDT", None, random.random() < 0.5, "ops-1", "ops-2"),
        )
        known = set(map(type, by_hand))
        others = [kind for kind in get_args(asked.AccountCommand) if kind not in known]
        by = {"ticket": "T-19" if at_ns % 3 == 0 else ""}
        return ask(random.choice((*by_hand, *(made_up(kind, at_ns, account_id=account_id) for kind in others))), **by)

    def classify(self) -> None:
        """A class of a pair from before fills of it: two persons release it to all accounts, commit by commit."""
        (answer,) = self.writing.step(ask(asked.AssignPairClass("LATE", "A", NOON_NS - 20 * DAY_NS)))
        assert isinstance(answer, Accepted), answer
        self.writing.step(ask(asked.ReleaseSharedFact(answer.recorded.position)))

    def withdraw(self) -> None:
        """Something that was recorded of an account, if it can be withdrawn."""
        accounts = sorted(self.decided.keys() - {""})
        if not accounts:
            return  # nothing of any was accepted so far
        account_id = self.random.choice(accounts)
        self.writing.step(ask(asked.WithdrawFact(account_id, self.random.choice(self.decided[account_id]))))

    def evaluate(self, at_ns: int) -> Recorded:
        """All accounts at an instant: what was traded since is charged anew where another grant counts now."""
        (answer,) = self.writing.step(ask(asked.RunEvaluation("bitmart-api-vip", PERIODIC, at_ns)))
        assert isinstance(answer, Accepted), answer
        self.evaluated(answer.recorded)
        return answer.recorded

    def complete(self, began: Recorded) -> None:
        assert isinstance(began.event, EvaluationStarted)
        done = completed(began.event.read_position, Counter(NONE=len(OWNERS)), 0, ())
        self.writing.step(CompleteEvaluation(began, done))

    def closes(self, event: EvaluationStarted) -> dict[Close, KnownClose]:
        """Return a close for every day of a window, whatever the log has."""
        days = range(event.window_from_ns // DAY_NS - 1, event.window_until_ns // DAY_NS + 1)
        return {("BTC", day): KnownClose(60_000 * 10**18, 1) for day in days}

    def evaluated(self, began: Recorded) -> None:
        event = began.event
        assert isinstance(event, EvaluationStarted)
        run = EvaluationRun(programmes.parse(programmes.packaged()), PERIODIC, event.read_position)
        window, closes, found = (event.window_from_ns, event.window_until_ns), self.closes(event), []
        for account_id in OWNERS:
            days = day_sums(self.writing.log, AccountSpan(account_id, *window, event.read_position))
            cells = {day: {key: cell.notional for key, cell in sums.items()} for day, sums in days.items()}
            found.append(assess(run.programme, Case(account_id, event.instant_ns, window), cells, closes))
        self.writing.step(EvaluateAccounts(began, run, [each for each in found if isinstance(each, Assessment)]))


def changed(log: list[Recorded], kind: type[Event], change: Callable[[Any], Event]) -> tuple[list[Recorded], int]:
    """The log with one event of a kind, in its middle, as somebody might have changed it, and its position.

    A run with amounts beyond int64 is left alone: its columns are texts.
    """
    events = [recorded.event for recorded in log]
    places = [place for place, event in enumerate(events) if isinstance(event, kind) and not wide(event)]
    place = places[len(places) // 2]
    event = change(log[place].event)
    assert event != log[place].event
    return [*log[:place], replace(log[place], event=event), *log[place + 1 :]], log[place].position


def wide(event: Event) -> bool:
    return isinstance(event, VolumeRecorded) and event.columns.wide


def fee_off_by_one(event: VolumeRecorded) -> VolumeRecorded:
    fees = ints(event, "fee", signed=True).tolist()
    fees[-1] += 1
    return replace(event, columns=event.columns._replace(fee=packed(np.array(fees), signed=True).data))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_of_a_random_history_is_decided_again_alike(
    writing: Writing, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In it a commit restates two lines at most."""
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    History(writing, seed).run(steps=150)
    log = writing.events()
    assert [str(deviation) for deviation in deviations(log)] == [], seed
    seen = {type(recorded.event) for recorded in log}
    # Only a migration records that of its own; tests/store/test_migration.py has the audit of it.
    assert set(get_args(Event)) - seen == {MigrationApplied}, "kinds of events that no history has"
    runs = [recorded.event for recorded in log if isinstance(recorded.event, VolumeRecorded)]
    lines = [known for run in runs for known in known_lines(run)]
    for what in ("self_trade", "banned"):
        assert {getattr(known.line, what) for known in lines} == {True, False}
    assert {known.basis.rate_source for known in lines} >= {"BASE", "TIER", "REBATE_SUPPRESSED", "PAIR"}
    assert {known.basis.discount_ppm > 0 for known in lines} == {True, False}
    assert {run.columns.wide for run in runs} == {True, False}
    assert_withdrawn_facts_never_were(log)


def assert_withdrawn_facts_never_were(log: list[Recorded]) -> None:
    """Every account is what it would be if nobody had recorded what was withdrawn, but for versions and ids."""
    withdrawn = {recorded.event.fact_position for recorded in log if isinstance(recorded.event, told.FactWithdrawn)}
    assert len(withdrawn) > 5
    for account_id in OWNERS:
        stream = [recorded for recorded in log if recorded.stream == account_stream(account_id)]
        left = [
            recorded
            for recorded in stream
            if recorded.position not in withdrawn and not isinstance(recorded.event, told.FactWithdrawn)
        ]
        account, without = fold_account(account_id, stream), fold_account(account_id, left)
        beside = replace(account.matches_and_applications, withdrawn_ids=())
        assert replace(account, version=without.version, withdrawn_ids=(), matches_and_applications=beside) == without


def test_a_history_after_a_commit_of_a_wrong_clock_is_decided_again_alike(writing: Writing) -> None:
    writing.service.step([ask(asked.BanAccount("ahead", 1, None, "ORDER_SPAM"))], NOON_NS + 400 * DAY_NS)
    before = writing.log.head().position
    writing.new_term()
    History(writing, 1).run(steps=20)
    later = writing.events(before)
    assert min(recorded.envelope.recorded_time_ns for recorded in later) > NOON_NS + 400 * DAY_NS
    decided = {type(recorded.event).__name__ for recorded in later if recorded.envelope.request_id}
    assert {"TrialStarted", "VolumeEvaluated"} <= decided, decided
    assert deviations(writing.events()) == []


def test_what_is_not_decided_again_is_listed_with_its_reason() -> None:
    assert all(NOT_DECIDED.values())
    assert set(NOT_DECIDED) < set(get_args(Event))
    assert {kind.__name__ for kind in NOT_DECIDED} == {
        "LedgerCreated",
        "WriterStarted",
        "MigrationApplied",
        "EvaluationCompleted",
    }


def test_what_was_changed_behind_the_ledgers_back_is_named_with_its_position(writing: Writing) -> None:
    History(writing, 3).run(steps=60)
    log = writing.events()
    changes: list[tuple[type[Event], Callable[[Any], Event], str]] = [
        (VolumeRecorded, fee_off_by_one, "fee is "),
        (VolumeRecorded, lambda event: replace(event, bases=_dearer(event)), "basis is "),
        (VolumeRecorded, lambda event: replace(event, totals=()), "totals of (quote_currency "),
        (VolumeRecorded, lambda event: replace(event, time_max_so_far_ns=NOON_NS * 2), "time_max_so_far_ns is "),
        (told.TrialStarted, lambda event: replace(event, valid_until_ns=event.valid_until_ns + 1), "valid_until_ns"),
        (told.TierChanged, lambda event: replace(event, grant_id="g77"), "grant_id is 'g77'"),
        (told.TierRevoked, lambda event: replace(event, grant_id="g77"), "grant_id is 'g77', expected 'g1'"),
        (told.AccountBanned, lambda event: replace(event, end_time_ns=event.end_time_ns + 1), "end_time_ns is "),
        (told.AccountLinked, lambda _: told.AccountLinked("nobody"), "was expected"),
        (told.SourceAdvanced, lambda event: replace(event, recorded=event.recorded + 1), "recorded is "),
        (told.VolumeEvaluated, lambda event: replace(event, tier="VIP9"), "tier is 'VIP9'"),
        (told.FeeAdjusted, lambda event: replace(event, totals=()), "totals of (quote_currency "),
        (told.FeeCredited, lambda event: replace(event, totals=()), "totals of (quote_currency "),
        (told.FeeCredited, lambda event: replace(event, amount="7"), "totals of (quote_currency "),
        (told.FeeCredited, lambda event: replace(event, reason_code="OTHER"), "reason_code is 'OTHER', expected"),
        (told.CreditWithdrawn, lambda event: replace(event, credit_position=1), "credit_position is 1, expected "),
        (told.PairClassAssigned, lambda event: replace(event, pair_class="Z"), "pair_class is 'Z', expected"),
    ]
    for kind, change, names in changes:
        other, position = changed(log, kind, change)
        first, *_ = deviations(other)
        assert first.position == position, (kind, str(first))
        assert names in str(first), kind


def test_an_event_that_is_missing_is_named_by_the_one_behind_it(writing: Writing) -> None:
    History(writing, 3).run(steps=60)
    log = writing.events()
    place = next(place for place, recorded in enumerate(log) if isinstance(recorded.event, told.FeeAdjusted))
    found = deviations([*log[:place], *log[place + 1 :]])
    assert found[0].position == log[place + 1].position
    assert any(f"fees of {log[place].stream} should have been adjusted" in str(each) for each in found)


def _dearer(event: VolumeRecorded) -> tuple[told.Basis, ...]:
    return tuple(basis._replace(rate_ppm=basis.rate_ppm + 1) for basis in event.bases)
