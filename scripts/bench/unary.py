"""How many callers with one fill each the ledger serves: beside an empty method under the same callers."""

from __future__ import annotations

from itertools import repeat
from typing import Final

import numpy as np

from ledger.v1.fill_service_pb2 import RecordFillsResponse
from scripts.bench.calls import Answers, Asked, Call, many_at_once
from scripts.bench.echo import COMMAND, ECHO
from scripts.bench.fills import Fills, joined, messages_of, reference_fills
from scripts.bench.load import ACCOUNTS, Load, single_message
from scripts.bench.paths import RECORD_FILLS
from scripts.bench.service import serving, trading_ledger
from scripts.bench.store import Store, check
from scripts.bench.verify import verify_log, verify_recorded

CALLERS: Final = 64
_FILLS_PER_S_MAX: Final = 20_000  # made beforehand for each second


class Unary:
    """RecordFills with one fill and no source, 64 in flight; slices of it and of the echo take turns."""

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
        found: dict[str, list[float]] = {"ingest.unary64.rps": [], "ratio.unary64_to_echo": []}
        load, per_turn = Load([]), CALLERS + int(self._seconds * _FILLS_PER_S_MAX)
        fills = joined(reference_fills(per_turn * self._turns, ACCOUNTS))
        with trading_ledger(store, schema) as served, serving(COMMAND) as empty:
            unary, echo = served.channel.unary_unary(RECORD_FILLS), empty.channel.unary_unary(ECHO)
            for turn in range(self._turns):
                sent = fills.at(slice(turn * per_turn, (turn + 1) * per_turn))
                recorded, echo_rps = self._turn(unary, echo, sent, echo_first=turn % 2 == 0)
                _verify(recorded, sent, load)
                found["ingest.unary64.rps"].append(recorded.rps)
                found["ratio.unary64_to_echo"].append(recorded.rps / echo_rps)
                self.settings["echo_rps_of_64_callers"] = round(echo_rps)
        verify_log(store, schema, load)
        return found

    def _turn(self, unary: Call, echo: Call, sent: Fills, *, echo_first: bool) -> tuple[Answers, float]:
        """Return what was recorded, and the calls/s of the echo; who goes first alternates."""
        asked = [Asked(single_message(fill), place) for place, fill in enumerate(messages_of(sent))]
        feeds = [asked[caller::CALLERS] for caller in range(CALLERS)]
        if echo_first:
            echo_rps = self._echo(echo)
            return many_at_once(unary, feeds, self._seconds, keep_each=1), echo_rps
        return many_at_once(unary, feeds, self._seconds, keep_each=1), self._echo(echo)

    def _echo(self, echo: Call) -> float:
        return many_at_once(echo, [repeat(Asked(b""))] * CALLERS, self._seconds, keep_each=1).rps


def _verify(recorded: Answers, sent: Fills, load: Load) -> None:
    """Every call recorded its fill; what it was is added to the load."""
    for _, answer in recorded.kept:
        verify_recorded(1, RecordFillsResponse.FromString(answer))
    check(len(recorded.kept) < len(sent), f"the callers ran out of fills: {len(sent)} were made")
    load.volume.add_fills(sent.at(np.array([asked.expected for asked, _ in recorded.kept])))
