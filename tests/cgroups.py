"""Control groups of the kernel, whose limits it really keeps. They need root, and a hierarchy that may be written.

with limited("pids", 40) as group:
    subprocess.run(group.inside("python", "-m", "ledger", "doctor"))
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.waiting import wait_for

_MOUNT: Final = Path("/sys/fs/cgroup")
_OF_V1: Final = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
_OF_V2: Final = {"memory": "memory.max", "pids": "pids.max"}


class Group(NamedTuple):
    """A group for processes; the limit is that of the one around it, as where a container has it."""

    folder: Path
    limit: Path

    def inside(self, *command: str) -> tuple[str, ...]:
        """A command that is put into it before it begins."""
        return ("/bin/sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh", *command)


@contextmanager
def limited(controller: str, amount: int) -> Iterator[Group]:
    """Give a group with so many bytes of `memory`, or tasks of `pids`; skip the test where none can be made."""
    root, names = _MOUNT / controller, _OF_V1
    if not (root / "cgroup.procs").exists():
        root, names = _MOUNT, _OF_V2
    outer = root / f"fee-ledger-test-{os.getpid()}"
    group = Group(outer / "inside", outer / names[controller])
    try:
        outer.mkdir()
        group.folder.mkdir()
        group.limit.write_text(str(amount))
    except OSError as error:
        _remove(group)
        pytest.skip(f"nobody may limit {controller} in {root} here ({error.strerror}): it takes root, and a cgroup")
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Group) -> None:
    """Remove both, once the kernel has seen the last process end."""
    for folder in (group.folder, group.folder.parent):
        if folder.exists():
            wait_for(lambda folder=folder: _removed(folder))


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
