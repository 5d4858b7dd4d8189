"""The command line on a real ledger."""

from __future__ import annotations

import pytest

from ledger.client import Client
from ledger.domain.instants import DAY_NS
from ledger.program import main
from tests.cli.running import Run
from tests.conftest import NOON_NS, Ledger
from tests.samples import batch, fill, symbol


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line on the ledger: (exit code, printed, told on stderr), with the ledger's name as LEDGER."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--address", ledger.address])
        out, err = capsys.readouterr()
        return code, out.replace(ledger.ledger_id, "LEDGER"), err

    return run


@pytest.fixture
def traded(ledger: Ledger) -> None:
    """Alice's trial ends at noon; she trades a nanosecond before it, and at it."""
    ledger.commands.RegisterSymbol(symbol())
    with Client(ledger.address, actor="ops-7") as client:
        client.start_trial("alice", start_time=NOON_NS - 30 * DAY_NS)
    ledger.fills.RecordFills(
        batch(fill(exec_id="E1", last_px="0.625", transact_time={"seconds": NOON_NS // 10**9 - 1}))
    )
    ledger.fills.RecordFills(batch(fill(exec_id="E2", last_qty="1000")))
