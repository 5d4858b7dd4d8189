"""Whatever happens to a subcommand, it ends with 0, 1, 2 or 130, and where it could not work with one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError

import ledger.program
from ledger.cli import GROUPS, SHELL, Options
from ledger.cli.subcommands import Subcommand
from ledger.program import RUN, main, parser
from ledger.tools import TOOLS
from tests.cli.helps import examples, parsers
from tests.cli.running import ROOT, shell

PARSER = parser()


def subcommands() -> Iterator[tuple[list[str], Subcommand]]:
    """Every subcommand that does something itself, as the parser has them, and its first example."""
    for _, at in parsers(PARSER):
        one = at.get_default("subcommand")
        if isinstance(one, Subcommand):
            yield examples(at)[0], one


ALL = list(subcommands())

FAULTS: list[BaseException] = [
    KeyboardInterrupt(),
    MemoryError(),
    RecursionError("too deep"),
    AssertionError("a bug"),
    psycopg.OperationalError("consuming input failed:\nserver closed the connection"),
    PersistenceError("no connection"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),  # of a process it talks to, not of stdout
    OSError(errno.ENOSPC, "No space left on device", "found.json"),
    PermissionError(errno.EACCES, "Permission denied", "rows.csv"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@contextmanager
def failing(one: Subcommand, fault: BaseException) -> Iterator[None]:
    """Have the work of a subcommand end like that."""

    def work(_: Options) -> int:
        sys.stdout.write("half a line")
        raise fault

    was = one.work
    object.__setattr__(one, "work", work)
    try:
        yield
    finally:
        object.__setattr__(one, "work", was)


def test_the_parser_has_every_subcommand_that_is_declared() -> None:
    groups = (*GROUPS, TOOLS, RUN, SHELL)
    declared = [verb or one for group in groups for one in group.subcommands for verb in (one.verbs or [None])]
    assert [one for _, one in ALL] == declared
    assert len(ALL) > 60


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_no_subcommand_ends_with_the_code_of_findings_or_a_traceback_when_it_breaks(
    fault: BaseException, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ledger.program, "parser", lambda: PARSER)  # it takes 25 ms to build
    wrong: dict[str, Any] = {}
    for typed, one in ALL:
        with failing(one, fault):
            try:
                code: Any = main(typed)
            except SystemExit as ended:  # a file of the example is not there: it did not come to the work
                code = ended.code
            except BaseException as error:
                code = repr(error)
        err = capsys.readouterr().err
        if code != (130 if isinstance(fault, KeyboardInterrupt) else 2) or err.count("\n") != 1 or "half" in err:
            wrong[" ".join(typed)] = (code, err)
    assert not wrong


BROKEN = [
    ("stdout is full", {"stdout": "/dev/full"}),
    ("stderr is full", {"stderr": "/dev/full"}),
    ("both are full", {"stdout": "/dev/full", "stderr": "/dev/full"}),
    ("both are closed", {"stdout": None, "stderr": None}),
]
COMMANDS = {
    "prints and is done": (["completion", "bash"], {0, 2}),
    "unusable arguments": (["ban"], {2}),
    "no store": (["audit", "--dsn", "postgresql://nobody@127.0.0.1:1/none"], {2}),
    "an unreadable file": (["cases", "/nowhere.json"], {2}),
}


@pytest.mark.parametrize("streams", [streams for _, streams in BROKEN], ids=[name for name, _ in BROKEN])
def test_streams_that_take_nothing_do_not_change_the_exit_code_to_another(streams: dict[str, str | None]) -> None:
    started = {name: (start(command, streams), codes) for name, (command, codes) in COMMANDS.items()}
    for name, (process, codes) in started.items():
        out, err = (process.communicate(timeout=120)[at] or "" for at in (0, 1))
        assert process.returncode in codes, (name, out, err)
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        if streams.get("stdout") == "/dev/full" and 0 in codes:
            assert process.returncode == 2, (name, "it was not printed")


def start(command: list[str], streams: dict[str, str | None]) -> subprocess.Popen[str]:
    """Start a subcommand with some streams on a file, or closed."""
    numbers = {"stdout": 1, "stderr": 2}
    parts = [f"{numbers[name]}>{file or '&-'}" for name, file in streams.items()]
    line = f'exec "$0" -m ledger "$@" {" ".join(parts)}'
    return subprocess.Popen(["/bin/sh", "-c", line, sys.executable, *command], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})  # fmt: skip


def test_a_reader_that_leaves_does_not_turn_findings_into_none(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with shell("cases", *map(str, sorted((ROOT / "tests/cases").glob("*.json"))[:1]), stdout=writing) as process:
        os.close(writing)
        assert process.wait(timeout=120) == 0
