"""Control groups of the kernel, whose limits it really keeps. They need root, and a hierarchy that may be written.

with limited(pids=40) as group:
    subprocess.run(group.inside("python", "-m", "ledger", "doctor"))
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.waiting import wait_for

_MOUNT: Final = Path("/sys/fs/cgroup")
_OF_V1: Final = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
_OF_V2: Final = {"memory": "memory.max", "pids": "pids.max"}


class Group(NamedTuple):
    """A group for processes; the limits are those of the one around it, as where a container has them."""

    limits: Mapping[str, Path]  # the file of each, by its controller

    @property
    def folders(self) -> list[Path]:
        """Where its processes are: by version 2 in one folder, else in one for each controller."""
        return sorted({limit.parent / "inside" for limit in self.limits.values()})

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return a command that is put into it before it begins."""
        joins = "".join(f"echo $$ > {folder}/cgroup.procs && " for folder in self.folders)
        return ("/bin/sh", "-c", f'{joins}exec "$@"', "sh", *command)


@contextmanager
def limited(**amounts: int) -> Iterator[Group]:
    """Give a group with so many bytes of `memory`, or tasks of `pids`; skip the test where none can be made."""
    group = Group({controller: _limit(controller) for controller in amounts})
    try:
        for folder in group.folders:
            folder.parent.mkdir()
            folder.mkdir()
        for controller, amount in amounts.items():
            group.limits[controller].write_text(str(amount))
    except OSError as error:
        _remove(group)
        named = " and ".join(amounts)
        pytest.skip(f"nobody may limit {named} in {_MOUNT} here ({error.strerror}): it takes root, and a cgroup")
    try:
        yield group
    finally:
        _remove(group)


def _limit(controller: str) -> Path:
    """Return the file that will hold the limit."""
    root, names = _MOUNT / controller, _OF_V1
    if not (root / "cgroup.procs").exists():
        root, names = _MOUNT, _OF_V2
    return root / f"fee-ledger-test-{os.getpid()}" / names[controller]


def _remove(group: Group) -> None:
    """Remove it and what is around it, once the kernel has seen the last process end."""
    for folder in (each for inside in group.folders for each in (inside, inside.parent)):
        if folder.exists():
            wait_for(partial(_removed, folder))


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True
