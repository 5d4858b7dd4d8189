"""A small disk of its own, in memory, that can be filled up. Needs root.

with Disk(folder):
    disk.fill()            # no byte is free any more
    disk.free()
"""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

_MB: Final = 1_000_000
_MEGABYTES: Final = 700
_MOUNT_S_MAX: Final = 10


class Disk:
    """A tmpfs on a folder, gone when the block ends."""

    def __init__(self, folder: Path, megabytes: int = _MEGABYTES) -> None:
        self._folder = folder
        self._megabytes = megabytes
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        _run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes * _MB},mode=0755", "tmpfs", str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", str(self._folder))

    def fill(self, *, leave: int = 0) -> None:
        """Take all that is free but so many bytes; without them to the last block."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (_MB, 4096):
                try:
                    while not leave or self._free() >= leave + size:
                        if file.write(bytes(size)) < size:
                            break
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def _free(self) -> int:
        """Bytes that anybody may still write."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def free(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)


def may_mount() -> bool:
    """Return whether this process may mount a disk: it tries."""
    if os.geteuid():
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, Disk(Path(folder)):
            return True
    except (OSError, subprocess.SubprocessError):
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_MOUNT_S_MAX)  # noqa: S603 - no shell
