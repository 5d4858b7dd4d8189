"""Accounts that are alike are evaluated at once, as if each had been evaluated by itself: byte for byte.

Two ledgers have one random history. In one of them evaluations run as the service runs them; in the other one each
account is read, assessed and decided by itself, in the order in which the first one recorded them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import psycopg
import pytest

from ledger import programmes
from ledger.domain import commands as asked
from ledger.domain.decide.evaluation import Assessment
from ledger.domain.events import PERIODIC, Envelope, EvaluationStarted, FeeAdjusted, Recorded, VolumeEvaluated
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text
from ledger.domain.streams import subject_of
from ledger.server.evaluation_runner import _jobs
from ledger.writing.messages import Accepted, EvaluateAccounts
from projections.evaluation.plan import BLOCKED, Chunk, EvaluationPlan
from projections.tables import tables as read_side
from projections.tables.rows import TABLES
from projections.tables.tables import Tables, create_tables, read_schema
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, opened, record

ACCOUNTS = [f"account-1{number:03}" for number in range(90)]
TIERS = ("VIP1", "VIP2", "VIP4")
MIDNIGHT_NS = NOON_NS - DAY_NS // 2
INSTANTS_NS = (MIDNIGHT_NS - 13 * DAY_NS, MIDNIGHT_NS - 4 * DAY_NS, MIDNIGHT_NS)
CHUNK = 32
OTHER_RULES = {
    'above_top = "keep"': 'above_top = "manual_review"',
    'deactivation = "at_grant_end"': 'deactivation = "immediate"',
    'grant_resolution = "highest_active"': 'grant_resolution = "latest_evaluation_wins"',
    'late_grant = "adjust"': 'late_grant = "from_record"',
    "aggregate_subaccounts = false": "aggregate_subaccounts = true",
    "ban_count_volume = false": "ban_count_volume = true",
}


class History:
    """A random history, the same for every ledger that it is told to; what it does need not be allowed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._number = 0

    def begin(self) -> list[Any]:
        """What every account needs, but for closes of the last days."""
        days = range(MIDNIGHT_NS // DAY_NS - 50, MIDNIGHT_NS // DAY_NS - 10)
        return [
            self._ask(asked.RegisterSymbol("T", "DOGE", "BTC", 1, 8, 8, pair_class="B")),
            self._ask(asked.RegisterCurrency("BTC", 10)),
            *(self._ask(asked.RecordDailyClose("BTC", "USDT", day, "60000.5", "index", bytes(32))) for day in days),
        ]

    def trades(self, until_ns: int, count: int) -> list[Any]:
        """Fills of some accounts within 45 days before an instant: most of them in one market and by one channel."""
        rows = [self._fill(self._random.choice(ACCOUNTS), until_ns) for _ in range(count)]
        return [record(fills(*rows))]

    def decisions(self, count: int) -> list[Any]:
        """Commands on some of the accounts."""
        return [self._ask(self._command(self._random.choice(ACCOUNTS[::3]))) for _ in range(count)]

    def _fill(self, account_id: str, until_ns: int) -> dict[str, Any]:
        random, at_ns = self._random, until_ns - self._random.randrange(45 * DAY_NS)
        self._number += 1
        return {
            "account_id": account_id,
            "exec_id": f"E{self._number}",
            "symbol": random.choice("SSSSSSSSST"),
            "channel": random.choice((1, 1, 1, 1, 1, 1, 1, 2)),
            "transact_time_ns": at_ns,
            "quantity": decimal_text(random.randrange(1, 10 ** random.choice((12, 15, 16, 17))), 8),
            "owner_id": account_id,
            "counterparty_owner_id": random.choice((account_id, *["somebody"] * 9)),
        }

    def _command(self, account_id: str) -> Any:
        random, at_ns = self._random, NOON_NS - self._random.randrange(40 * DAY_NS)
        until_ns = random.choice((None, at_ns + 1 + random.randrange(30 * DAY_NS)))
        parent = random.choice(["", *ACCOUNTS[:3]])
        return random.choice(
            (
                asked.ChangeTier(account_id, random.choice(TIERS), at_ns, until_ns),
                asked.ChangeTier(account_id, random.choice(TIERS), at_ns, until_ns),
                asked.RevokeTier(account_id, "g1", at_ns),
                asked.StartTrial(account_id, at_ns),
                asked.BanAccount(account_id, 3, at_ns, "ORDER_SPAM"),
                asked.FlagAccount(account_id, "FAKE", at_ns, b""),
                asked.UnflagAccount(account_id, at_ns),
                asked.RegisterAccount(account_id, account_id, parent if parent != account_id else "", at_ns),
            )
        )

    def _ask(self, command: Any) -> Any:
        self._number += 1
        return ask(command, f"request-{self._number}")


class Ledger:
    """A ledger with its tables."""

    def __init__(self, writing: Writing, connection: psycopg.Connection[Any]) -> None:
        self.writing = writing
        self._connection = connection
        self._schema = writing.config.schema
        create_tables(connection, self._schema)
        self._tables = Tables(writing.log, self._schema)

    @property
    def head(self) -> int:
        return self.writing.log.head().position

    def advance(self) -> None:
        self._tables.advance(self._connection, self._tables.position(self._connection), self.head)

    def plan(self, at_ns: int, known: int) -> EvaluationPlan:
        programme_id = next(iter(self.writing.service._states.book.programmes))
        names = {"programme_id": programme_id, "kind": PERIODIC, "instant_ns": at_ns, "known": known}
        return EvaluationPlan(self.writing.log, self._schema, **names)

    def rows(self, *, after: int) -> list[tuple[Any, ...]]:
        """The log after a position, as it is stored."""
        return list(self.writing.log.stored("", after, self.head, 10**6))

    def read_side(self) -> dict[str, list[tuple[Any, ...]]]:
        """Rows of the tables, and the snapshots of accounts."""
        names = [*(f"{read_schema(self._schema)}.{name}" for name in TABLES), f"{self._schema}.account_snapshots"]
        return {
            name.partition(".")[2]: sorted(self._connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)  # type: ignore[arg-type]
            for name in names
        }


@pytest.fixture(params=[{}, OTHER_RULES], ids=["as packaged", "other rules"])
def ledgers(
    request: pytest.FixtureRequest, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Ledger, Ledger]]:
    content = programmes.packaged()
    for text, other in request.param.items():
        assert text in content
        content = content.replace(text, other)
    monkeypatch.setattr(programmes, "packaged", lambda: content)
    with (
        opened(dsn, schema) as first,
        opened(dsn, f"{schema}_b") as second,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        yield Ledger(first, connection), Ledger(second, connection)


def test_accounts_evaluated_at_once_have_the_events_rows_and_snapshots_of_each_by_itself(
    ledgers: tuple[Ledger, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    history, at_once, late, blocked, valued = History(41), 0, 0, 0, 0
    begin(ledgers, history.begin())
    for number, at_ns in enumerate(INSTANTS_NS):
        for jobs in (history.trades(at_ns, 150), history.decisions(10), history.trades(NOON_NS, 10)):
            begin(ledgers, jobs)
        known = ledgers[0].head
        begin(ledgers, [*history.trades(NOON_NS, 5), *history.decisions(5)])  # after what the run reads
        chunks = list(ledgers[0].plan(at_ns, known).chunks(CHUNK))
        assert_planned_as_one_by_one(ledgers[1].plan(at_ns, known), chunks)
        at_once += sum(len(each.found) for chunk in chunks for each in chunk.alike)
        blocked += sum(planned.movement == BLOCKED for chunk in chunks for planned in chunk.planned)
        others = [planned.found for chunk in chunks for planned in chunk.others]
        valued += sum(isinstance(found, Assessment) and len(found.closes) > 0 for found in others)
        before = ledgers[0].head
        evaluate(ledgers, at_ns, known, chunks, again=number == 1)
        recorded = ledgers[0].writing.events(before)
        late += sum(isinstance(each.event, FeeAdjusted) for each in recorded)
        for ledger, many in zip(ledgers, (1, 10**6), strict=True):
            monkeypatch.setattr(read_side, "MANY", many)
            ledger.advance()
    tables, others = (ledger.read_side() for ledger in ledgers)
    for name, rows in tables.items():
        assert rows == others[name], name
    assert min(map(len, (tables["vip_intervals"], tables["account_snapshots"]))) > 10
    assert at_once > 150
    assert blocked > 0
    assert valued > 0
    assert late > 0 or "from_record" in programmes.packaged()


def begin(ledgers: Sequence[Ledger], jobs: Sequence[Any]) -> None:
    """Have one commit in each ledger, and their tables moved on."""
    for ledger in ledgers:
        ledger.writing.step(*jobs)
        ledger.advance()
    assert ledgers[0].head == ledgers[1].head


def assert_planned_as_one_by_one(plan: EvaluationPlan, chunks: Sequence[Chunk]) -> None:
    """The plan says of all accounts together what it says of each that is read by itself."""
    ids = [name for name in ACCOUNTS if plan._log.has_account(name, plan.run.read_position)]
    assert [planned for chunk in chunks for planned in chunk.planned] == plan._planned(plan._states(ids))


def evaluate(ledgers: tuple[Ledger, Ledger], at_ns: int, known: int, chunks: Sequence[Chunk], *, again: bool) -> None:
    """Record a chunk in each commit, in one ledger at once, in the other one account by account; some come twice."""
    first, second = ledgers
    for chunk in chunks:
        before = first.head
        jobs = _jobs(started(at_ns, known), chunk)
        first.writing.step(*jobs)
        events = [each for each in first.writing.events(before) if isinstance(each.event, VolumeEvaluated)]
        found = {planned.case.account_id: planned for planned in chunk.planned}
        names = [subject_of(each.stream) for each in events]
        assert len(names) == len({*names})
        by_itself = [(found[name].run, [found[name].found]) for name in names]
        second.writing.step(*(EvaluateAccounts(started(at_ns, known), run, each) for run, each in by_itself))  # type: ignore[arg-type]
        assert first.rows(after=before) == second.rows(after=before)
        if again:
            for ledger in ledgers:
                ledger.writing.new_term()
            head = first.head
            first.writing.step(*jobs)
            assert first.head == head, "no account is evaluated twice"


def started(at_ns: int, known: int) -> Recorded:
    event = EvaluationStarted("bitmart-api-vip", "3.0", PERIODIC, at_ns, at_ns - 30 * DAY_NS, at_ns, known)
    return Recorded(1, "evaluation", 1, Envelope(at_ns, at_ns, 1, "ops-1", request_id="run"), event)


def test_what_comes_after_an_evaluation_in_its_commit_finds_it(ledgers: tuple[Ledger, Ledger]) -> None:
    ledger, history = ledgers[0], History(7)
    for jobs in ([], history.trades(MIDNIGHT_NS, 60)):
        ledger.writing.step(*jobs)
    ledger.advance()
    ledger.writing.new_term()  # so that no account is in memory
    (chunk,) = ledger.plan(MIDNIGHT_NS, ledger.head).chunks()
    ((alike, *_), before) = chunk.alike, ledger.head
    name = next(name for name, tier in zip(alike.found.account_ids, alike.found.tiers, strict=True) if tier in TIERS)
    jobs = _jobs(started(MIDNIGHT_NS, before), chunk)
    *_, answer, _ = ledger.writing.step(*jobs, ask(asked.ChangeTier(name, "VIP1", MIDNIGHT_NS, None)), *jobs)
    assert isinstance(answer, Accepted), answer
    assert (answer.recorded.version, answer.recorded.event.grant_id) == (2, "g2")  # type: ignore[union-attr]
    evaluated = [each.stream for each in ledger.writing.events(before) if isinstance(each.event, VolumeEvaluated)]
    assert len(evaluated) == len({*evaluated}) > 20
