"""A load beside which calls are timed: `python -m scripts.bench.lanes_load KIND ADDRESS FIRST COUNT`, until stdin ends.

It prints "running" when all of it has begun. A process has COUNT callers or streams, numbered from FIRST.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

import grpc

from ledger.v1 import fill_service_pb2, query_service_pb2
from ledger.v1.read_pb2 import ReadAt
from scripts.bench.fills import account_id, columns_of, reference_fills
from scripts.bench.load import FILLS_PER_MESSAGE
from scripts.bench.paths import PAGE, STATE, STREAM_FILLS

PAGE_LINES: Final = 10_000
PAGED_ACCOUNT: Final = account_id(0)
_UNREACHED: Final = 10**12  # a position
_WAIT_S: Final = 5.0  # the deadline of who waits for it
_PAGE_S_MAX: Final = 60.0
_OPEN_S_MAX: Final = 10.0
_RETRY_S: Final = 0.25  # as RetryInfo says
_FILLS: Final = 10_000_000  # more than a stream can send
_ACCOUNTS: Final = 50  # of a stream
_BYTES_MAX: Final = 16 * 1024 * 1024

_over: Final = threading.Event()
_open: Final = threading.Semaphore(0)  # idle streams that have their first answer


def main() -> None:
    """Run a load until stdin ends."""
    kind, address, first, count = sys.argv[1:]
    numbers = range(int(first), int(first) + int(count))
    channels = []
    for number in numbers:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", _BYTES_MAX))
        channels.append(grpc.insecure_channel(address, options))
        threading.Thread(target=_KINDS[kind], args=(channels[-1], number), daemon=True).start()
    for _ in numbers if kind == "idle_streams" else ():
        _open.acquire(timeout=_OPEN_S_MAX)
    print("running", flush=True)
    sys.stdin.read()
    _over.set()
    for channel in channels:
        channel.close()


def _waiting(channel: grpc.Channel, _: int) -> None:
    """Ask for a position that the ledger does not reach."""
    request = query_service_pb2.GetVipStateRequest(account_id="waiting", at=ReadAt(min_position=_UNREACHED))
    _again_and_again(lambda: channel.unary_unary(STATE)(request.SerializeToString(), timeout=_WAIT_S))


def _pages(channel: grpc.Channel, _: int) -> None:
    """Ask for the same page, as long as they come."""
    request = query_service_pb2.ListFeeHistoryRequest(account_id=PAGED_ACCOUNT, page_size=PAGE_LINES)
    _again_and_again(lambda: channel.unary_unary(PAGE)(request.SerializeToString(), timeout=_PAGE_S_MAX))


def _again_and_again(call: Callable[[], bytes]) -> None:
    while not _over.is_set():
        try:
            call()
        except grpc.RpcError:
            _over.wait(_RETRY_S)


def _flood(channel: grpc.Channel, number: int) -> None:
    """Send fills as fast as the service takes them."""
    while not _over.is_set():
        try:
            for _ in channel.stream_stream(STREAM_FILLS)(_messages(number)):
                pass
        except grpc.RpcError:
            _over.wait(_RETRY_S)


def _idle(channel: grpc.Channel, number: int) -> None:
    """Send one batch, and nothing more."""

    def requests() -> Iterator[bytes]:
        yield next(_messages(number))
        _over.wait()

    was_open = False
    while not _over.is_set() and not was_open:
        try:
            for _ in channel.stream_stream(STREAM_FILLS)(requests()):
                was_open = True
                _open.release()
        except grpc.RpcError:
            _over.wait(_RETRY_S)


def _messages(number: int) -> Iterator[bytes]:
    """Fills of a source and of accounts that no other stream has."""
    source, sequence = f"flood-{number}", 1
    for block in reference_fills(_FILLS, _ACCOUNTS):
        for start in range(0, len(block), FILLS_PER_MESSAGE):
            columns = columns_of(block.at(slice(start, start + FILLS_PER_MESSAGE)), f"F{number}-{{}}".format)
            batch = fill_service_pb2.RecordFillsRequest(source=source, first_sequence=sequence, columns=columns)
            yield fill_service_pb2.StreamFillsRequest(batch=batch).SerializeToString()
            sequence += FILLS_PER_MESSAGE


_KINDS: Final = {"waiting": _waiting, "pages": _pages, "streams": _flood, "idle_streams": _idle}

if __name__ == "__main__":
    main()
