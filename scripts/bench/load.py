"""The load: reference fills as serialised requests of numbered sources, and what they add up to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ledger.v1 import fill_pb2, fill_service_pb2
from scripts.bench.fills import BLOCK, MARKETS, Fills, account_id, columns_of, messages_of, reference_fills

ACCOUNTS: Final = 1_000
FILLS_PER_MESSAGE: Final = 1_000
NOTIONAL_SCALE: Final = 16  # the finest price times the finest quantity used here


@dataclass
class Volume:
    """Lines and notional by quote currency, the latter at NOTIONAL_SCALE: what was sent, or what the ledger holds."""

    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    notional: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, quote: str, lines: int, notional: int) -> None:
        """Add a sum of one quote currency."""
        self.lines[quote] += lines
        self.notional[quote] += notional

    def add_fills(self, fills: Fills) -> None:
        """Add what fills amount to."""
        products = fills.price * fills.quantity
        for place in np.unique(fills.symbol).tolist():
            market, of_symbol = MARKETS[place], products[fills.symbol == place].tolist()  # Python's sum has no end
            up = 10 ** (NOTIONAL_SCALE - market.price_decimals - market.quantity_scale)
            self.add(market.quote, len(of_symbol), sum(of_symbol) * up)

    def counted(self, blocks: Iterable[Fills]) -> Iterator[Fills]:
        """The blocks, each added as it goes by."""
        for fills in blocks:
            self.add_fills(fills)
            yield fills


@dataclass(frozen=True)
class Lane:
    """One source with its messages, in the order of its numbers, and how many fills each has."""

    source: str
    messages: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def last_sequence(self) -> int:
        """Number of the last fill."""
        return sum(self.sizes)


@dataclass(frozen=True)
class Load:
    """The messages to send, dealt to the lanes one by one, and what they add up to."""

    lanes: list[Lane]
    volume: Volume = field(default_factory=Volume)

    @property
    def tracked(self) -> dict[str, int]:
        """Last number of each source."""
        return {lane.source: lane.last_sequence for lane in self.lanes}


def row_load(count: int, *, accounts: int, fills_per_message: int, lanes: int, span_ns: int | None = None) -> Load:
    """Reference fills as RecordFillsRequests with a message per fill; no lane is left without one."""
    load = Load([Lane(f"engine-{number}") for number in range(min(lanes, -(-count // fills_per_message)))])
    blocks = load.volume.counted(reference_fills(count, accounts, span_ns=span_ns))
    for number, fills in enumerate(_parts(blocks, fills_per_message)):
        lane = load.lanes[number % len(load.lanes)]
        request = fill_service_pb2.RecordFillsRequest(source=lane.source, first_sequence=lane.last_sequence + 1)
        request.fills.extend(messages_of(fills))
        lane.messages.append(request.SerializeToString())
        lane.sizes.append(len(fills))
    return load


def stream_load(
    count: int,
    *,
    accounts: int,
    fills_per_message: int,
    zipf: bool = False,
    span_ns: int | None = None,
    source: str = "engine",
    name_of: Callable[[int], str] = account_id,
) -> Load:
    """Reference fills as StreamFillsRequests of one source, column by column."""
    load = Load([Lane(source)])
    blocks = reference_fills(count, accounts, zipf=zipf, span_ns=span_ns)
    load.lanes[0].messages.extend(stream_messages(load, blocks, fills_per_message, name_of))
    return load


def stream_messages(
    load: Load, blocks: Iterable[Fills], fills_per_message: int, name_of: Callable[[int], str] = account_id
) -> Iterator[bytes]:
    """StreamFillsRequests, each made when it is asked for and counted in the load, whose only lane sends it."""
    (lane,) = load.lanes
    sequence = 1
    for fills in _parts(load.volume.counted(blocks), fills_per_message):
        batch = fill_service_pb2.RecordFillsRequest(
            source=lane.source, first_sequence=sequence, columns=columns_of(fills, name_of)
        )
        sequence += len(fills)
        lane.sizes.append(len(fills))
        yield fill_service_pb2.StreamFillsRequest(batch=batch).SerializeToString()


def single_message(fill: fill_pb2.Fill) -> bytes:
    """A RecordFillsRequest of one fill and no source."""
    return fill_service_pb2.RecordFillsRequest(fills=[fill]).SerializeToString()


def single_stream_message(source: str, sequence: int, fill: fill_pb2.Fill) -> bytes:
    """A StreamFillsRequest of one fill."""
    batch = fill_service_pb2.RecordFillsRequest(source=source, first_sequence=sequence, fills=[fill])
    return fill_service_pb2.StreamFillsRequest(batch=batch).SerializeToString()


def _parts(blocks: Iterable[Fills], size: int) -> Iterator[Fills]:
    """Blocks cut into parts of one size, the last of them perhaps smaller."""
    assert BLOCK % size == 0, size
    for block in blocks:
        for start in range(0, len(block), size):
            yield block.at(slice(start, start + size))
