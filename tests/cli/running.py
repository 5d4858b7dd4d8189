"""Running the command line, in this process or in a shell, and the screens it prints."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent
FOUR_EYES: Final = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed")

Run = Callable[..., tuple[int, str, str]]


def table(text: str) -> str:
    """A screen as the tests write it: without the margin."""
    lines = text.strip("\n").splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines).rstrip() + "\n"


def shell(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "ledger", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **{**pipes, **options})
