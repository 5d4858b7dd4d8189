"""What `fee-ledger serve` says when it starts: which ledger, where its data lies, and whether it is a new one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import program
from ledger.domain.events import Envelope, ProgrammePublished, Recorded
from ledger.domain.state.rulebook import fold_rulebook
from ledger.programmes import packaged, parse
from ledger.store.postgres.folders import digest
from tests.data_folders import reachable_folder

PACKAGED_BY_0_1_0 = "8e6b8163059d486e1aa0fa6459ac34b33fb63e60a06d4df01e556b83f27e25cd"


@pytest.fixture
def folder() -> Iterator[Path]:
    found = reachable_folder()
    yield found
    shutil.rmtree(found, ignore_errors=True)


def serve(folder: Path, elsewhere: Path) -> list[str]:
    """Start in a folder that has nothing to do with the data, stop as soon as it serves; what it printed."""
    command = [sys.executable, "-m", "ledger", "serve", "--listen", "127.0.0.1:0", "--data", str(folder)]
    lines = []
    with subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line.rstrip())
            if " is serving on " in line:
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    return lines


def test_a_new_ledger_is_announced_as_new_and_an_old_one_is_not(folder: Path, tmp_path: Path) -> None:
    new, serving, *_ = serve(folder, tmp_path)
    name = new.removeprefix("a new ledger begins: ").partition(",")[0]
    assert re.fullmatch(rf"a new ledger begins: {name}, PostgreSQL 18\.\d+, data in {folder}", new)
    assert serving.startswith(f"fee ledger {name} is serving on ")
    assert f", data in {folder})" in serving
    again, *_ = serve(folder, tmp_path)
    assert again.startswith(f"fee ledger {name} is serving on ")


def test_a_start_says_once_that_the_base_rates_are_an_example(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        told = [line for line in serve(folder, tmp_path) if "are an example" in line]
        assert [line.startswith("the base rates of bitmart-api-vip 3.0 are an example") for line in told] == [True]


@pytest.mark.parametrize(
    ("content", "content_sha256", "told"),
    [
        (packaged(), "", True),
        (packaged().replace("fixture = true", ""), "", False),
        (packaged().replace("0.25%", "0.2%"), "", True),
        (packaged().replace("fixture = true", ""), PACKAGED_BY_0_1_0, True),
        (packaged("hitbtc-spot-1.toml"), "", False),
    ],
)
def test_base_rates_are_an_example_while_the_file_says_so_or_is_that_of_release_0_1_0(
    content: str, content_sha256: str, told: bool
) -> None:
    rules = parse(content)
    event = ProgrammePublished(rules.programme_id, rules.version, 1, content, bytes.fromhex(content_sha256))
    book = fold_rulebook(parse, [Recorded(1, "programme/x", 1, Envelope(1, 1, 1), event)])
    assert [len(program.fixture_lines(book, at_ns)) for at_ns in (0, 1)] == [0, told]


ELSEWHERE = """
import sys
from pathlib import Path
from ledger import program
from ledger.store.postgres import folders
folders._OF_ROOT = Path.cwd()
program.default_folder = lambda: Path("/dev/null/nowhere")
sys.exit(program.main(["serve", "--listen", "127.0.0.1:0"]))
"""


def test_a_ledger_that_release_0_1_0_kept_here_is_named_with_the_command_that_opens_it(folder: Path) -> None:
    earlier = folder / (digest(folder.resolve()) if os.geteuid() == 0 else ".ledger")
    (earlier / "data").mkdir(parents=True)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"`serve --data {earlier}` opens it" in done.stdout
    assert done.stderr.startswith("fee-ledger: ")
    assert done.stderr.count("\n") == 1
