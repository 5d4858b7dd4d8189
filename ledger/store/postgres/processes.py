"""Processes as the operating system shows them: their arguments, their children, and the files that they lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from ledger import private

_PS_SECONDS_MAX: Final = 5.0


def locked_file(file: Path) -> IO[bytes] | None:
    """Open and lock a file that is ours alone; return None if it is locked already."""
    lock = private.open_file(file, "ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        lock.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


def locked_by_stranger(file: Path, users: Set[int]) -> int:
    """Return the inode of a file that a living process of another user has locked; 0: none has, or none is seen."""
    with suppress(OSError):
        found = file.stat()
        name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        for line in Path("/proc/locks").read_text().splitlines():  # 1: FLOCK ADVISORY WRITE <pid> <name> 0 EOF
            words = line.split()
            if words[1] == "FLOCK" and words[5] == name and Path(f"/proc/{words[4]}").stat().st_uid not in users:
                return found.st_ino
    return 0


def command_line(pid: int) -> bytes:
    """Return the arguments of a process, each followed by a space; empty if it has ended (also for a zombie)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return b""
    ps = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]  # macOS has no /proc
    return subprocess.run(ps, capture_output=True, check=False, timeout=_PS_SECONDS_MAX).stdout  # noqa: S603


def children(pid: int) -> list[int]:
    """Return the living processes that a process has started, on Linux; elsewhere none are found."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found += map(int, task.read_text().split())
    return found
