"""The wall clock, watched by the boot clock: a leap is noticed before anything is recorded under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from ledger.domain.instants import CLOCK_LEAP_NS, DAY_NS, LONG_NS, SECOND_NS, instant_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.term_clock import TermClock

# It goes on while the machine sleeps and never leaps; the monotonic clock, where there is none, stops in sleep.
_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SLEW_DIVISOR: Final = (
    1_000  # the pair follows a wall clock that is set by a little by 1 ms a second; NTP slews by half
)
_FOLLOW_EVERY_NS: Final = 1_000_000  # seldomer than calls come: to follow takes a third of the time of a look


def boot_ns() -> int:
    """Nanoseconds since the machine was started; comparable within this machine only."""
    return time.clock_gettime_ns(_BOOT_CLOCK)


class Time(NamedTuple):
    """The time as far as it can be trusted, and by how much the wall clock has leapt: forward if positive, 0 if not."""

    now_ns: int
    leap_ns: int


class WallClock:
    """Nanoseconds since 1970 UTC, with the boot clock beside it. Safe for use by several threads.

    At the start both are read as a pair. From then on they must go on alike: where they are over 60 s apart
    (CLOCK_LEAP_NS), one was set. Differences up to that are taken for corrections: the pair follows them by at most
    1 ms in each second of the boot clock, so that they may add up over months, but not within minutes. While the clock
    leaps the pair stands still; the leap is over once the wall clock is back.
    """

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, boot_clock_ns: Callable[[], int] = boot_ns) -> None:
        self._wall_ns = wall_ns
        self._boot_ns = boot_clock_ns
        self._mutex = threading.Lock()
        self._seen_ns = boot_clock_ns()
        self._offset_ns = wall_ns() - self._seen_ns

    def read(self) -> Time:
        """Both clocks now. While the wall clock is wrong, the earlier of it and of what it should say."""
        with self._mutex:
            boot, wall = self._boot_ns(), self._wall_ns()
            apart_ns = wall - boot - self._offset_ns
            if abs(apart_ns) > CLOCK_LEAP_NS:
                return Time(min(wall, wall - apart_ns), apart_ns)
            if boot - self._seen_ns >= _FOLLOW_EVERY_NS:
                most_ns = (boot - self._seen_ns) // _SLEW_DIVISOR
                self._offset_ns += max(-most_ns, min(apart_ns, most_ns))
                self._seen_ns = boot
        return Time(wall, 0)

    def now_ns(self) -> int:
        """Now, for whoever reads: never later than the wall clock, and unmoved by its leaps forward."""
        return self.read().now_ns

    @property
    def leaped(self) -> bool:
        """Return whether the wall clock is over 60 s from where the boot clock says that it should be."""
        return bool(self.read().leap_ns)


def leap_refusal(leap_ns: int) -> Refusal:
    """Return what a command is told while the wall clock is wrong by so much."""
    way = "ahead of" if leap_ns > 0 else "behind"
    detail = (
        f"the clock of this machine is {abs(leap_ns) // SECOND_NS} s {way} what it should say: nothing is recorded"
        " until it is right again; if it is right now and was wrong before, restart the service"
    )
    return Refusal(Reason.CLOCK_LEAP, "", detail, {"leap_seconds": str(leap_ns // SECOND_NS)})


class ClockLeapError(Exception):
    """Nothing may be recorded: the clock is wrong, or was so when the last commit was recorded. One line."""


def check_clock(clock: WallClock, recorded_ns: int, *, accepted: bool) -> None:
    """Raise ClockLeapError where a term must not begin after a last commit that was recorded at `recorded_ns`.

    `accepted`: somebody has looked at the clock, and the log is what is wrong.
    """
    now_ns, leap_ns = clock.read()
    if leap_ns:
        raise ClockLeapError(f"CLOCK_LEAP: {leap_refusal(leap_ns).detail}")
    if recorded_ns - now_ns > CLOCK_LEAP_NS and not accepted:
        raise ClockLeapError(
            f"CLOCK_LEAP: the last commit was recorded at {instant_text(recorded_ns)}, and the clock says"
            f" {instant_text(now_ns)}: set the clock, or, if it is right and was wrong then, start with --accept-clock"
        )


def check_other_clock(clock: WallClock, store_ns: int) -> None:
    """Raise ClockLeapError where this clock and that of PostgreSQL are not both right."""
    now_ns = clock.now_ns()
    if abs(store_ns - now_ns) > CLOCK_LEAP_NS:
        raise ClockLeapError(
            f"CLOCK_LEAP: the clock of this machine says {instant_text(now_ns)}, that of PostgreSQL"
            f" {instant_text(store_ns)}: set the one that is wrong"
        )


def lines_at_start(recorded_ns: int, now_ns: int) -> tuple[str, ...]:
    """Return what a person should know where the last commit and the clock are far apart."""
    last = f"the last commit was recorded at {instant_text(recorded_ns)}"
    if now_ns - recorded_ns > LONG_NS:
        days = (now_ns - recorded_ns) // DAY_NS
        return (f"{last}, {days} days ago by the clock: if that is not so, stop the service and set the clock",)
    if recorded_ns - now_ns > CLOCK_LEAP_NS:
        until = instant_text(TermClock(now_ns, recorded_ns).caught_up_ns // SECOND_NS * SECOND_NS)
        return (f"{last}, later than the clock, which is accepted: recorded times go slowly until {until}",)
    return ()
