"""The command line in a shell: pipes and signals."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ledger.__main__ import main
from tests.cli.running import ROOT, shell
from tests.conftest import Ledger


@pytest.mark.usefixtures("traded")
def test_a_reader_that_goes_away_is_no_error(ledger: Ledger) -> None:
    with shell("events", "--json", "--address", ledger.address) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_full_disk_is_one_line_and_exit_code_2() -> None:
    with open("/dev/full", "w") as full, shell("completion", "bash", stdout=full) as process:
        assert process.stderr is not None
        assert process.stderr.read() == "fee-ledger: No space left on device\n"
    assert process.returncode == 2


def test_bash_completes_commands_options_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fills.jsonl").touch()
    script = """
    source /dev/stdin
    for typed in 'months-' 'ban --evi' 'record-fills fil' 'programme val' 'programme validate fil'; do
        COMP_WORDS=(fee-ledger $typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMPREPLY=(); _shtab_fee_ledger; echo "${COMPREPLY[@]}"
    done
    """
    main(["completion", "bash"])
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, input=capsys.readouterr().out, capture_output=True,
                          text=True, timeout=30, check=True)  # fmt: skip
    assert done.stdout.splitlines() == [
        "months-without-promotion",
        "--evidence",
        "fills.jsonl",
        "validate",
        "fills.jsonl",
    ]


def test_ctrl_c_is_exit_code_130_without_a_traceback() -> None:
    with shell("info", "--address", "127.0.0.1:1", "--timeout", "30", env={"PYTHONPATH": str(ROOT)}) as process:
        wait_until_it_calls(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "fee-ledger: interrupted\n")


def wait_until_it_calls(process: subprocess.Popen[str]) -> None:
    """gRPC's threads are there once the first call is made."""
    while len(list(Path(f"/proc/{process.pid}/task").iterdir())) < 4:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [("--help",), ("completion", "bash")])
def test_no_reader_at_all_is_no_error_for_what_calls_no_ledger_either(arguments: tuple[str, ...]) -> None:
    with shell(*arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_reader_that_leaves_after_the_first_line_as_head_does_is_no_error() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)  # much less than is printed
    with shell("completion", "bash", stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading) as reader:
            assert reader.readline().startswith("# ")
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
