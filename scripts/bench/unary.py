"""How many callers with one fill each the ledger serves: beside an empty method under the same callers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from ledger.v1 import fill_pb2
from ledger.v1.fill_service_pb2 import RecordFillsRequest, RecordFillsResponse
from scripts.bench.calls import Answers, Asked, Call, many_at_once
from scripts.bench.echo import COMMAND, ECHO
from scripts.bench.fills import Fills, joined, messages_of, reference_fills
from scripts.bench.load import ACCOUNTS, Load, single_message
from scripts.bench.paths import RECORD_FILLS
from scripts.bench.proc import process
from scripts.bench.service import Served, serving, trading_ledger
from scripts.bench.store import Store, check
from scripts.bench.verify import verify_log, verify_recorded

CALLERS: Final = 64
FEW_CALLERS, FILLS_PER_CALL = 2, 32  # as if processes before the service took the calls of as many callers
_FILLS_PER_S_MAX: Final = 20_000  # made beforehand for each second


class Unary:
    """RecordFills with one fill and no source, 64 in flight; slices of it and of the echo take turns.

    In others two callers send as many fills as that together.
    """

    def __init__(self, seconds: float, turns: int) -> None:
        self._seconds = seconds
        self._turns = turns
        self.settings: dict[str, object] = {
            "unary_callers": CALLERS,
            "unary_turns_per_round": turns,
            "unary_slice_seconds": seconds,
        }

    def run(self, store: Store, schema: str) -> dict[str, list[float]]:
        """All turns on one service; every figure has a value per turn."""
        found: dict[str, list[float]] = defaultdict(list)
        load, per_slice = Load([]), CALLERS + int(self._seconds * _FILLS_PER_S_MAX)
        fills = joined(reference_fills(2 * per_slice * self._turns, ACCOUNTS))
        with trading_ledger(store, schema) as served, serving(COMMAND) as empty:
            unary, echo = served.channel.unary_unary(RECORD_FILLS), empty.channel.unary_unary(ECHO)
            for turn in range(self._turns):
                some, others = (
                    fills.at(slice(at * per_slice, (at + 1) * per_slice)) for at in (2 * turn, 2 * turn + 1)
                )
                kinds: dict[str, Callable[[], _Slice]] = {
                    "echo": lambda: self._slice(empty, echo, [repeat(Asked(b""))] * CALLERS),
                    "unary": lambda sent=some: self._slice(served, unary, _feeds(sent, CALLERS, 1)),  # type: ignore[misc]
                    "few": lambda sent=others: self._slice(served, unary, _feeds(sent, FEW_CALLERS, FILLS_PER_CALL)),  # type: ignore[misc]
                }
                # Who goes first alternates, so that a drift of the machine favours nobody.
                done = {name: kinds[name]() for name in (kinds if turn % 2 == 0 else reversed(kinds))}
                _verify(done["unary"].answers, some, 1, load)
                _verify(done["few"].answers, others, FILLS_PER_CALL, load)
                for name, value in _figures(done).items():
                    found[name].append(value)
        verify_log(store, schema, load)
        return found

    def _slice(self, asked: Served, call: Call, feeds: Sequence[Iterable[Asked]]) -> _Slice:
        before_s = process(asked.pid).cpu_s
        answers = many_at_once(call, feeds, self._seconds, keep_each=1)
        return _Slice(answers, (process(asked.pid).cpu_s - before_s) * 1e6 / answers.count)


class _Slice(NamedTuple):
    """The answers of a slice, and the CPU of whoever gave them for each call."""

    answers: Answers
    cpu_us: float


def _figures(done: Mapping[str, _Slice]) -> dict[str, float]:
    unary, echo = done["unary"], done["echo"]
    return {
        "ingest.unary64.rps": unary.answers.rps,
        "ingest.unary64.cpu_us": unary.cpu_us,
        "limit.echo64_rps": echo.answers.rps,
        "limit.echo64_cpu_us": echo.cpu_us,
        "ratio.unary64_to_echo": unary.answers.rps / echo.answers.rps,
        "ingest.unary2x32.cpu_us": done["few"].cpu_us / FILLS_PER_CALL,
    }


def _feeds(sent: Fills, callers: int, fills_per_call: int) -> list[list[Asked]]:
    """Return the calls of each caller; what is expected of one is the place of its first fill."""
    messages = list(messages_of(sent))
    starts = range(0, len(messages) - fills_per_call + 1, fills_per_call)
    asked = [Asked(_message(messages[start : start + fills_per_call]), start) for start in starts]
    return [asked[caller::callers] for caller in range(callers)]


def _message(fills: Sequence[fill_pb2.Fill]) -> bytes:
    return single_message(fills[0]) if len(fills) == 1 else RecordFillsRequest(fills=fills).SerializeToString()


def _verify(recorded: Answers, sent: Fills, fills_per_call: int, load: Load) -> None:
    """Every call recorded its fills; what they were is added to the load."""
    for _, answer in recorded.kept:
        verify_recorded(fills_per_call, RecordFillsResponse.FromString(answer))
    check(len(recorded.kept) * fills_per_call < len(sent), f"the callers ran out of fills: {len(sent)} were made")
    firsts = np.array([asked.expected for asked, _ in recorded.kept])
    load.volume.add_fills(sent.at((firsts[:, None] + np.arange(fills_per_call)).ravel()))
