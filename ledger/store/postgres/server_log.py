"""The log of the embedded PostgreSQL: a file that is kept short while it is written, and one of what was before."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from ledger import private
from ledger.masked import masked

_LOG_BYTES_MAX = 10_000_000
_LAST_BYTES = 4_000


class ServerLog:
    """`postgresql.log` in a folder. PostgreSQL appends to it, so it can be emptied while it is open."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "postgresql.log"

    def open(self) -> IO[bytes]:
        """Open it for a server that starts."""
        private.make_folder(self._path.parent)
        self.shorten()
        return private.open_file(self._path, "ab")

    def shorten(self) -> None:
        """Put its text aside if it is long; lines written meanwhile may be lost, or all where there is no room."""
        with suppress(FileNotFoundError):
            if self._path.stat().st_size > _LOG_BYTES_MAX:
                before = self._path.with_suffix(".log.1")
                with suppress(OSError), self._path.open("rb") as log, private.open_file(before, "wb") as copy:
                    shutil.copyfileobj(log, copy)
                os.truncate(self._path, 0)

    def last_words(self) -> str:
        """Return where it is and its last lines, in one line."""
        return f"{self._path}: {last_lines(self._tail())}"

    def _tail(self) -> bytes:
        with suppress(FileNotFoundError), self._path.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
            return log.read()
        return b""


def last_lines(output: bytes) -> str:
    """Return the last things a program said, in one line; the reason is seldom the very last."""
    lines = (line.strip() for line in masked(output[-_LAST_BYTES:].decode(errors="replace")).splitlines())
    return "; ".join([line[:200] for line in lines if line][-5:])
