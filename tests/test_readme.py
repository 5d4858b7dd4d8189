"""README and docs/ on calls, on SQL and on the Makefile are right; `test_readme_steps.py` types all of it in order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.v1.command_service_pb2 import ChangeTierRequest
from ledger.v1.query_service_pb2 import ListAccountsRequest
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.readme import ADDRESS, ROOT, blocks, steps
from tests.samples import FOUR_EYES, batch, fill, symbol


def run(command: str, ledger: Ledger) -> Any:
    assert ADDRESS in command
    command = command.replace(ADDRESS, ledger.address).replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return json.loads(done.stdout or done.stderr)


def test_a_stranger_needs_no_proto_files(ledger: Ledger) -> None:
    """Server reflection: buf curl asks the service itself for its contract."""
    call = ".venv/bin/buf curl --protocol grpc --http2-prior-knowledge"
    service = f"http://{ADDRESS}/ledger.v1.QueryService/GetLedgerInfo"
    assert run(f"{call} {service}", ledger)["ledgerId"] == ledger.ledger_id


def test_a_command_of_the_pages_sent_twice_is_replayed(ledger: Ledger) -> None:
    register = next(step.text for step in steps() if "RegisterSymbol" in step.text)
    assert "replayed" not in run(register, ledger)["receipt"]
    assert run(register, ledger)["receipt"]["replayed"] is True


def test_the_sql_of_the_pages_joins_the_tables(start_ledger: StartLedger, dsn: str, schema: str) -> None:
    ledger = start_ledger(read_wait_ms_max=20_000)
    ledger.commands.RegisterSymbol(symbol())
    for account_id in ("alice", "bob"):
        ledger.commands.ChangeTier(
            ChangeTierRequest(
                request_id=account_id,
                authority=FOUR_EYES,
                account_id=account_id,
                tier="VIP1",
                valid_from=at(NOON_NS - 1),
            )
        )
        ledger.fills.RecordFills(batch(fill(account_id=account_id), fill(account_id=account_id)))
    ledger.fills.RecordFills(batch(fill(account_id="carol")))
    ledger.queries.ListAccounts(ListAccountsRequest(min_position=ledger.log.head().position))
    (statement,) = (each for each in blocks("sql") if "ledger_read" in each)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(statement.replace("ledger_read", f"{schema}_read")).fetchall()
    members = [(name, "VIP1", "USDT", Decimal("0.005"), Decimal(0), Decimal(0), 2) for name in ("alice", "bob")]
    assert rows == [*members, ("carol", "NONE", "USDT", Decimal("0.0125"), Decimal(0), Decimal(0), 1)]


@pytest.mark.parametrize(
    "target",
    ["run", "test", "tools", "import", "bench", "bench-growth", "bench-year", "demo", "help", "proto", "lint", "clean"],
)
def test_the_makefile_has_every_target_that_is_spoken_of(target: str) -> None:
    help_ = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert re.search(rf"^  make {target}\b", help_.stdout, re.MULTILINE), help_.stdout
