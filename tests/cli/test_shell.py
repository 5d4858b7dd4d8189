"""The command line in a shell: pipes and signals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.program import main
from ledger.programmes import packaged
from ledger.v1.query_service_pb2 import ListEventsRequest
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


def head(*arguments: str) -> tuple[int, str]:
    """Run a command whose reader leaves after the first line; return its exit code and what it told on stderr."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4_096)  # much less than is printed
    with shell(*arguments, stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading) as reader:
            assert reader.readline()
        assert process.stderr is not None
        err = process.stderr.read()
    return process.returncode, err


ROWS = 200


def test_orders_go_on_to_the_last_row_when_nobody_reads_what_came_of_the_first(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"change-tier,account-{number},VIP1,agreed" for number in range(ROWS)]
    file.write_text("\n".join(["command,account,tier,reason", *rows, "change-tier,account-0,VIP9,no such tier"]))
    code, err = head(
        "bulk", str(file), "--actor", "a", "--approver", "b", "--apply", "--address", ledger.address
    )  # fmt: skip
    assert (code, err) == (1, ""), "the last row is refused, whoever reads it"
    assert "TierChanged" in {one.topic for one in events_of(ledger, f"account-{ROWS - 1}")}


def events_of(ledger: Ledger, account_id: str) -> list[Any]:
    return list(ledger.queries.ListEvents(ListEventsRequest(stream=f"account/{account_id}")).events)


def test_a_comparison_says_that_there_are_differences_also_when_nobody_reads_them(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(packaged())
    new.write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    reading, writing = os.pipe()
    os.close(reading)
    with shell("programme", "diff", str(old), str(new), stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.usefixtures("traded")
@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_wider_than_the_terminal(ledger: Ledger, columns: int) -> None:
    terminal, screen = pty.openpty()
    termios.tcsetwinsize(screen, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with shell("fees", "alice", "--address", ledger.address, stdout=screen, env=environment) as process:
        os.close(screen)
        printed = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while part := os.read(terminal, 4_096):
                printed += part
    os.close(terminal)
    lines = printed.decode().splitlines()
    assert process.returncode == 0
    assert any("E1" in line for line in lines)
    assert [line for line in lines if len(line) > columns and not line.startswith("as of ")] == []


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
    assert head("completion", "bash") == (0, "")
