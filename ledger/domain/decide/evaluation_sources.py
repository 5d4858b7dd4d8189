"""A31: the sources that an evaluation waits for, because they may still send fills from before its instant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.domain.rules.evaluation_days import evaluation_window
from ledger.domain.state.programme import Programme


class Sign(NamedTuple):
    """The sign of life of a source: times of its latest fill, and up to which it said to be complete; 0: none.

    `signed_ns` is when its last event was recorded. That is the writer's clock, which only moves on: the times of fills
    are the source's own, and old ones are sent after a break by a source that is very much alive.
    """

    source: str
    latest_time_ns: int
    complete_until_ns: int
    signed_ns: int

    @property
    def reached_ns(self) -> int:
        """The instant before which it has sent every fill; 0: it has not said how far it is."""
        return max(self.latest_time_ns, self.complete_until_ns)


def is_silent(sign: Sign, programme: Programme, now_ns: int) -> bool:
    """Return True if a source has given no sign of life for longer than the programme waits for one."""
    return 0 < programme.silent_after_ns < now_ns - sign.signed_ns


def waited_for(
    signs: Iterable[Sign], programme: Programme, instant_ns: int, now_ns: int, complete: Iterable[str] = ()
) -> list[Sign]:
    """Return the sources that hold up an evaluation: not past its instant, not silent, and not said to be `complete`.

    One that has sent nothing since the window began is taken to have ended. `now_ns` is when the signs were known.
    """
    begins_ns, _ = evaluation_window(programme, instant_ns)
    known_complete = set(complete)
    return [
        sign
        for sign in signs
        if sign.source not in known_complete
        and sign.reached_ns < instant_ns
        and not 0 < sign.reached_ns < begins_ns
        and not is_silent(sign, programme, now_ns)
    ]


def passed_by_all(signs: Iterable[Sign], programme: Programme, now_ns: int, complete: Iterable[str] = ()) -> int:
    """Return the latest instant up to now whose evaluation no source holds up; 0: one has not said how far it is."""
    waited = waited_for(signs, programme, now_ns, now_ns, complete)
    return min((sign.reached_ns for sign in waited), default=now_ns)
