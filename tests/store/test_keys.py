"""The keys of the log: every read of it is a seek, and the days of accounts are found whatever these are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from random import Random
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger.domain.events import POSITION_MAX
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_stream, fee_stream
from ledger.store.fee_streams import days_of
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.store.postgres.migrate import EVENTS
from ledger.store.reads import KEYS
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import LogRows, Row
from tests.properties.test_replay import History
from tests.store.test_closed_reads import ASKED, SEED, account, day
from tests.write_side import Writing

NAMES: Final = ("a", "a-b", "a.b", "aa", "b", "B", "b0", "é", "z" * 64)  # in another order beside a '/'
FIRST_DAY: Final = 19_990
FEW_TIMES: Final = 40  # of each random read

# Reads that are of no position, or of a few events among all.
OTHERS: Final[dict[str, Callable[[Log, Random], Any]]] = {
    "last_of": lambda log, random: [log.last_of("source/engine-1"), log.last_of(stream(random))],
    "runs_since": lambda log, random: list(log.runs_since([(stream(random), 1)])),
    "runs_of_commits": lambda log, random: list(log.runs_of_commits([(stream(random), 1)])),
    "runs_of": lambda log, random: list(log.runs_of([stream(random)])),
    "existing": lambda log, random: log.existing([stream(random)]),
    "credits_with": lambda log, random: log.credits_with(random.randrange(1, 50)),
    "versions": lambda log, _: log.versions("source/engine-1", 1, 10),
    "last_versions": lambda log, random: log.last_versions([account_stream(account(random))]),
    "last_versions_of_accounts": lambda log, _: log.last_versions_of_accounts("account1", "account5"),
    "accounts_and_days": lambda log, random: log.accounts_and_days(
        {account_stream(account(random)): 0}, [stream(random)], lambda _: None
    ),
}
WHOLE: Final = {
    "digests",
    "rows_between",
    "first_evaluations",
    "last_events_between",
    "decisions_between",
    "stored",
    "account_events",
}


def stream(random: Random) -> str:
    return fee_stream(account(random), day(random))


def test_every_read_finds_its_events_by_a_key(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PostgreSQL may not look at all of the events it does not, and no index is walked from its beginning."""
    History(writing, SEED).run(15)
    log, random = writing.log, Random(SEED)
    reads: dict[str, Callable[[], Any]] = {
        name: partial(ASKED[name], log, log.head().position, random) for name in ASKED
    }
    reads |= {name: partial(OTHERS[name], log, random) for name in OTHERS}
    asked: list[tuple[Any, Any]] = []
    for kind in (psycopg.Cursor, psycopg.ServerCursor):
        monkeypatch.setattr(kind, "execute", noting(asked, kind.execute))
    walks: dict[str, list[str]] = {}
    for name in reads.keys() - WHOLE:
        asked.clear()
        reads[name]()
        assert asked, name
        with log.connections.get_connection() as connection, connection.transaction():
            connection.execute("SET LOCAL enable_seqscan = off")
            plans = [plan(connection, *each) for each in asked[:] if isinstance(each[0], bytes)]
        walks[name] = [line for each in plans for line in each if is_a_walk(line, each)]
    assert {name: lines for name, lines in walks.items() if lines} == {}


def noting(asked: list[tuple[Any, Any]], execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a cursor that notes down what it is asked."""

    def noted(cursor: Any, statement: Any, parameters: Any = None, **options: Any) -> Any:
        asked.append((statement, parameters))
        return execute(cursor, statement, parameters, **options)

    return noted


def plan(connection: psycopg.Connection[Any], statement: bytes, parameters: Any) -> list[str]:
    cursor = connection.cursor(row_factory=tuple_row)
    return [line for (line,) in cursor.execute(b"EXPLAIN (COSTS OFF) " + statement, parameters, prepare=False)]


def is_a_walk(line: str, plan: list[str]) -> bool:
    """Whether a line of a plan looks at every event, or at every entry of an index of the events."""
    if "Seq Scan on events" in line:
        return True
    following = plan[plan.index(line) + 1 :][:1]
    return "Index" in line and " on events" in line and not any("Index Cond" in each for each in following)


@pytest.fixture
def traded(dsn: str, schema: str) -> Iterator[tuple[Log, list[tuple[int, str, int]]]]:
    """A log of fee streams alone, with gaps between its days, and the (position, account, day) of its events."""
    random = Random(SEED)
    days = random.sample(range(FIRST_DAY, FIRST_DAY + 60), 12)
    events = [(position, random.choice(NAMES), random.choice(days)) for position in range(1, 200)]
    with closing(open_datastore(dsn, schema, connections=2)) as datastore:
        recorder = LedgerRecorder(datastore)
        recorder.create_table()
        rows = LogRows(
            Row(
                fee_stream(name, on_day), position, "VolumeRecorded", b"", position, *[on_day * DAY_NS + DAY_NS - 1] * 3
            )
            for position, name, on_day in events
        )
        rows.append(Row("account/decided", 1, "TierChanged", b"", 200))
        with psycopg.connect(dsn, autocommit=True) as connection:
            recorder.begin(connection)
            recorder.append(connection, rows)
            connection.execute("COMMIT")
        yield Log(datastore), events


def test_the_days_of_accounts_are_found_as_by_looking_at_every_event(
    traded: tuple[Log, list[tuple[int, str, int]]],
) -> None:
    log, events = traded
    names = {"events": Identifier(log.connections.schema, EVENTS), **KEYS}
    text = days_of("%(accounts)s::text[]", first="%(first)s::int", end="%(end)s") + "SELECT * FROM traded"
    random = Random(SEED)
    for _ in range(FEW_TIMES):
        accounts = sorted(random.sample([*NAMES, "0", "nobody", "zz"], random.randint(1, 5)), key=str.encode)
        first, end = sorted(random.choices(range(FIRST_DAY - 1, FIRST_DAY + 62), k=2))
        parameters = {"accounts": accounts, "first": first, "end": end}
        expected: dict[tuple[int, str], int] = {}
        for position, name, on_day in events:
            if name in accounts and first <= on_day < end:
                expected.setdefault((on_day, name), position)
        found = log.query(SQL(text).format(**names), parameters)
        assert {(on_day, name): since for on_day, name, since in found} == expected
        assert len(found) == len(expected)


def test_accounts_that_trade_come_in_the_order_of_their_ids(traded: tuple[Log, list[tuple[int, str, int]]]) -> None:
    log, events = traded
    random = Random(SEED)
    for _ in range(FEW_TIMES):
        after, until = random.choice(["", *NAMES, "aaa"]), random.choice(["", *NAMES, "aaa"])
        first_day, before, limit = FIRST_DAY + random.randrange(62), random.randrange(200), random.randint(1, 12)
        since = [
            (name, position)
            for position, name, on_day in events
            if on_day >= first_day and after.encode() < name.encode() and (not until or name.encode() <= until.encode())
        ]
        accounts = sorted({name for name, _ in since}, key=str.encode)
        trading = [name for name in accounts if any(one == name and place < before for one, place in since)]
        found = log.accounts_with_fees(after, until, first_day, before, limit)
        assert found == [(name, name in trading) for name in accounts[:limit]]
        assert log.accounts_trading(after, until, first_day, before, limit) == trading[:limit]


def test_an_account_is_known_by_its_first_fill_or_decision(traded: tuple[Log, list[tuple[int, str, int]]]) -> None:
    log, events = traded
    for until in (0, 1, 7, 199, 200):
        expected = {name for position, name, _ in events if position <= until} | (
            {"decided"} if until >= 200 else set()
        )
        assert log.known_accounts([*NAMES, "nobody", "decided"], until) == expected
        assert [name for name in (*NAMES, "nobody") if log.has_account(name, until)] == [
            name for name in NAMES if name in expected
        ]
    every = sorted({name for _, name, _ in events} | {"decided"}, key=str.encode)
    pages = list(log.accounts_after("", 4))
    assert [page.total for page in pages] == [len(every)] * len(pages)
    assert [name for page in pages for name in page.account_ids] == every
    assert [name for page in log.accounts_after("aa", 100) for name in page.account_ids] == every[
        every.index("aa") + 1 :
    ]


def test_a_fee_stream_whose_name_is_that_of_no_day_has_no_events(writing: Writing) -> None:
    for name in ("fees/alice", "fees/alice/today", "fees/alice/2024-02-30", "fees/a/b/2024-10-04"):
        assert writing.log.stored(name, 0, POSITION_MAX, 10) == []
