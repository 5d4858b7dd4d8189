"""Every byte of an event counts: changed, it is found, or it was a thing that only who asked knows."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import pytest

from ledger.domain import commands as asked
from ledger.domain.events import (
    Envelope,
    Event,
    Line,
    Recorded,
    SourceAdvanced,
    TierChanged,
    VolumeRecorded,
    WriterStarted,
)
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.fills.lines import lines_of
from ledger.replay.compare import Deviation
from ledger.store.codec.events import decode, encode
from ledger.store.log import StoredRow
from projections.audit.rows import Commit, Stored
from tests.domain.worked import fills
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record

# What no rule decides: a side where fees are in the quote currency, a token that gives no discount, a time within the
# hours in which nothing changes.
SENDERS: Final = {
    *("exec_id", "transact_time_ns", "traits", "trade_id", "order_id", "cl_ord_id", "order_time_ns", "owner_id"),
    *("counterparty_owner_id", "charged_amount", "charged_currency", "charged_rate", "token"),
    *("token_price", "token_price_source"),
    *("actor", "approver", "ticket", "request_id", "request_sha256", "reason_sha256", "actor_verified"),
    "latest_time_ns",
}
ERASABLE: Final = {"ticket", "reason_sha256"}  # of a request: who asked, and for what, is compared with what it keeps


@pytest.fixture
def log(writing: Writing) -> list[Recorded]:
    """A tier, then two runs of fills of a source, on two markets, with ids of all kinds."""
    writing.step(ask(asked.RegisterSymbol("T", "DOGE", "BTC", 1, 12, 6, pair_class="B")))
    writing.step(ask(asked.ChangeTier("alice", "VIP2", NOON_NS - DAY_NS, NOON_NS + DAY_NS)))
    rows = [
        {
            "exec_id": f"E{number}",
            "symbol": "ST"[number % 2],
            "transact_time_ns": NOON_NS - number * SECOND_NS,
            "side": 1 + number % 2,
            "liquidity": 1 + number // 2 % 2,
            "trade_id": str(17 + number),
            "order_id": f"O-{number}",
            "counterparty_owner_id": "bob",
            "price": "3.25",
            "quantity": f"{number + 1}.5",
        }
        for number in range(4)
    ]
    for first, part in ((1, rows[:1]), (2, rows[1:])):
        batch = fills(*({"account_id": "alice", **row} for row in part), source="engine")
        writing.step(record(replace(batch, sequence=batch.sequence + (first - 1))))
    return writing.events()


@pytest.mark.parametrize(
    ("kind", "unknown"),
    [(VolumeRecorded, SENDERS), (SourceAdvanced, SENDERS), (TierChanged, ERASABLE)],
    ids=["VolumeRecorded", "SourceAdvanced", "TierChanged"],
)
def test_each_byte_of_an_event_counts(log: list[Recorded], kind: type[Event], unknown: set[str]) -> None:
    place = max(place for place, recorded in enumerate(log) if isinstance(recorded.event, kind))
    row = stored(log[place])
    silent: set[str] = set()
    for at in range(len(row.state)):
        for bit in (0x01, 0x10):
            changed = bytearray(row.state)
            changed[at] ^= bit
            other = row._replace(state=bytes(changed))
            if not audit_with(log, place, other):
                silent |= differing_fields(log[place], other)
    assert silent <= unknown, silent


def audit_with(log: list[Recorded], place: int, row: StoredRow) -> list[Deviation]:
    """What an audit says of the log with one of its rows as somebody left it."""
    time_ns = log[place].envelope.recorded_time_ns
    terms = [(recorded.position, recorded.event.term) for recorded in log if isinstance(recorded.event, WriterStarted)]
    event: Any = log[place].event
    times = (
        [event.time_min_ns, event.time_max_ns, event.time_max_so_far_ns] if hasattr(event, "columns") else [None] * 3
    )
    read = list(Stored([Commit(row.position, row.position, time_ns)], terms).checked((*row, *times)))
    found = [each for each in read if isinstance(each, Deviation)]
    events = [each for each in read if isinstance(each, Recorded)]
    if found:
        return found  # it is named already
    return deviations([*log[:place], *events, *log[place + 1 :]])


def stored(recorded: Recorded) -> StoredRow:
    topic, state = encode(recorded.envelope, recorded.event)
    return StoredRow(recorded.position, recorded.stream, recorded.version, topic, state)


def differing_fields(recorded: Recorded, row: StoredRow) -> set[str]:
    """Names of what says something else; of a run those of its lines."""
    other = decode(*row)
    found = {
        each.name
        for each in fields(Envelope)
        if getattr(recorded.envelope, each.name) != getattr(other.envelope, each.name)
    }
    if not isinstance(recorded.event, VolumeRecorded) or not isinstance(other.event, VolumeRecorded):
        names = [each.name for each in fields(recorded.event)]
        return found | {name for name in names if getattr(recorded.event, name) != getattr(other.event, name)}
    for one, another in zip(lines_of(recorded.event), lines_of(other.event), strict=True):
        found |= {name for name in Line._fields if getattr(one, name) != getattr(another, name)}
    return found
