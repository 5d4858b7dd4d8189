"""The examples live together in one ledger, in any order, and each can be run again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ledger
from tests.examples import ROOT, Example, Ran

WRITE_FILLS = ROOT / "examples" / "engine-file" / "write_fills.py"
MARKET = ("--trades", "300", "--accounts", "20")

Run = Callable[[str], Ran]  # by the address of a ledger


def engine_file(*arguments: str) -> Run:
    """The example that needs no Node."""

    def run(address: str) -> Ran:
        command = [sys.executable, WRITE_FILLS, *arguments, "--send", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def left_by_second_runs(ledger: Ledger, examples: list[Run]) -> int:
    """Run each example, and then each again; return how many events the second runs have added to the log."""
    for example in examples:
        ran = example(ledger.address)
        assert (ran.code, ran.err) == (0, "")
        assert "replayed" in ran.out
    head = ledger.log.head().position
    for example in examples:
        ran = example(ledger.address)
        assert (ran.code, ran.err) == (0, "")
        assert set(re.findall(r"([0-9,]+) recorded", ran.out)) == {"0"}
    return ledger.log.head().position - head


@pytest.mark.parametrize("turn", [1, -1], ids=["one way", "the other way"])
def test_all_examples_live_in_one_ledger(
    ledger: Ledger, node_client: Example, node_order_book: Example, turn: int
) -> None:
    examples = [
        engine_file(*MARKET),
        node_client.run,
        lambda address: node_order_book.run(address, "--orders", "100"),
    ]
    assert left_by_second_runs(ledger, examples[::turn]) == 0


def test_markets_of_one_seed_that_differ_live_in_one_ledger(ledger: Ledger, tmp_path: Path) -> None:
    plant = ("--trades", "1000", "--days", "1", "--accounts", "20")
    markets = [MARKET, ("--trades", "310", "--accounts", "20"), (*MARKET, "--days", "3"), (*MARKET, "--accounts", "21"),
               plant, (*plant, "--plant", str(tmp_path / "planted.json"))]  # fmt: skip
    assert left_by_second_runs(ledger, [engine_file(*market) for market in markets]) == 0
