"""Subcommands about pairs."""

from __future__ import annotations

from tests.cli.running import FOUR_EYES, Run
from tests.conftest import Ledger
from tests.samples import symbol


def test_a_pair_has_a_class_and_rates_of_its_own(ledger: Ledger, run: Run) -> None:
    ledger.commands.RegisterSymbol(symbol())
    _, out, _ = run("assign-class", "XRP_USDT", "B", "--from", "2024-11-01", *FOUR_EYES)
    assert out.startswith("XRP_USDT: class assigned from 2024-11-01 00:00:00 UTC on\n")
    assert run("set-pair-rates", "XRP_USDT", "--taker", "0.0002", "--from", "2024-12-01", *FOUR_EYES)[0] == 0
    shown = [run("pairs", "--as-of", day)[1].splitlines()[-1].split() for day in ("2024-10-31", "2024-12-01")]
    assert shown == [["XRP_USDT", "A", "-", "-"], ["XRP_USDT", "B", "-", "0.02"]]
    code, _, err = run("set-pair-rates", "XRP_USDT", "--maker", "-0.5", "--from", "2024-12-02", *FOUR_EYES)
    assert (code, err.split(":")[0]) == (1, "NEGATIVE_NET_PAIR")
