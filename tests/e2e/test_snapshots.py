"""A snapshot whose bytes have changed prices nothing: it is found, told, and written anew from the events."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from projections.check import Check
from projections.check.findings import Finding
from tests.conftest import Ledger
from tests.metrics.watching import watched
from tests.samples import batch, fill, symbol
from tests.server.calls import send
from tests.server.orders import tier

CHANGES = 20  # so many that a snapshot has been written


def costs(ledger: Ledger, exec_id: str) -> tuple[str, str]:
    """The fee of a fill, and its rate."""
    (priced,) = ledger.fills.RecordFills(batch(fill(exec_id=exec_id))).fees
    return priced.fee_amount, priced.fee_rate


def test_a_flipped_bit_in_a_snapshot_is_found_before_it_prices_a_fill_and_alerts(dsn: str, schema: str) -> None:
    def sql(text: str) -> Composable:
        return SQL(text).format(Identifier(schema, "account_snapshots"))  # type: ignore[arg-type]

    with psycopg.connect(dsn, autocommit=True) as owner:

        def differing() -> list[Finding]:
            found = Check(owner, schema).findings(["account_snapshots"])
            return [each for each in found if isinstance(each, Finding)]

        with watched(dsn, schema) as (ledger, watch):
            send(ledger, symbol())
            for number in range(CHANGES):
                ledger.commands.ChangeTier(tier("alice", f"VIP{1 + number % 4}"))
            right = costs(ledger, "before")
            assert owner.execute(sql("SELECT count(*) FROM {}")).fetchone() == (1,)
            assert differing() == []
        # VIP4 becomes VIP5, which exists and is cheaper: the bytes can be read, and make sense.
        owner.execute(sql("UPDATE {} SET state = set_byte(state, position('VIP4'::bytea IN state) + 2, 53)"))
        (found,) = differing()
        assert (found.code, found.column) == ("ACCOUNT_SNAPSHOTS_DIFFERS", "version, encoding, state or sha256")
        with watched(dsn, schema) as (ledger, watch):
            assert not watch.holds("LedgerStoreFails")
            assert costs(ledger, "after") == right
            (alert,) = watch.holds("LedgerStoreFails")
            assert dict(alert)["kind"] == "damaged"
            assert differing() == [], "it was written anew"
        with watched(dsn, schema) as (ledger, watch):
            assert costs(ledger, "once-more") == right
            assert not watch.holds("LedgerStoreFails")
