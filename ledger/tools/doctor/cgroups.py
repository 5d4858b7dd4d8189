"""The limits that the kernel holds a process to, by the control groups around it, of either version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_MOUNT: Final = Path("/sys/fs/cgroup")
_NAMES: Final = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}  # v1, v2


class Limit(NamedTuple):
    """A limit in bytes, or in threads and processes, and the file that sets it."""

    amount: int
    file: Path


def least_limit(controller: str, pid: int | str) -> Limit | None:
    """Return the smallest limit around a process, or around `self`; None: it has none, or nobody says.

    `controller` is memory or pids.
    """
    return min(_limits(controller, pid), default=None)


def _limits(controller: str, pid: int | str) -> Iterator[Limit]:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _MOUNT / controller if controllers else _MOUNT
        name = _NAMES[controller][not controllers]
        inside = root / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder == root.parent:
                break
            try:
                text = (folder / name).read_text(encoding="ascii").strip()
            except OSError:
                continue
            if text.isdigit():  # else "max"
                yield Limit(int(text), folder / name)
