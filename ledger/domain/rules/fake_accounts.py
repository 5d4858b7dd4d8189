"""R21: accounts detected to be fake, or created by a robot, enjoy no fee discounts and receive no rewards."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.state import Flag


def flagged_at(flags: Iterable[Flag], at_ns: int) -> Flag | None:
    """The flag in effect at an instant; of several the one that was raised first. While it runs no grant counts.

    From the un-flag on the remaining grants count again, until their original ends (A33).
    """
    running = (flag for flag in flags if flag.flagged_time_ns <= at_ns < flag.unflagged_time_ns)
    return min(running, key=lambda flag: flag.flagged_time_ns, default=None)
