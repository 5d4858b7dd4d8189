"""The load of the as-of reads: an account that trades all day beside one that hardly does, and others between them.

30 days of fills in the order in which they came, 5 % of them late by up to a minute. All that a read is to find
again is at hand as columns: whose fill, when, and at which position it was acknowledged. Facts that come late are
recorded between two messages, after the days that they adjust.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints
from ledger.domain.instants import DAY_NS
from ledger.v1 import fill_service_pb2
from scripts.bench.fills import columns_of, joined, reference_fills
from scripts.bench.load import Lane

DAYS: Final = 30
FIRST_DAY: Final = 19_877  # 2024-06-03
LARGE, SMALL = "A-LARGE", "A-SMALL"
SMALL_FILLS: Final = 100
ADJUSTED_DAYS: Final = (24, 25, 26)  # of the days, counted from 0: a tenth of them, by a late fact each
OTHERS: Final = 10  # accounts, that have a fifth of all fills together
FILLS_PER_MESSAGE: Final = 600
LANES: Final = 2
_OTHERS_SHARE: Final = 4  # of LARGE's fills one in so many on top is of another account
_SEED: Final = 20_261_124
_LATE_SHARE: Final = 0.05
_LATE_NS_MAX: Final = 60 * 10**9


@dataclass(frozen=True)
class AsOfLoad:
    """Messages by lane, and of every fill the account (its place in `accounts`), the time and the message."""

    lanes: list[Lane]
    accounts: list[str]
    account: Ints
    time_ns: Ints
    message: Ints

    def places(self, account_id: str) -> Ints:
        """Which of the fills are of an account."""
        return np.flatnonzero(self.account == self.accounts.index(account_id))

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return sum(len(lane.messages) for lane in self.lanes)

    @property
    def messages_before_facts(self) -> int:
        """How many messages were recorded before the late facts: all with a fill of the adjusted days, but the last."""
        later = np.flatnonzero(self.time_ns >= (FIRST_DAY + ADJUSTED_DAYS[-1] + 1) * DAY_NS)
        return int(self.message[later[0] if len(later) else -1])

    def lanes_of(self, first: int, end: int) -> list[Lane]:
        """The lanes with no more than the messages [first, end)."""
        count = len(self.lanes)
        parts = [slice(-((number - first) // count), -((number - end) // count)) for number in range(count)]
        return [
            Lane(lane.source, lane.messages[part], lane.sizes[part])
            for lane, part in zip(self.lanes, parts, strict=True)
        ]


def make_asof_load(fills: int) -> AsOfLoad:
    """So many fills of LARGE; always the same ones."""
    chance = np.random.default_rng(_SEED)
    accounts = [LARGE, SMALL, *(f"A-OTHER-{number:02}" for number in range(OTHERS))]
    small, others = min(SMALL_FILLS, fills), fills // _OTHERS_SHARE
    account = np.concatenate(
        [np.zeros(fills, np.int64), np.ones(small, np.int64), chance.integers(2, len(accounts), others)]
    )
    came_ns = np.concatenate([_even(count) for count in (fills, small, others)])
    order = np.argsort(came_ns, kind="stable")
    account, came_ns = account[order], came_ns[order]
    is_late = chance.random(len(account)) < _LATE_SHARE
    late_ns = np.where(is_late, chance.integers(0, _LATE_NS_MAX, len(account)), 0)
    time_ns = np.maximum(came_ns - late_ns, FIRST_DAY * DAY_NS)
    message = np.arange(len(account)) // FILLS_PER_MESSAGE
    load = AsOfLoad([Lane(f"engine-{number}") for number in range(LANES)], accounts, account, time_ns, message)
    _fill_lanes(load)
    return load


def _even(count: int) -> Ints:
    """Instants spread evenly over the days."""
    return FIRST_DAY * DAY_NS + (np.arange(count) * 2 + 1) * (DAYS * DAY_NS // (2 * count) if count else 1)


def _fill_lanes(load: AsOfLoad) -> None:
    """Deal the messages to the lanes in turn, each a serialised request."""
    drawn = joined(reference_fills(len(load.account), len(load.accounts)))
    fills = replace(drawn, account=load.account, transact_time_ns=load.time_ns)
    for number, start in enumerate(range(0, len(fills), FILLS_PER_MESSAGE)):
        sent, lane = fills.at(slice(start, start + FILLS_PER_MESSAGE)), load.lanes[number % LANES]
        request = fill_service_pb2.RecordFillsRequest(source=lane.source, first_sequence=lane.last_sequence + 1)
        request.columns.CopyFrom(columns_of(sent, load.accounts.__getitem__))
        lane.messages.append(request.SerializeToString())
        lane.sizes.append(len(sent))
