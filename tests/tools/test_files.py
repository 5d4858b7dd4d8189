"""Files that tools write are looked at before the work begins, and are whole or as they were before."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from ledger.cli.errors import UnusableError
from ledger.tools.audit.resume import Found, save
from ledger.tools.files import beside, differ, output, write_whole
from scripts.torture.fills import Journal
from tests.tools.running import run

NOBODY = ("--address", "127.0.0.1:1")
NO_STORE = ("--dsn", "postgresql://nobody@127.0.0.1:1/none")

WRITERS = {
    "audit --json": ("audit", "--json", "{file}", *NO_STORE),
    "audit --resume": ("audit", "--resume", "{file}", *NO_STORE),
    "check --json": ("check", "--json", "{file}", *NO_STORE),
    "evaluate --csv": ("evaluate", "--plan", "--csv", "{file}", *NOBODY),
    "reconcile --html": ("reconcile", "fills.csv", "--html", "{file}", *NO_STORE),
    "reconcile --state": ("reconcile", "fills.csv", "--state", "{file}", *NO_STORE),
    **{f"history --{kind}": ("history", "alice", f"--{kind}", "{file}", *NOBODY)
       for kind in ("csv", "jsonl", "parquet", "html")},
}  # fmt: skip


@pytest.mark.parametrize("command", WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("nowhere/out", "lies in no folder there is"),
        (".", "is a folder"),
        ("/proc/self/status/out", "lies in no folder there is"),
        ("/proc/out", "cannot be written: No such file or directory"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
    ids=["no folder", "a folder", "below a file", "read-only", "too long"],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], place: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*(word.format(file=place) for word in command))
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", WRITERS.values(), ids=WRITERS.keys())
def test_a_tool_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "out"
    file.write_text("as before")
    ran = run(*(word.format(file=file) for word in command))
    assert ran.code == 2
    assert "cannot be written" not in ran.err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out": "as before"}


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "--json", "f", "--resume", "./f"),
        ("reconcile", "fills.csv", "--html", "f", "--state", "f"),
        ("reconcile", "fills.csv", "--html", "fills.csv"),
        ("history", "alice", "--csv", "f", "--html", "f", *NOBODY),
    ],
    ids=" ".join,
)
def test_one_file_is_not_written_twice_nor_over_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*command)
    assert (ran.code, ran.err) == (2, "fee-ledger: two files of this run are to be the same one\n")


def test_a_block_that_is_interrupted_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("as before")

    def write() -> None:
        with beside(file) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGINT)
            part.write_text("never")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out": "as before"}


def test_a_file_is_replaced_whole_where_a_link_leads(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("as before")
    link.symlink_to(real)
    write_whole(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_device_is_written_to_and_never_replaced() -> None:
    write_whole(output("/dev/null"), "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(UnusableError, match="/dev/full cannot be written: No space left on device"):
        write_whole(Path("/dev/full"), "much")


def test_files_that_are_not_given_do_not_count(tmp_path: Path) -> None:
    differ(None, None, tmp_path / "a", tmp_path / "b")
    with pytest.raises(UnusableError, match="two files of this run are to be the same one"):
        differ(None, tmp_path / "a", None, tmp_path / "a")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_that_was_asked_for_has_the_mode_that_the_umask_gives(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "out.csv", "much")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == mode


def test_a_file_that_is_replaced_stays_as_closed_as_it_was_also_while_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("as before")
    file.chmod(0o600)
    with beside(file) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.write_text("new")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_a_tool_keeps_for_itself_is_its_own_whatever_was_there(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_text("of an earlier release")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        save(file, Found({}, 1))
        journal = Journal(tmp_path / "nights.jsonl")
        journal.write({"trial": "kill"})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_link_that_somebody_put_beside_a_file_is_not_written_through(tmp_path: Path) -> None:
    elsewhere, file = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.write_text("as before")
    (tmp_path / f".out.{os.getpid()}.part").symlink_to(elsewhere)
    write_whole(file, "new")
    assert (elsewhere.read_text(), file.read_text()) == ("as before", "new")
