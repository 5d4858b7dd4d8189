"""How fast the ledger takes fills as it is friendly to send them: RecordFills with a message per fill."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from ledger.v1.fill_service_pb2 import RecordFillsResponse
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, Lane, row_load
from scripts.bench.members import MINUTE_NS, SCHEMA, members_ledger
from scripts.bench.paths import RECORD_FILLS
from scripts.bench.service import CALL_SECONDS_MAX
from scripts.bench.store import Failed, Store
from scripts.bench.verify import verify_answers, verify_log


class RowLoad:
    """1,000 members, 1,000 fills per message, several messages in flight.

    Unary calls of one channel may arrive in any order, and a source's messages must not: so each message in flight is
    of a source of its own, a lane, which sends its next message when the last one was acknowledged.
    """

    def __init__(self, fills: int, lanes: int) -> None:
        self._fills = fills
        self._load = row_load(
            fills, accounts=ACCOUNTS, fills_per_message=FILLS_PER_MESSAGE, lanes=lanes, span_ns=MINUTE_NS
        )
        self.settings: Mapping[str, object] = {
            "rows_members": ACCOUNTS,
            "fills_per_message": FILLS_PER_MESSAGE,
            "lanes": len(self._load.lanes),
        }

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round on a copy of the ledger with the members."""
        with members_ledger(store, ACCOUNTS) as (own, served):
            seconds, answers = send(served.channel, self._load.lanes)
            verify_answers(served.channel, self._load, answers)
            verify_log(own, SCHEMA, self._load)
        return {"ingest.rows.fills_per_s": self._fills / seconds}


def send(channel: grpc.Channel, lanes: Sequence[Lane]) -> tuple[float, list[list[RecordFillsResponse]]]:
    """Seconds from the first message to the last acknowledgement, and the answers of each lane."""
    # Bytes in and out: the client must not take the server's time.
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(RECORD_FILLS)
    start = threading.Barrier(len(lanes) + 1)

    def run(lane: Lane) -> tuple[float, list[bytes]]:
        start.wait()
        answers = [call(message, timeout=CALL_SECONDS_MAX) for message in lane.messages]
        return time.perf_counter(), answers

    with ThreadPoolExecutor(len(lanes)) as pool:
        futures = [pool.submit(run, lane) for lane in lanes]
        start.wait()
        began = time.perf_counter()
        try:
            results = [future.result() for future in futures]
        except BaseException as error:
            channel.close()  # or the other lanes would go on to their ends
            if isinstance(error, grpc.RpcError):
                raise Failed(f"RecordFills ended with {error.code().name}: {error.details()}") from error
            raise
    seconds = max(ended for ended, _ in results) - began
    return seconds, [list(map(RecordFillsResponse.FromString, answers)) for _, answers in results]
