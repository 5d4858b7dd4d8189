"""Asking the doctor about an installation, and doing what it says, as a person at a shell does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.store.postgres.wheel import installed_wheel
from tests.tools.running import run

NOWHERE: Final = ("--dsn", "host=127.0.0.1 port=1 user=nobody")  # no PostgreSQL, for what needs none


class Line(NamedTuple):
    """A line of the doctor."""

    level: str
    says: str
    remedy: str
    figures: dict[str, Any]


class Visit(NamedTuple):
    """What the doctor said, by check."""

    code: int
    lines: dict[str, list[Line]]
    err: str

    def levels(self, check: str) -> list[str]:
        """How bad each line of a check is."""
        return [line.level for line in self.lines[check]]

    def only(self, check: str) -> Line:
        """The one line of a check."""
        (line,) = self.lines[check]
        return line


def doctor(*arguments: object) -> Visit:
    """Ask it, and read what it prints."""
    return visit_of(*run("doctor", "--json", *arguments))


def visit_of(code: int, out: str, err: str) -> Visit:
    """Read what it printed as JSON."""
    lines: dict[str, list[Line]] = {}
    for text in out.splitlines():
        found = json.loads(text)
        lines.setdefault(found.pop("check"), []).append(Line(**found))
    return Visit(code, lines, err)


def heal(remedy: str) -> None:
    """Type what it says; a command of ours alone is run in this process, which is quicker."""
    words = shlex.split(remedy, comments=True)
    if words[0] == "fee-ledger" and "|" not in words:
        ran = run(*words[1:])
        assert ran.code == 0 or (ran.code == 1 and not ran.err), (remedy, ran)
        return
    command = ["/bin/sh", "-c", remedy]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (remedy, done.stderr)


def environment() -> dict[str, str]:
    """The environment of a shell that finds `fee-ledger`, `python` and `psql`."""
    programs = (Path(sys.executable).parent, installed_wheel().programs)
    return {**os.environ, "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]])}
