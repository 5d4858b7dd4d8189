"""Measures an audit of a log: every event is read, every fee decided again and compared, as `make audit` does it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.store.postgres.dsn import VARIABLE
from scripts.bench.figures import REPLAY, REPLAY_CPU, REPLAY_MEMBERS_CPU
from scripts.bench.store import Store, check

_SECONDS_MAX: Final = 3_600


def replay(store: Store, schema: str, fills: int) -> dict[str, float]:
    """Audit a ledger of so many fills, from its start to its end, by a process for each core: its rate, and its CPU."""
    store.checkpoint()
    audited = audit(store, schema, fills)
    return {REPLAY: fills / audited.seconds, REPLAY_CPU: _cpu_us_of_fills(store, schema, fills, audited)}


def replay_members(store: Store, schema: str, fills: int) -> dict[str, float]:
    """The CPU of the same, of a ledger of many members."""
    store.checkpoint()
    return {REPLAY_MEMBERS_CPU: _cpu_us_of_fills(store, schema, fills, audit(store, schema, fills))}


def _cpu_us_of_fills(store: Store, schema: str, fills: int, audited: Audited) -> float:
    """Return the CPU of a fill in an audit: without that of an audit of what the ledger held before the first one."""
    events = f"SELECT min(notification_id) - 1 FROM {schema}.events WHERE time_min_ns IS NOT NULL"
    ((before,),) = store.rows(events)
    return max(audited.cpu_s - audit(store, schema, 0, "--known-at", str(before)).cpu_s, 0) * 1e6 / fills


class Audited(NamedTuple):
    """How long an audit took with the start of its processes, the CPU of these, and what it told on stderr."""

    seconds: float
    cpu_s: float
    told: str


def audit(
    store: Store, schema: str, fills: int, *arguments: str, program: Sequence[str] = ("-m", "ledger", "audit")
) -> Audited:
    """Audit a ledger. It has to decide so many fills, and to find nothing. Raises Failed."""
    command = [sys.executable, *program, "--schema", schema, *arguments]
    cpu_s, began = _children_cpu_s(), time.perf_counter()
    process = subprocess.run(  # noqa: S603 - our own program, and no shell
        command,
        env={**os.environ, VARIABLE: store.dsn},
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    seconds, cpu_s = time.perf_counter() - began, _children_cpu_s() - cpu_s
    said = [*process.stdout.splitlines(), *process.stderr.splitlines(), "nothing"]
    check(process.returncode == 0, f"the audit of the ledger ended with {process.returncode}: {said[0]}")
    decided = re.search(r"([\d,]+) fills?, [\d,]+ accounts?, 0 findings", process.stdout)
    check(decided is not None and decided[1] == f"{fills:,}", f"the audit decided other fills: {said[0]}")
    return Audited(seconds, cpu_s, process.stderr)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
