"""The processes of the embedded PostgreSQL of a folder: to be killed, stopped and woken."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Processes:
    """Finds them anew at each call: PostgreSQL may have been started again meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def postmaster(self) -> int:
        """Return its pid. Raises FileNotFoundError, or ProcessLookupError for one that is long gone."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        with suppress(FileNotFoundError):
            if str(self._folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise ProcessLookupError(pid)

    def backends(self) -> list[int]:
        """Return the pids of the processes that serve somebody."""
        return [pid for pid, title in _children(self.postmaster()) if b"postgres: ledger " in title]

    def kill(self) -> None:
        """Kill all of them, as if the machine were switched off under it."""
        self._signal(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all of them until the block ends: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = self.postmaster()
        for pid in (postmaster, *(pid for pid, _ in _children(postmaster))):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _children(parent: int) -> Iterator[tuple[int, bytes]]:
    """Yield (pid, command line) of the processes that a process has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name of a program, in parentheses, may hold spaces.
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(folder.name), (folder / "cmdline").read_bytes()
