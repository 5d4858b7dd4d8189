"""A ledger that is a year old: what a restart, a day, a read and an audit take when the log has millions of rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import numpy as np

from ledger import programmes
from ledger.domain.events import POSITION_MAX
from ledger.domain.instants import DAY_NS
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.v1 import programme_service_pb2_grpc
from ledger.v1.command_pb2 import Authority
from ledger.v1.programme_service_pb2 import PublishProgrammeRequest
from projections.tables.tables import read_schema
from scripts.bench.figures import REBUILD
from scripts.bench.fills import joined, reference_fills
from scripts.bench.life import END_DAY, KINDS, TRADES_EACH, YEAR
from scripts.bench.load import FILLS_PER_MESSAGE, Lane, Load, stream_load, stream_messages
from scripts.bench.one_account import audit_hour
from scripts.bench.proc import process
from scripts.bench.rebuild import rebuild
from scripts.bench.seed import seed
from scripts.bench.service import CALL_SECONDS_MAX, ledger
from scripts.bench.store import Store, check
from scripts.bench.stream import stream
from scripts.bench.tables import wait_for_tables
from scripts.bench.use import Use, used
from scripts.bench.verify import verify_answers

SCHEMA: Final = "ledger"
FILLS: Final = 100_000  # after the restart, and of the day that is added
RESTARTED_ACCOUNTS: Final = 20_000  # which trade after the restart
YOUNG_DAYS: Final = TRADES_EACH  # of the log that the old one is compared with: a day of each account
_PAGE_RUNS: Final = 1_000
_READS: Final = 5
PUBLISHED: Final = {
    "rates": {'taker = "0.25%"': 'taker = "0.24%"'},
    "ranking": {"VIP1": "VIP-", "VIP2": "VIP1", "VIP-": "VIP2"},
    "choice": {'grant_resolution = "highest_active"': 'grant_resolution = "latest_evaluation_wins"'},
}
_ACCOUNT_DAYS: Final = "SELECT count(DISTINCT (account_id, day)) FROM {read}.fee_days"
_SAID_OF: Final = "SELECT account_id, xmin::text FROM {read}.vip_intervals"
_ROWS: Final = "SELECT max(last_position) FROM {schema}.commits"


@contextmanager
def aged_store(store: Store, accounts: int, days: int, settings: dict[str, object], name: str) -> Iterator[Store]:
    """Give a database with a ledger of so many accounts that lived so many days; say how long it took to make."""
    began_s = time.monotonic()
    with store.copied(name) as own:
        accounts = seed(own, SCHEMA, accounts=accounts, days=days)
        settings[f"{name}_accounts"] = accounts
        settings[f"{name}_rows"] = rows_of_log(own)
        settings[f"{name}_bytes"] = own.bytes_on_disk(SCHEMA)
        settings[f"{name}_made_in_s"] = round(time.monotonic() - began_s)
        yield own


def rows_of_log(store: Store) -> int:
    """Return how many events a log has."""
    ((rows,),) = store.rows(_ROWS.format(schema=SCHEMA))
    return int(rows)


class Aged:
    """A year: each account trades on every fourth day, and is evaluated 36 times."""

    def __init__(self, account_days: int, fills: int, *, days: int = YEAR) -> None:
        """`fills` of them are recorded after a restart, and on a day that is added, FILLS at most."""
        self._days = days
        self._accounts = max(account_days * TRADES_EACH // days, KINDS)
        self._fills = min(fills, FILLS)
        self.settings: dict[str, object] = {"aged_account_days": account_days, "aged_fills": self._fills}

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round on a ledger that is made for it."""
        with aged_store(store, self._accounts, self._days, self.settings, "aged") as own:
            found = {**read_day(own, self._accounts), **audit_hour(own, SCHEMA, "aged.audit_hour", days=self._days)}
            found |= self._restart(own)
            found |= _rebuild(own)
            old = add_day(own, self._accounts, self._fills)
        with aged_store(store, self._accounts, YOUNG_DAYS, self.settings, "young") as own:
            young = add_day(own, self._accounts, self._fills)
        return {
            **found,
            "aged.day.postgres_cpu_s": old.postgres_cpu_s,
            "aged.day.young_postgres_cpu_s": young.postgres_cpu_s,
            "aged.day.ratio": old.postgres_cpu_s / max(young.postgres_cpu_s, 0.01),
        }

    def _restart(self, store: Store) -> dict[str, float]:
        """Start the service, and record the first fills of accounts of which it knows nothing yet."""
        accounts = min(RESTARTED_ACCOUNTS, self._accounts)
        load = stream_load(self._fills, accounts=accounts, fills_per_message=FILLS_PER_MESSAGE)
        with ledger(store, SCHEMA) as served:
            store.checkpoint()
            with used(store, SCHEMA, served) as use:
                sent = stream(served.channel, load.lanes[0].messages)
            verify_answers(served.channel, load, [sent.answers])
            cpu_s = process(served.pid).cpu_s
        self.settings["aged_restart_accounts"] = accounts
        values = {**sent.figures(self._fills), **use.per_fill(self._fills), "cpu_s": cpu_s}
        return {f"aged.restart.{name}": value for name, value in values.items()}


def _rebuild(store: Store) -> dict[str, float]:
    """Make the tables anew, and compare them with those that are there."""
    ((days,),) = store.rows(_ACCOUNT_DAYS.format(read=read_schema(SCHEMA)))
    return {"aged.rebuild_account_days_per_s": rebuild(store, SCHEMA, days)[REBUILD]}


def add_day(store: Store, accounts: int, fills: int) -> Use:
    """Record one fill of each of so many accounts, on a day after all others: as many account-days."""
    count = min(accounts, fills)
    drawn = joined(reference_fills(count, accounts))
    account = np.random.default_rng(accounts).permutation(accounts)[:count]
    day = replace(drawn, account=account, transact_time_ns=drawn.transact_time_ns + DAY_NS)
    load = Load([Lane("engine-of-a-day")])
    messages = list(stream_messages(load, [day], 10 * FILLS_PER_MESSAGE))
    before = rows_of_log(store)
    with ledger(store, SCHEMA) as served:
        store.checkpoint()
        with used(store, SCHEMA, served) as use:
            sent = stream(served.channel, messages)
        verify_answers(served.channel, load, [sent.answers])
    added = rows_of_log(store) - before
    check(added >= count, f"{count} account-days added {added} rows")
    return use


def read_day(store: Store, accounts: int) -> dict[str, float]:
    """The first page of the fill runs of one day, which controls, reconciliations and exports read: the median."""
    from_ns = (END_DAY - 1) * DAY_NS
    meant = min(_PAGE_RUNS, accounts // KINDS * KINDS // TRADES_EACH)
    took_ms = []
    with closing(open_datastore(store.dsn, SCHEMA, connections=1)) as datastore:
        log = Log(datastore)
        for _ in range(_READS):
            began_s = time.perf_counter()
            runs = log.runs(from_ns=from_ns, as_of_ns=from_ns + DAY_NS - 1, until=POSITION_MAX)
            page = list(islice(runs, _PAGE_RUNS))
            took_ms.append((time.perf_counter() - began_s) * 1_000)
            check(len(page) == meant, f"a page of the day has {len(page)} runs, not {meant}")
    return {"aged.read_day_ms": statistics.median(took_ms)}


class OneAccount:
    """One account of a ledger that is a year old is audited, and nothing else is measured of that ledger."""

    def __init__(self, account_days: int, *, days: int = YEAR) -> None:
        self._days = days
        self._accounts = max(account_days * TRADES_EACH // days, KINDS)
        self.settings: dict[str, object] = {"one_account_account_days": account_days}

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round on a ledger that is made for it."""
        with aged_store(store, self._accounts, self._days, self.settings, "one_account") as own:
            return audit_hour(own, SCHEMA, "audit.one_account", days=self._days)


class Publish:
    """Versions of the programme, published one after the other to very many accounts, each evaluated once."""

    def __init__(self, accounts: int) -> None:
        self._accounts = accounts
        self.settings: dict[str, object] = {"published_to_accounts": accounts}

    def run(self, store: Store, _: str) -> Mapping[str, float]:
        """One round on a ledger that is made for it."""
        found, content = dict[str, float](), programmes.packaged()
        with (
            aged_store(store, self._accounts, YOUNG_DAYS, self.settings, "published") as own,
            ledger(own, SCHEMA) as served,
        ):
            wait_for_tables(own, SCHEMA)
            moved = _SAID_OF.format(read=read_schema(SCHEMA))
            stub: Any = programme_service_pb2_grpc.ProgrammeServiceStub(served.channel)
            for name, changes in PUBLISHED.items():
                content, before = _changed(content, name, changes), dict(own.rows(moved))
                own.checkpoint()
                with used(own, SCHEMA, served) as use:
                    stub.PublishProgramme(_version(content, name), timeout=CALL_SECONDS_MAX)
                rows = {row for row in own.rows(moved) if before.get(row[0]) != row[1]}
                self.settings[f"published_{name}_moved_accounts"] = len(rows)
                found |= {
                    f"aged.publish.{name}.cpu_s": use.service_cpu_s,
                    f"aged.publish.{name}.postgres_cpu_s": use.postgres_cpu_s,
                    f"aged.publish.{name}.behind_s": use.behind_s,
                }
            found["aged.publish.rss_mb"] = use.rss_mb
        return found


def _changed(content: str, name: str, changes: Mapping[str, str]) -> str:
    """Return a programme under another number, and changed."""
    old = f'version = "{programmes.parse(content).version}"'
    for was, now in {old: f'version = "{name}"', **changes}.items():
        check(was in content, f"the programme does not say {was}")
        content = content.replace(was, now)
    return content


def _version(content: str, name: str) -> PublishProgrammeRequest:
    return PublishProgrammeRequest(
        request_id=f"bench-{name}",
        authority=Authority(actor="bench", approver="bench-2", reason="measuring"),
        content=content,
    )
