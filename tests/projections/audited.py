"""Ledgers to be audited: one with a rich life, copies of it to be tampered with, and what an audit says of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from ledger import programmes
from ledger.domain.commands import RecordDailyClose
from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.events import EvaluationStarted, Event, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.end_day_close import Close
from ledger.domain.streams import account_of
from ledger.replay.compare import Deviation
from ledger.store.codec.events import encode
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from projections.audit.audit import Audit
from projections.audit.frame import Frame
from projections.audit.processes import shares_of
from projections.audit.scope import Scope
from projections.audit.terms import Otherwise
from projections.evaluation.plan import known_closes
from tests.properties.test_replay import History
from tests.write_side import NOON_NS, Writing, ask, opened

TABLES = ("events", "commits", "requests", "tracking", "erasable_parts", "erasable_text", "migrations")
OF_ACCOUNTS = ("account/", "fees/", "repricing/")
_copies = itertools.count(1)


class Life(History):
    """A history whose evaluations rest on closes that the log has."""

    def run(self, steps: int) -> None:
        today = NOON_NS // DAY_NS
        for day in range(today - 90, today - 1):
            self.writing.step(ask(RecordDailyClose("BTC", "USDT", day, f"{60_000 + day % 7}.25", "index", bytes(32))))
        super().run(steps)

    def closes(self, event: EvaluationStarted) -> dict[Close, KnownClose]:
        programme = programmes.parse(programmes.packaged())
        return known_closes(self.writing.log, programme, event.read_position)


@contextmanager
def rich_ledger(dsn: str, schema: str, *, steps: int = 30) -> Iterator[Writing]:
    """Trials, bans, tiers, matches, rewards, evaluations, adjustments; fills, some of them refused or sent again."""
    with opened(dsn, schema) as writing:
        Life(writing, 5).run(steps)
        yield writing


def last(log: list[Recorded], kind: type[Event]) -> Recorded:
    """The last event of a kind."""
    return [recorded for recorded in log if isinstance(recorded.event, kind)][-1]


class Copy:
    """A copy of a ledger, to be changed behind its back."""

    def __init__(self, dsn: str, source: str) -> None:
        """`source` is the schema of the ledger."""
        self.dsn, self.schema = dsn, f"{source}_copy_{next(_copies)}"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {self.schema}")
            for table in TABLES:
                connection.execute(f"CREATE TABLE {self.schema}.{table} (LIKE {source}.{table} INCLUDING ALL)")
                connection.execute(f"INSERT INTO {self.schema}.{table} SELECT * FROM {source}.{table}")

    def sql(self, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What anybody with a connection can do."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.replace("LEDGER", self.schema).encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def edit(self, recorded: Recorded, change: Callable[[Any], Event]) -> None:
        """Another event in the place of one, as the ledger itself would write it."""
        event = change(recorded.event)
        assert event != recorded.event
        self.put(replace(recorded, event=event))

    def put(self, recorded: Recorded) -> None:
        """An event at its position, whatever lay there."""
        state = encode(recorded.envelope, recorded.event)[1]
        self.sql(
            "UPDATE LEDGER.events SET state = %(state)s WHERE notification_id = %(position)s",
            state=state,
            position=recorded.position,
        )

    def advances(self, until: int) -> list[Recorded]:
        """The last SourceAdvanced of each source up to a position."""
        with open_datastore(self.dsn, self.schema, connections=1) as datastore:
            return Log(datastore).last_below("source/", until)

    def audit(self, *, jobs: int = 1, known: int | None = None, **scope: Any) -> list[Deviation]:
        """What an audit finds."""
        return audit(self.dsn, self.schema, jobs=jobs, known=known, **scope)[0]

    def audit_each(self, found: Sequence[Deviation]) -> None:
        """An audit of each account by itself finds all that the whole audit found in its streams."""
        streams = {each.stream for each in found if each.stream.startswith(OF_ACCOUNTS)}
        for account_id in sorted(set(map(account_of, streams))):
            mine = set(map(str, self.audit(accounts=frozenset([account_id]))))
            of_account = {
                str(each) for each in found if each.stream in streams and account_of(each.stream) == account_id
            }
            missed = {each for each in of_account - mine if "no event lies at" not in each}  # that is of the frame
            assert not missed, (account_id, missed, mine)


def audit(
    dsn: str,
    schema: str,
    *,
    jobs: int = 1,
    known: int | None = None,
    otherwise: list[Otherwise] | None = None,
    **scope: Any,
) -> tuple[list[Deviation], int, int]:
    """(what is found, events, fills); `otherwise` takes what older rules decided otherwise."""
    with open_datastore(dsn, schema, connections=2) as datastore:
        log = Log(datastore)
        whole = Scope(Frame(log).end() if known is None else known, **scope)
        auditing = Audit(log, whole)
        found = list(auditing.frame())
        events = fills = 0
        with shares_of(jobs) as shares:
            shares.begin(dsn, schema, whole, after=0)
            for stretch in auditing.run(shares):
                found += stretch.deviations
                if otherwise is not None:
                    otherwise += stretch.otherwise
                events += stretch.events
                fills += stretch.fills
    return found, events, fills
