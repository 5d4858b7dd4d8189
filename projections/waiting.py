"""Waiting for a position, as every read does: aside, no longer than its caller, and refused where too many wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NoReturn

from ledger.caller import caller

_PAUSE_S: Final = 0.002  # then longer, as long as half of what was waited for already
_PAUSE_S_MAX: Final = 0.03


def wait_until(reached: Callable[[], bool], wait_ms_max: int, refuse: Callable[[str], NoReturn]) -> None:
    """Return once `reached()` is true.

    After `wait_ms_max`, shortly before the caller's deadline, when the caller hangs up, or at once where too many wait
    already, `refuse(why)` is called: the end of a sentence, empty where the time was up.
    """
    who = caller()
    until_s = time.monotonic() + who.wait_s(wait_ms_max)
    with who.aside() as has_place:
        if not has_place:
            refuse(", and as many reads wait as may")
        pause_s = _PAUSE_S
        while not reached():
            left_s = until_s - time.monotonic()
            if left_s <= 0 or who.hung_up:
                refuse("")
            time.sleep(min(pause_s, left_s))
            pause_s = min(1.5 * pause_s, _PAUSE_S_MAX)
