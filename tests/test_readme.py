"""The worked example of the README, run word for word."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ledger

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


def test_a_command_of_the_readme_sent_twice_is_replayed(ledger: Ledger) -> None:
    first, *_ = examples()
    assert "replayed" not in run(first[0], ledger)["receipt"]
    assert run(first[0], ledger)["receipt"]["replayed"] is True


@pytest.mark.parametrize(
    "target", ["run", "test", "tools", "import", "bench", "demo", "help", "proto", "lint", "clean"]
)
def test_the_makefile_has_every_target_that_is_spoken_of(target: str) -> None:
    help_ = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert re.search(rf"^  make {target}\b", help_.stdout, re.MULTILINE), help_.stdout
