"""Previews of what takes more than one commit: what the later ones would post, worked out beside the writer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ledger.caller import caller
from ledger.server.to_writer import ToWriter
from ledger.server.turns import Turns
from ledger.store.log import Log
from ledger.writing.foresee import Foreseen, Foresight
from ledger.writing.messages import Preview

_LOOK_UP_S: Final = 0.2  # between two looks of a wait whether the call is over


class LaterCommits:
    """Works that out for one preview at a time, over the log of readers, within the deadline of its caller.

    The others step aside until it is their turn, so that commands find threads.
    """

    def __init__(self, to_writer: ToWriter, log: Log) -> None:
        self._to_writer = to_writer
        self._log = log
        self._turns = Turns(1)

    def of(self, preview: Preview) -> Foreseen | None:
        """Return what later commits would post, as far as there was time; None: none would come."""
        foresight, who = Foresight(preview), caller()
        if not foresight.is_needed:
            return None
        until_s = time.monotonic() + who.wait_s(self._to_writer.config.preview_ms_max)

        def left_s() -> float:
            return 0.0 if who.hung_up else until_s - time.monotonic()

        with who.aside() as has_place:
            if has_place and self._take_turn(left_s):
                try:
                    self._work_out(foresight, left_s)
                finally:
                    self._turns.leave()
        return foresight.found

    def _take_turn(self, left_s: Callable[[], float]) -> bool:
        while (wait_s := left_s()) > 0:
            if self._turns.take(min(wait_s, _LOOK_UP_S)):
                return True
        return False

    def _work_out(self, foresight: Foresight, left_s: Callable[[], float]) -> None:
        """Work out part by part, while more time is left than the longest part took."""
        longest_s, began_s = 0.0, time.monotonic()
        for _ in foresight.parts(self._log):
            took_s = time.monotonic() - began_s
            longest_s = max(longest_s, took_s)
            if self._to_writer.is_busy:  # others come first: rest as long as this took
                time.sleep(max(min(took_s, left_s()), 0))
            if left_s() <= longest_s:
                return
            began_s = time.monotonic()
