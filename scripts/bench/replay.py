"""How fast a log is audited: read, decoded, every fee decided again and compared, as `make audit` does it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.store.postgres.dsn import VARIABLE
from scripts.bench.figures import REPLAY
from scripts.bench.store import Store, check

_SECONDS_MAX: Final = 3_600


def replay(store: Store, schema: str, fills: int) -> dict[str, float]:
    """Fills/s of an audit of a ledger of so many, from its start to its end, by a process for each core."""
    store.checkpoint()
    return {REPLAY: fills / audit(store, schema, fills).seconds}


class Audited(NamedTuple):
    """How long an audit took with the start of its processes, and what it told on stderr."""

    seconds: float
    told: str


def audit(
    store: Store, schema: str, fills: int, *arguments: str, program: Sequence[str] = ("-m", "ledger", "audit")
) -> Audited:
    """Audit a ledger. It has to decide so many fills, and to find nothing. Raises Failed."""
    command = [sys.executable, *program, "--schema", schema, *arguments]
    began = time.perf_counter()
    process = subprocess.run(  # noqa: S603 - our own program, and no shell
        command,
        env={**os.environ, VARIABLE: store.dsn},
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    seconds = time.perf_counter() - began
    said = [*process.stdout.splitlines(), *process.stderr.splitlines(), "nothing"]
    check(process.returncode == 0, f"the audit of the ledger ended with {process.returncode}: {said[0]}")
    decided = re.search(r"([\d,]+) fills?, [\d,]+ accounts?, 0 findings", process.stdout)
    check(decided is not None and decided[1] == f"{fills:,}", f"the audit decided other fills: {said[0]}")
    return Audited(seconds, process.stderr)
