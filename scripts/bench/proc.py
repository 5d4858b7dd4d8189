"""Ask Linux about processes: their CPU time, and how much memory they ever held."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
READABLE: Final = (_PROC / "self" / "stat").exists()
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process: which one started it, and its CPU time so far, in user and kernel together; and that of its dead."""

    parent: int
    cpu_s: float
    children_cpu_s: float  # of the processes that it has started and that have ended


def process(pid: int) -> Process:
    """Return what a process has used. Raises OSError if there is none."""
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()  # its name may hold anything
    cpu, of_children = (sum(map(int, fields[first : first + 2])) / _TICKS_PER_S for first in (11, 13))
    return Process(int(fields[1]), cpu, of_children)


def children(parent: int) -> dict[int, Process]:
    """The processes that a process has started and that still run."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                one = process(int(entry.name))
            except OSError:
                continue  # it has just ended
            if one.parent == parent:
                found[int(entry.name)] = one
    return found


def family_cpu_s(parent: int, *, without: int) -> float:
    """Return the CPU time of a process and all that it has started, also of those that have ended, but for one."""
    own = process(parent)
    running = sum(one.cpu_s for pid, one in children(parent).items() if pid != without)
    return own.cpu_s + own.children_cpu_s + running


def peak_rss_mb(pid: int) -> float:
    """The most memory that a process ever had resident (VmHWM), in 10^6 bytes."""
    status = (_PROC / str(pid) / "status").read_text()
    (kib,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6
