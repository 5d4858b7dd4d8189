"""`fee-ledger programme`: a file goes into a ledger once, by two persons, and is read back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ledger.program import main
from ledger.programmes import packaged
from tests.cli.running import Run
from tests.conftest import Ledger
from tests.samples import symbol
from tests.server.calls import await_tables, head, send
from tests.server.orders import tier

TWO = ("--actor", "ops-1", "--approver", "ops-2")


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb: (exit code, printed, told on stderr)."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["programme", *map(str, arguments), "--address", ledger.address])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The packaged programme under another version."""
    path = tmp_path / "next.toml"
    path.write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    return path


def test_a_version_is_published_once_and_listed(ledger: Ledger, run: Run, path: Path) -> None:
    asked = ("publish", path, "--valid-from", "2024-11-01", *TWO)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: bitmart-api-vip 3.1 in force from 2024-11-01 00:00:00 UTC on\nrecorded at position")
    position = head(ledger)
    assert "recorded before at position" in run(*asked)[1]
    assert head(ledger) == position
    code, out, _ = run("list")
    assert (code, [line.split()[:2] for line in out.splitlines()[4:]]) == (
        0,
        [["bitmart-api-vip", "3.0"], ["bitmart-api-vip", "3.1"]],
    )
    assert "ops-1" in out
    assert "ops-2" in out
    _, out, _ = run("list", "--programme", "bitmart-api-vip", "--limit", "1", "--json")
    assert [json.loads(line)["version"] for line in out.splitlines()] == ["3.0"]


def test_a_version_is_printed_as_it_was_published(run: Run, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert run("publish", path, "--from", "2024-11-01", *TWO)[0] == 0
    assert run("print", "--as-of", "2024-11-01") == (0, path.read_bytes().decode(), "")
    assert run("print", "--version", "3.0") == (0, packaged(), "")
    assert json.loads(run("print", "--json")[1])["programme"]["content"] == packaged()
    assert run("print", "--version", "9")[0] == 1


def test_a_version_that_a_ledger_has_is_shown_with_who_published_it(run: Run, path: Path) -> None:
    run("publish", path, "--valid-from", "2024-11-01", *TWO)
    code, out, err = run("show", "--version", "3.1")
    assert (code, err) == (0, "")
    first, _, _, _, row, *rest = out.splitlines()
    assert first.startswith("BitMart API Users VIP Membership 3.0: version 3.1, governs bitmart, in ")
    assert row.split()[:2] == ["bitmart-api-vip", "3.1"]
    assert "ops-2" in row
    assert [line for line in rest if line.startswith("VIP4 ")]
    assert "version 3.0, governs bitmart" in run("show")[1], "the one in force"
    assert max(map(len, out.splitlines())) <= 100


def test_a_refusal_is_said_with_every_fault_and_1(run: Run, path: Path) -> None:
    code, out, err = run("publish", path, "--actor", "ops-1", "--approver", "ops-1")
    assert (code, out) == (1, "")
    assert err.startswith("APPROVER_IS_ACTOR: ops-1 asks for PublishProgramme and cannot approve it too")
    assert run("publish", path, "--actor", "ops-1")[0] == 1
    path.write_text(path.read_text().replace('maker = "0.04%"', 'maker = "0.04"').replace("days = 30 ", "days = 0 "))
    code, _, err = run("publish", path, *TWO)
    assert code == 1
    assert all(line.startswith("PROGRAMME_INVALID: ") for line in err.splitlines())
    assert "rates.VIP1.A.maker" in err


@pytest.fixture
def fewer(tmp_path: Path) -> Path:
    """The packaged programme under another version, without its best two tiers."""
    text = packaged().replace('version = "3.0"', 'version = "3.1"')
    text = text.replace(', "VIP4", "VIP5"]', "]").replace(', VIP4 = "5000000", VIP5 = "20000000"', "")
    for gone in ("VIP4", "VIP5"):
        text = re.sub(rf"\[rates.{gone}\]\n(.+\n)+", "", text).replace(f'{gone} = ["support_24_7"', f'# {gone} = ["')
    path = tmp_path / "fewer.toml"
    path.write_text(text)
    return path


def test_a_version_without_tiers_names_them_and_the_accounts_that_lose_them(
    ledger: Ledger, run: Run, fewer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(22):
        send(ledger, tier(f"a{number:02}", "VIP4"))
    send(ledger, tier("bob", "VIP5"))
    send(ledger, tier("carol", "VIP3"))
    await_tables(ledger)
    lost = "warning: TIERS_LOST: VIP4, VIP5 of bitmart-api-vip 3.0 not there: nobody gets them any more, and who"
    assert main(["programme", "validate", str(fewer)]) == 0
    alone, _ = capsys.readouterr()
    assert alone.splitlines()[:1] == [f"{fewer}: no faults"]
    assert [line.startswith(f"{fewer}: {lost}") for line in alone.splitlines()[1:]] == [True]
    first = ", ".join(f"a{number:02}" for number in range(20))
    holders = [
        f"{fewer}: warning: VIP4: 22 accounts would lose it: {first} and 2 more",
        f"{fewer}: warning: VIP5: 1 account would lose it: bob",
    ]
    code, out, _ = run("validate", fewer)
    assert (code, out.splitlines()[2:]) == (0, holders)
    code, out, err = run("publish", fewer, *TWO)
    assert (code, err.splitlines()[1:]) == (0, holders)
    assert out.startswith(f"{fewer}: bitmart-api-vip 3.1 in force")
    assert run("publish", fewer, *TWO)[2] == "", "what is in force loses nothing more"


def test_an_override_of_an_unknown_symbol_is_a_fault_where_a_ledger_is_asked(
    ledger: Ledger, run: Run, path: Path
) -> None:
    path.write_text(path.read_text().replace("[volume]\n", '[overrides.XRP_USDTT]\ntaker = "1%"\n[volume]\n'))
    code, out, _ = run("validate", path)
    assert (code, out.split(" ")[1:3]) == (1, ["SYMBOL_UNKNOWN:", "overrides.XRP_USDTT"])
    send(ledger, symbol("XRP_USDTT"))
    assert run("validate", path)[:2] == (0, f"{path}: no faults\n")
