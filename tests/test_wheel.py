"""The wheel has all of the product, the files beside the code included, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel, but for what describes it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(folder / done.stdout.split()[-1]) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_every_file_of_the_packages_and_of_the_contract_is_in_the_wheel(packed: set[str]) -> None:
    product = {
        str(path.relative_to(ROOT))
        for package in ("ledger", "projections")
        for path in (ROOT / package).rglob("*")
        if path.name == "py.typed" or path.suffix in (".py", ".pyi", ".css", ".sql", ".toml") or path.name == "py.typed"
    }
    contract = {f"ledger/_proto/{path.relative_to(ROOT / 'proto')}" for path in (ROOT / "proto").rglob("*.proto")}
    assert packed == product | contract


def test_the_door_is_what_pip_installs() -> None:
    program = Path(sys.executable).with_name("fee-ledger")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    with_module = subprocess.run(
        [sys.executable, "-m", "ledger", "--version"], cwd=os.sep, capture_output=True, text=True, check=True
    )
    assert done.stdout == with_module.stdout
    assert done.stdout.startswith("fee-ledger ")
