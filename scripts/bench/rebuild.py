"""How fast the tables of the read side are made anew from a log, compared with the live ones, and replace them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg

from ledger.store.log import Log
from ledger.store.postgres.database import connect, open_datastore
from projections.tables.rebuild import Compared, Rebuild
from projections.tables.tables import POSITIONS_PER_BATCH, Tables, create_tables
from scripts.bench.figures import REBUILD
from scripts.bench.store import Store, check


def rebuild(store: Store, schema: str, fills: int) -> dict[str, float]:
    """Fills/s of all steps of a rebuild over a ledger of so many; its live tables are brought up to it first."""
    with connect(store.dsn, "bench") as connection, closing(open_datastore(store.dsn, schema, connections=2)) as pool:
        log = Log(pool)
        head = _bring_up(log, schema, connection)
        store.checkpoint()
        began = time.perf_counter()
        new = Rebuild(log, schema, connection)
        new.begin(anew=True)
        for _ in new.fill():
            pass
        with connect(store.dsn, "bench compares") as live, live.transaction():
            live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            compared = new.compare(live)
        kept = new.switch()
        seconds = time.perf_counter() - began
        _verify(compared, head, kept)
    return {REBUILD: fills / seconds}


def _bring_up(log: Log, schema: str, connection: psycopg.Connection[Any]) -> int:
    """The live tables to the head of the log, which is returned."""
    create_tables(connection, schema)
    tables, head = Tables(log, schema), log.head().position
    while (position := tables.position(connection)) < head:
        tables.advance(connection, position, log.end_of_commit(min(position + POSITIONS_PER_BATCH, head)))
    return head


def _verify(compared: Compared, head: int, kept: str) -> None:
    check(compared.position == head, f"the tables were compared at {compared.position}, the log is at {head}")
    check(not kept, f"the old tables were not dropped: {kept}")
    wrong = [one.table for one in compared.tables if not one.same]
    check(not wrong and bool(compared.tables), f"new and live tables differ: {', '.join(wrong) or compared.why_not}")
