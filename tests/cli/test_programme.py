"""Subcommands about programmes and pairs."""

from __future__ import annotations

from pathlib import Path

from ledger.programmes import packaged
from tests.cli.running import FOUR_EYES, Run
from tests.conftest import Ledger
from tests.samples import symbol


def test_a_programme_is_published_by_two_persons_and_read_back(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "next.toml"
    path.write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    code, out, err = run("publish", str(path), "--from", "2024-11-01", *FOUR_EYES)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: bitmart-api-vip 3.1 in force from 2024-11-01 00:00:00 UTC on\n")
    _, out, _ = run("programmes")
    assert [line.split()[1] for line in out.splitlines()[4:]] == ["3.0", "3.1"]
    assert run("programme", "--as-of", "2024-11-01") == (0, path.read_text(), "")
    assert run("programme", "--version", "3.0") == (0, packaged(), "")
    assert run("publish", str(path), "--actor", "ops-1")[0] == 1
    assert run("publish", str(tmp_path / "missing.toml"), *FOUR_EYES)[0] == 2
    path.write_bytes(b"\xff")
    assert run("publish", str(path), *FOUR_EYES) == (2, "", f"fee-ledger: {path} is not text in UTF-8\n")


def test_a_pair_has_a_class_and_rates_of_its_own(ledger: Ledger, run: Run) -> None:
    ledger.commands.RegisterSymbol(symbol())
    _, out, _ = run("assign-class", "XRP_USDT", "B", "--from", "2024-11-01")
    assert out.startswith("XRP_USDT: class assigned from 2024-11-01 00:00:00 UTC on\n")
    assert run("set-pair-rates", "XRP_USDT", "--taker", "0.0002", "--from", "2024-12-01")[0] == 0
    shown = [run("pairs", "--as-of", day)[1].splitlines()[-1].split() for day in ("2024-10-31", "2024-12-01")]
    assert shown == [["XRP_USDT", "A", "-", "-"], ["XRP_USDT", "B", "-", "0.02"]]
    code, _, err = run("set-pair-rates", "XRP_USDT", "--maker", "-0.5", "--from", "2024-12-02")
    assert (code, err.split(":")[0]) == (1, "NEGATIVE_NET_PAIR")
