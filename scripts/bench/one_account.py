"""Measures the audit of one account and one hour: by itself, with the start of its process, and in PostgreSQL."""

from __future__ import annotations

import statistics
from typing import Final

from ledger.domain.instants import day_text
from scripts.bench.figures import OF_AN_AUDIT
from scripts.bench.fills import account_id
from scripts.bench.life import END_DAY, KINDS, TRADES_EACH
from scripts.bench.proc import family_cpu_s, process
from scripts.bench.replay import audit
from scripts.bench.store import Store

_TIMES: Final = 5
# The command, and what its own part of the CPU was: what lies before is the start of any Python with these modules.
_PROGRAM: Final = """
import sys, time
import ledger.tools.audit.command, ledger.tools.store, projections.audit.share
from ledger.program import main
began_s = time.process_time()
code = main(sys.argv[1:])
print(time.process_time() - began_s, file=sys.stderr)
sys.exit(code)
"""
_BLOCKS: Final = (
    "SELECT coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)"
    " + coalesce(toast_blks_read + toast_blks_hit + tidx_blks_read + tidx_blks_hit, 0)), 0)::bigint"
    " FROM pg_statio_user_tables WHERE schemaname = %s"
)


def audit_hour(store: Store, schema: str, name: str, *, days: int) -> dict[str, float]:
    """Audit one account, and the hour in which it traded last, of a ledger whose accounts lived so many days.

    Returns the figures of OF_AN_AUDIT by `name`: the median of a few audits, or their mean.
    """
    day = day_text(END_DAY - 1)
    number = next(number for number in range(KINDS) if number % TRADES_EACH == (days - 1) % TRADES_EACH)
    hour = (account_id(number), "--from", f"{day}T12:00:00Z", "--until", f"{day}T13:00:00Z")
    with store.connect() as connection:
        watching = connection.info.backend_pid
        postmaster = process(watching).parent
        postgres_cpu_s = family_cpu_s(postmaster, without=watching)
        ((blocks,),) = connection.execute(_BLOCKS.encode(), (schema,)).fetchall()
        audits = [audit(store, schema, 1, *hour, program=("-c", _PROGRAM, "audit")) for _ in range(_TIMES)]
        postgres_cpu_s = family_cpu_s(postmaster, without=watching) - postgres_cpu_s
        ((blocks_after,),) = connection.execute(_BLOCKS.encode(), (schema,)).fetchall()
    values = {
        "ms": statistics.median(each.seconds for each in audits) * 1_000,
        "cpu_s": statistics.median(float(each.told.split()[-1]) for each in audits),
        "started_cpu_s": statistics.median(each.cpu_s for each in audits),
        "postgres_cpu_s": postgres_cpu_s / _TIMES,
        "blocks": (blocks_after - blocks) / _TIMES,
    }
    assert values.keys() == OF_AN_AUDIT.keys()
    return {f"{name}.{part}": value for part, value in values.items()}
