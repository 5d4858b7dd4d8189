"""How fast the tables of the read side are made anew from a log, compared with the live ones, and replace them."""

from __future__ import annotations

import time
from contextlib import closing

from ledger.store.log import Log
from ledger.store.postgres.database import connect, open_datastore
from projections.tables.rebuild import Compared, Rebuild
from scripts.bench.figures import REBUILD
from scripts.bench.store import Store, check
from scripts.bench.tables import bring_up


def rebuild(store: Store, schema: str, fills: int) -> dict[str, float]:
    """Fills/s of all steps of a rebuild over a ledger of so many; its live tables are brought up to it first."""
    with connect(store.dsn, "bench") as connection, closing(open_datastore(store.dsn, schema, connections=2)) as pool:
        log = Log(pool)
        head = bring_up(log, schema, connection)
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


def _verify(compared: Compared, head: int, kept: str) -> None:
    check(compared.position == head, f"the tables were compared at {compared.position}, the log is at {head}")
    check(not kept, f"the old tables were not dropped: {kept}")
    wrong = [one.table for one in compared.tables if not one.same]
    check(not wrong and bool(compared.tables), f"new and live tables differ: {', '.join(wrong) or compared.why_not}")
