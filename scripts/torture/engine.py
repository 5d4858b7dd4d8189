"""An engine as a process of its own, to be killed: it sends the fills of one source, whatever happens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ledger import private
from scripts.torture.served import ROOT


class TortureError(Exception):
    """A trial cannot go on: one line for a person."""


class Engine:
    """A client process that sends the fills of one source, and is started again when it was killed."""

    def __init__(self, addresses: Sequence[str], folder: Path, trial: str, form: str, seed: int, fills: int) -> None:
        self.source = f"{trial}-{form}"
        self._command = [
            *(sys.executable, "-m", "scripts.torture.client", "--folder", str(folder)),
            *("--addresses", ",".join(addresses), "--trial", trial, "--source", self.source, "--form", form),
            *("--seed", str(seed), "--fills", str(fills)),
        ]
        self._acked = folder / f"{self.source}.acked"
        self._said = private.open_file(folder / f"{self.source}.log", "w+b")
        self._tail: IO[bytes] | None = None
        self._lives = 0
        self.acknowledged = 0
        self.start()

    def start(self) -> None:
        """Its next life."""
        self._lives += 1
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            [*self._command, "--life", str(self._lives)],
            *(-1, None, subprocess.DEVNULL, self._said, self._said),
            cwd=ROOT,
            start_new_session=True,
        )

    def kill(self) -> bool:
        """Without a farewell; False: it has done its work already."""
        if self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        return True

    def look(self) -> int:
        """The last number that it knows to be durable. Raises TortureError if it failed."""
        if self._process.poll():
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise TortureError(f"{self.source} ended with {self._process.returncode}, and said: {said[-1]}")
        if self._tail is None and self._acked.exists():
            self._tail = self._acked.open("rb")
        if self._tail is not None and (told := re.findall(rb'"last": (\d+)', self._tail.read())):
            self.acknowledged = int(told[-1])
        return self.acknowledged

    @property
    def done(self) -> bool:
        """True once it has sent all, and knows it to be durable."""
        return self._process.poll() == 0

    def close(self) -> None:
        """Remove all that was made."""
        self.kill()
        self._said.close()
        if self._tail is not None:
            self._tail.close()
