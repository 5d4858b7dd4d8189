"""A PostgreSQL that answers, and does not let the ledger write: callers and health are told why, never INTERNAL."""

from __future__ import annotations

import grpc
import psycopg
from psycopg.sql import SQL, Identifier

from tests.conftest import StartLedger, refusal
from tests.e2e.turns import FILLS, QUERIES, Turns
from tests.samples import batch, fill, symbol
from tests.waiting import wait_for


def test_what_postgresql_refuses_is_told_at_once_and_heals_by_itself(
    start_ledger: StartLedger, dsn: str, schema: str
) -> None:
    ledger = start_ledger()
    ledger.commands.RegisterSymbol(symbol())
    events = Identifier(schema, "events")
    with psycopg.connect(dsn, autocommit=True) as other, Turns(ledger.channel, FILLS, QUERIES) as turns:
        wait_for(lambda: turns.serving(FILLS) and turns.serving(QUERIES))
        other.execute(SQL("REVOKE INSERT ON {} FROM ledger").format(events))
        refused = refusal(lambda asked: ledger.fills.RecordFills(asked, timeout=10), batch(fill(exec_id="A")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert "does not permit" in refused.message
        wait_for(lambda: not turns.serving(FILLS))
        assert turns.serving(QUERIES)
        other.execute(SQL("GRANT INSERT ON {} TO ledger").format(events))
        wait_for(lambda: turns.serving(FILLS), 30)
        assert ledger.fills.RecordFills(batch(fill(exec_id="A"))).recorded == 1
