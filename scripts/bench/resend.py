"""How long others wait while an engine sends 1,000 fills again, into an account-day of a great many."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Final, TypeAlias

import grpc

from ledger.domain.instants import DAY_NS, day_text
from ledger.server.fills.read_columns import fill_reader
from ledger.v1.fill_pb2 import FillRef
from ledger.v1.fill_service_pb2 import RecordFillsRequest, RecordFillsResponse, StreamFillsRequest
from ledger.v1.query_service_pb2 import GetFillRequest, GetFillResponse
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import FILLS_PER_MESSAGE, Load, single_message, stream_load
from scripts.bench.paths import FILL, RECORD_FILLS
from scripts.bench.proc import peak_rss_mb
from scripts.bench.service import CALL_SECONDS_MAX, ledger, register
from scripts.bench.store import Store, check
from scripts.bench.stream import stream

_TURNS: Final = 5
_WATCHED_S_MAX: Final = 0.5  # the others' waits without a resend
_OTHERS_FILLS: Final = 100_000  # more than they send


class Resend:
    """One account, one source, one day; the same service, and one that has just started."""

    def __init__(self, fills: int, seconds: float) -> None:
        """`seconds` is how long the others are watched without a resend, 0.5 at most."""
        self._watched_s = min(seconds, _WATCHED_S_MAX)
        self._load = stream_load(fills, accounts=1, fills_per_message=FILLS_PER_MESSAGE)
        self.settings: Mapping[str, object] = {"resent_fills": FILLS_PER_MESSAGE, "resend_turns": _TURNS}

    def run(self, store: Store, schema: str) -> dict[str, list[float]]:
        """All turns of each form, on a ledger that was just written and on the same after a restart."""
        found: dict[str, list[float]] = {}
        others, forms = _others(), _forms(self._load)
        with ledger(store, schema) as served:
            register(served.channel)
            stream(served.channel, self._load.lanes[0].messages)
            call: _Call = served.channel.unary_unary(RECORD_FILLS)
            peak = peak_rss_mb(served.pid)
            for form, send in forms.items():
                found[f"resend.{form}_ms"] = [_growth_ms(call, others, send, self._watched_s) for _ in range(_TURNS)]
            found["resend.rss_mb"] = [peak_rss_mb(served.pid) - peak]
            found["resend.get_fill_ms"] = _one_fill_ms(served.channel, self._load)
        for form, send in forms.items():
            with ledger(store, schema) as served:
                call = served.channel.unary_unary(RECORD_FILLS)
                call(next(others), timeout=CALL_SECONDS_MAX)
                found[f"resend.restarted.{form}_ms"] = [_growth_ms(call, others, send, self._watched_s)]
        return found


_Call: TypeAlias = "grpc.UnaryUnaryMultiCallable[bytes, bytes]"
_Send: TypeAlias = Callable[[_Call], None]


def _others() -> Iterator[bytes]:
    """Requests of somebody else, a fill each."""
    for number, block in zip(count(), reference_fills(_OTHERS_FILLS, 1), strict=False):
        for fill in messages_of(block):
            fill.account_id, fill.exec_id = "other", f"O{number}.{fill.exec_id}"
            yield single_message(fill)


def _forms(load: Load) -> dict[str, _Send]:
    """Return the batches that are sent again, by their names in the figures."""
    middle = StreamFillsRequest.FromString(load.lanes[0].messages[len(load.lanes[0].messages) // 2]).batch
    with_fees = _changed(middle, include_fees=True)
    unnumbered = _changed(middle, include_fees=False)
    unnumbered.source, unnumbered.first_sequence = "", 0
    other = _changed(middle, include_fees=True)
    other.columns.side = bytes(3 - side for side in middle.columns.side)
    return {
        "numbered": _sending(middle, replayed=FILLS_PER_MESSAGE),
        "with_fees": _sending(with_fees, replayed=FILLS_PER_MESSAGE),
        "unnumbered": _sending(unnumbered, replayed=FILLS_PER_MESSAGE),
        "conflicts": _sending(other, replayed=0),
    }


def _one_fill_ms(channel: grpc.Channel, load: Load) -> list[float]:
    """How many ms each of a few GetFill takes, from all over the day."""
    get, took, messages = channel.unary_unary(FILL), list[float](), load.lanes[0].messages
    for turn in range(_TURNS):
        columns = StreamFillsRequest.FromString(messages[turn * len(messages) // _TURNS]).batch.columns
        fill = fill_reader(columns)(0)
        day = day_text(fill.transact_time.ToNanoseconds() // DAY_NS)
        ref = FillRef(account_id=fill.account_id, day=day, exec_id=fill.exec_id)
        asked = GetFillRequest(fill_ref=ref).SerializeToString()
        began = time.perf_counter()
        answer = GetFillResponse.FromString(get(asked, timeout=CALL_SECONDS_MAX))
        took.append((time.perf_counter() - began) * 1_000)
        check(answer.line.fill_ref.exec_id == fill.exec_id, f"GetFill of {fill.exec_id} tells of another one")
    return took


def _changed(request: RecordFillsRequest, *, include_fees: bool) -> RecordFillsRequest:
    other = RecordFillsRequest.FromString(request.SerializeToString())
    other.include_fees = include_fees
    return other


def _sending(request: RecordFillsRequest, *, replayed: int) -> _Send:
    message = request.SerializeToString()

    def send(call: _Call) -> None:
        answer = RecordFillsResponse.FromString(call(message, timeout=CALL_SECONDS_MAX))
        check(answer.recorded == 0, "a fill that was sent again was recorded")
        check(answer.replayed in (replayed, FILLS_PER_MESSAGE), f"{answer.replayed} were replayed, not {replayed}")

    return send


def _growth_ms(call: _Call, others: Iterator[bytes], send: _Send, watched_s: float) -> float:
    """By how many ms the longest wait of somebody else grows while something is sent again."""
    alone = _waits(call, others, lambda: time.sleep(watched_s))
    beside = _waits(call, others, lambda: send(call))
    return max(max(beside) - statistics.median(alone), 0.0)


def _waits(call: _Call, others: Iterator[bytes], meanwhile: Callable[[], None]) -> list[float]:
    """How many ms each call of somebody else takes while something else is done, and a little before and after it."""
    over = threading.Event()
    waits: list[float] = []

    def go_on() -> None:
        while not over.is_set():
            began = time.perf_counter()
            call(next(others), timeout=CALL_SECONDS_MAX)
            waits.append((time.perf_counter() - began) * 1_000)

    caller = threading.Thread(target=go_on)
    caller.start()
    time.sleep(0.1)
    try:
        meanwhile()
    finally:
        over.set()
        caller.join()
    return waits
