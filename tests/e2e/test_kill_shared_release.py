"""A service is killed while it brings a class to hundreds of accounts, and goes on: each has it, and has it once.

Fees are then those of a ledger that nobody disturbed. A taker's buy of 100 at 1: 0.25 at the base rate, 0.025 for
VIP4 in class A.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from ledger.client import Client
from ledger.domain.events import POSITION_MAX, FeeAdjusted, ReleaseAdvanced
from ledger.domain.instants import DAY_NS, LATEST_NS
from ledger.domain.streams import account_stream, release_stream
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from tests.conftest import Clock, at, serving
from tests.e2e.kills import kill_after_another
from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.projections.audited import audit
from tests.samples import fill
from tests.tools import running
from tests.waiting import wait_for

ACCOUNTS: Final = [f"m{number:04}" for number in range(400)]  # twenty commits
MEMBERS: Final = ACCOUNTS[::30]
OTHERS: Final = ACCOUNTS[::50]  # have no fill of the pair
BOTH: Final[dict[str, Any]] = {"actor": "ops-1", "approver": "ops-2", "reason": "agreed"}
RELEASE: Final = release_stream("bitmart-api-vip")


@pytest.fixture
def served(dsn: str, schema: str) -> Iterator[Served]:
    with started(dsn=dsn, schema=schema) as service:
        yield service


def traded(ledger: Client, traded_ns: int) -> int:
    """Have all accounts trade before the class of the pair is recorded; return the position of that."""
    for name, pair_class in (("XRP_USDT", None), ("ETH_USDT", "A")):
        base, _, quote = name.partition("_")
        ledger.register_symbol(
            name, base_currency=base, quote_currency=quote, price_scale=2, quantity_scale=2, pair_class=pair_class
        )
    for name in MEMBERS:
        ledger.change_tier(name, tier="VIP4", valid_from=traded_ns, **BOTH)
    fills = [
        fill(
            account_id=name,
            exec_id=f"E{number}",
            symbol="ETH_USDT" if name in OTHERS else "XRP_USDT",
            last_px="1",
            last_qty="100",
            transact_time=at(traded_ns + number),
        )
        for name in ACCOUNTS
        for number in range(2)
    ]
    ledger.record_fills(fills)
    given = ledger.assign_pair_class("XRP_USDT", pair_class="A", valid_from=traded_ns + 1, **BOTH)
    return int(given.receipt.position)


def released(ledger: Client, position: int) -> None:
    ledger.release_fact(position, **BOTH)


def fees(ledger: Client) -> dict[str, list[tuple[str, ...]]]:
    """The entries of accounts: (kind, id, amount, the class and the tier that it counts by)."""
    return {
        name: [
            (line.kind, line.fill_ref.exec_id, line.fee_amount, line.basis.pair_class, line.basis.tier)
            for page in ledger.fee_history_pages(name)
            for line in page.lines
        ]
        for name in ACCOUNTS[::10]
    }


def restated(log: Log) -> list[tuple[str, int, int]]:
    """Each line that was restated, in the order of the log: (fee stream, fee before, fee after)."""
    return [
        (each.stream, line.before.fee, line.after.fee)
        for each in log.adjustments(from_ns=0, as_of_ns=LATEST_NS, until=POSITION_MAX)
        if isinstance(each.event, FeeAdjusted)
        for line in each.event.lines
    ]


def test_each_account_has_the_class_once_however_often_the_service_is_killed(
    served: Served, dsn: str, schema: str
) -> None:
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        traded_ns = ledger.get_ledger_info().recorded_time.seconds * 10**9 - DAY_NS
        released(ledger, traded(ledger, traded_ns))
    kill_after_another(served, RELEASE, ReleaseAdvanced, last=ACCOUNTS[-1])
    kill_after_another(served, RELEASE, ReleaseAdvanced, last=ACCOUNTS[-1], stop=Served.end)
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        wait_for(lambda: not ledger.get_vip_state(ACCOUNTS[-1]).reprice_in_progress, WAIT_S_MAX)
        found = fees(ledger)
    with closing(open_datastore(dsn, schema, connections=1)) as datastore:
        log = Log(datastore)
        releases = [each.stream for each in log.account_events(["FactReleased"], POSITION_MAX)]
        lines = restated(log)
    expected = [account_stream(name) for name in ACCOUNTS if name not in OTHERS]
    assert releases == expected, "each once, in their order"
    assert len(lines) == len(expected), "the fill of before the class has none"
    assert [str(each) for each in audit(dsn, schema, jobs=2)[0]] == []
    checked = running.run("check", "--schema", schema, "--dsn", dsn)
    assert checked.code == 0, (checked.out, checked.err)
    clock = Clock()
    clock.now_ns = traded_ns + DAY_NS
    with serving(dsn, f"{schema}_undisturbed", clock=clock) as other, Client(other.address) as ledger:
        released(ledger, traded(ledger, traded_ns))
        wait_for(lambda: not ledger.get_vip_state(ACCOUNTS[-1]).reprice_in_progress, WAIT_S_MAX)
        assert (found, lines) == (fees(ledger), restated(other.log))
    assert found["m0030"] == [
        ("FILL", "E0", "0.25", "", "VIP4"),
        ("FILL", "E1", "0.25", "", "VIP4"),
        ("ADJUSTMENT", "E1", "-0.225", "A", "VIP4"),
    ]
