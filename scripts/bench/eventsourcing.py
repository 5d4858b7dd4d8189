"""How fast fills are taken by the library as it comes: an aggregate per account, its stock PostgreSQL recorder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import chain, islice
from typing import Any, Final

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from psycopg.conninfo import conninfo_to_dict

from ledger.v1 import fill_pb2
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import ACCOUNTS
from scripts.bench.store import Store, check

EVENTS_PER_BATCH: Final = 500
_FILLS_MAX: Final = 10_000_000  # more than any slice can save


class Account(Aggregate):
    """As the library's own examples have it: an event per fill, which changes the aggregate."""

    class FillRecorded(Aggregate.Event):
        """A reference fill."""

        exec_id: str
        symbol: str
        side: int
        liquidity: int
        last_px: str
        last_qty: str
        transact_time_ns: int
        trade_id: str
        order_id: str
        counterparty_owner_id: str
        channel: int

        def apply(self, aggregate: Any) -> None:
            """Count it."""
            aggregate.fills += 1

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.fills = 0

    def record(self, content: Mapping[str, Any]) -> None:
        """Record a fill."""
        self.trigger_event(self.FillRecorded, **content)


class EventSourcing:
    """Aggregates stay in memory, which favours the library: their events are made and saved, nothing is read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.settings: Mapping[str, object] = {
            "eventsourcing_aggregates": ACCOUNTS,
            "eventsourcing_slice_seconds": seconds,
            "eventsourcing_recorder": "stock PostgresApplicationRecorder, JSON transcoder",
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        fills = chain.from_iterable(map(messages_of, reference_fills(_FILLS_MAX, ACCOUNTS)))
        with _application(store, schema) as application:
            accounts = {name: Account(name) for name in (f"A{number:010}" for number in range(ACCOUNTS))}
            for place in range(0, ACCOUNTS, EVENTS_PER_BATCH):
                application.save(*list(accounts.values())[place : place + EVENTS_PER_BATCH])
            store.checkpoint()
            alone, alone_s = self._save(application, accounts, fills, 1)
            together, together_s = self._save(application, accounts, fills, EVENTS_PER_BATCH)
        _verify(store, schema, ACCOUNTS + alone + together)
        return {
            "peer.eventsourcing_save_per_s": alone / alone_s,
            "peer.eventsourcing_batch500_per_s": together / together_s,
        }

    def _save(
        self,
        application: Application[Any],
        accounts: Mapping[str, Account],
        fills: Iterator[fill_pb2.Fill],
        size: int,
    ) -> tuple[int, float]:
        """Fills saved, and the seconds it took to make their events and save them, so many in one save."""
        saved, seconds = 0, 0.0
        while seconds < self._seconds:
            recorded = [(accounts[fill.account_id], _content(fill)) for fill in islice(fills, size)]
            began = time.perf_counter()
            for account, content in recorded:
                account.record(content)
            application.save(*{id(account): account for account, _ in recorded}.values())
            seconds += time.perf_counter() - began
            saved += size
        return saved, seconds


def _content(fill: fill_pb2.Fill) -> dict[str, Any]:
    return {
        "exec_id": fill.exec_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "liquidity": fill.liquidity,
        "last_px": fill.last_px,
        "last_qty": fill.last_qty,
        "transact_time_ns": fill.transact_time.ToNanoseconds(),
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "counterparty_owner_id": fill.counterparty_owner_id,
        "channel": fill.channel,
    }


@contextmanager
def _application(store: Store, schema: str) -> Iterator[Application[Any]]:
    """The library's application over a schema."""
    dsn = conninfo_to_dict(store.dsn)
    settings = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_SCHEMA": schema,
        **{f"POSTGRES_{name.upper()}": str(dsn[name]) for name in ("dbname", "host", "port", "user", "password")},
    }
    with closing(Application(settings)) as application:
        yield application


def _verify(store: Store, schema: str, events: int) -> None:
    """Every event that was saved is a row, and no more."""
    tables = store.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE '%%_events'", [schema]
    )
    check(len(tables) == 1, f"the library made the tables {tables}")
    ((rows,),) = store.rows(f"SELECT count(*) FROM {schema}.{tables[0][0]}")
    check(rows == events, f"the library stored {rows} events of {events}")
