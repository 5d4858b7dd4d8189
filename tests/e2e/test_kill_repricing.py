"""A repricing is killed half way, again and again, and goes on: each line is restated, and restated once.

LEDGER_REPRICE_FILLS=1000000 takes as many fills (default: 300,000).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from ledger.client import Client
from ledger.domain.events import FeeAdjusted, RepriceAdvanced, RepriceCompleted
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import fee_stream, repricing_stream
from tests.conftest import at
from tests.e2e.kills import kill_after_another, recorded
from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.projections.audited import audit
from tests.samples import fill
from tests.waiting import wait_for

FILLS = int(os.environ.get("LEDGER_REPRICE_FILLS", "300000"))  # thirty parts
PER_CALL = 10_000
REPRICING = repricing_stream("alice")


@pytest.fixture
def served(dsn: str, schema: str) -> Iterator[Served]:
    with started(dsn=dsn, schema=schema) as service:
        yield service


def test_each_line_is_restated_once_however_often_the_service_is_killed(served: Served, dsn: str, schema: str) -> None:
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        ledger.register_symbol(
            "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=2, quantity_scale=2, pair_class="A"
        )
        now_ns = ledger.get_ledger_info().recorded_time.seconds * 10**9
        times = [at(now_ns - days * DAY_NS) for days in (1, 2)]
        for start in range(0, FILLS, PER_CALL):
            fills = [
                fill(exec_id=f"E{number}", last_px="1", last_qty="100", transact_time=times[number % 2])
                for number in range(start, start + PER_CALL)
            ]
            ledger.record_fills(fills)
        since_ns = now_ns - 3 * DAY_NS
        ledger.change_tier("alice", tier="VIP4", valid_from=since_ns, actor="ops-1", approver="ops-2", reason="agreed")
    for _ in range(2):
        kill_after_another(served, REPRICING, RepriceAdvanced, last="alice")
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        wait_for(lambda: not ledger.get_vip_state("alice").reprice_in_progress, WAIT_S_MAX)
        days = [fee_stream("alice", (now_ns - days * DAY_NS) // DAY_NS) for days in (1, 2)]
        events = [event for stream in (REPRICING, *days) for event in recorded(ledger, stream)]
        (total,) = next(iter(ledger.fee_history_pages("alice", page_size=1))).totals
    lines = Counter(
        (line.position, line.line) for each in events if isinstance(each, FeeAdjusted) for line in each.lines
    )
    assert (len(lines), set(lines.values())) == (FILLS, {1})
    assert [each.lines for each in events if isinstance(each, RepriceCompleted)] == [FILLS]
    assert (total.charges, total.lines) == (str(FILLS * 100 * 250 // 1_000_000), FILLS)
    assert [str(each) for each in audit(dsn, schema)[0]] == []
