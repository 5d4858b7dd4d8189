"""Files and folders that the ledger keeps for itself: 0600 and 0700 whatever the umask, so that they are its own.

Nobody else can read, lock or enter them. What a person asked for, such as CSV, JSON, Parquet and pages, is not among
them: there the umask decides.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, Any, Final

FILE: Final = 0o600
FOLDER: Final = 0o700


def open_file(path: Path, mode: str, buffering: int = -1) -> IO[Any]:
    """Open a file that is ours alone, as `open` does; one of an earlier release that is not becomes so.

    Follows no link at the end of the path: it could lead to a file that is not ours.
    """
    return open(path, mode, buffering, opener=_opener, encoding=None if "b" in mode else "utf-8")


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW, FILE)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) != FILE:
        os.fchmod(descriptor, FILE)
    return descriptor


def write(path: Path, text: str) -> None:
    """Write the whole text of a file that is ours alone."""
    with open_file(path, "w") as file:
        file.write(text)


def make_folder(path: Path) -> None:
    """Make a folder that is ours alone, unless it is there; one of an earlier release that is not becomes so.

    Follows no link either.
    """
    path.mkdir(FOLDER, exist_ok=True)
    found = path.lstat().st_mode
    if stat.S_ISLNK(found):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if stat.S_IMODE(found) != FOLDER:
        path.chmod(FOLDER)
