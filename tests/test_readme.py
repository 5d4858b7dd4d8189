"""The worked example of the README, run word for word."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.v1.command_service_pb2 import ChangeTierRequest
from ledger.v1.query_service_pb2 import ListAccountsRequest
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.samples import FOUR_EYES, batch, fill, symbol

ROOT = Path(__file__).parent.parent
ADDRESS = "127.0.0.1:50051"


def examples() -> Iterator[tuple[str, str]]:
    """(command, what the README says it prints) of each block that shows both."""
    for block in re.findall(r"```console\n\$ (.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        command, _, printed = block.partition("\n{")
        yield command, "{" + printed


def matches(found: Any, shown: Any) -> bool:
    """Whether an answer is the one shown, where "..." stands for anything."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(matches(found[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(matches, found, shown))
    return bool(found == shown)


def run(command: str, ledger: Ledger) -> Any:
    assert ADDRESS in command
    command = command.replace(ADDRESS, ledger.address).replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return json.loads(done.stdout or done.stderr)


def test_the_worked_example_prints_what_the_readme_shows(ledger: Ledger) -> None:
    shown = list(examples())
    assert len(shown) == 5
    for command, printed in shown:
        found = run(command, ledger)
        assert matches(found, json.loads(printed)), f"{command}\nprinted\n{json.dumps(found, indent=2)}"


def test_a_stranger_needs_no_proto_files(ledger: Ledger) -> None:
    """Server reflection: buf curl asks the service itself for its contract."""
    call = ".venv/bin/buf curl --protocol grpc --http2-prior-knowledge"
    service = f"http://{ADDRESS}/ledger.v1.QueryService/GetLedgerInfo"
    assert run(f"{call} {service}", ledger)["ledgerId"] == ledger.ledger_id


def test_a_command_of_the_readme_sent_twice_is_replayed(ledger: Ledger) -> None:
    first, *_ = examples()
    assert "replayed" not in run(first[0], ledger)["receipt"]
    assert run(first[0], ledger)["receipt"]["replayed"] is True


def test_the_sql_of_the_readme_joins_the_tables(start_ledger: StartLedger, dsn: str, schema: str) -> None:
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
    (statement,) = re.findall(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(statement.replace("ledger_read", f"{schema}_read")).fetchall()
    assert rows == [("VIP1", name, "USDT", Decimal("0.005"), Decimal(0), 2) for name in ("alice", "bob")]


@pytest.mark.parametrize(
    "target", ["run", "test", "tools", "import", "bench", "demo", "help", "proto", "lint", "clean"]
)
def test_the_makefile_has_every_target_that_is_spoken_of(target: str) -> None:
    help_ = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert re.search(rf"^  make {target}\b", help_.stdout, re.MULTILINE), help_.stdout
