"""When a term decides, and which time it records: two instants, where the log is ahead of the clock.

Recorded times rise strictly. Behind a commit that a clock far ahead recorded they cannot say what time it is;
but decisions must take effect by the right time. So a term that begins behind the log says in its WriterStarted when it
began (`effective_time_ns`), and recorded time goes a thousand times slower from there on, until the clock has caught up
with it. The log tells when each commit was decided, to the microsecond: an audit decides it by that instant again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from ledger.domain.events import Envelope, Recorded, WriterStarted
from ledger.domain.instants import CLOCK_LEAP_NS

_SLOWER: Final = 1_000


class TermClock(NamedTuple):
    """A term that began at `began_ns`, and recorded that at `recorded_ns`; the same unless it began behind the log."""

    began_ns: int = 0
    recorded_ns: int = 0

    @property
    def is_behind(self) -> bool:
        """Return whether it began behind the log by more than clocks may differ."""
        return self.recorded_ns - self.began_ns > CLOCK_LEAP_NS

    @property
    def caught_up_ns(self) -> int:
        """When the clock has caught up with recorded time."""
        return self.began_ns + (self.recorded_ns - self.began_ns) * _SLOWER // (_SLOWER - 1)

    def recorded_at(self, now_ns: int) -> int:
        """The recorded time of what is decided now."""
        if not self.is_behind:
            return now_ns
        return max(now_ns, self.recorded_ns + (now_ns - self.began_ns) // _SLOWER)

    def decided_at(self, recorded_ns: int) -> int:
        """When it was decided what this term recorded then: never later than it was recorded."""
        if not self.is_behind:
            return recorded_ns
        return min(recorded_ns, self.began_ns + (recorded_ns - self.recorded_ns) * _SLOWER)


class TermClocks:
    """Those of all terms of a log."""

    def __init__(self, ledger: Iterable[Recorded] = ()) -> None:
        """`ledger` are events of the stream `ledger`."""
        self._of_term: dict[int, TermClock] = {}
        for recorded in ledger:
            self.take(recorded)

    def take(self, recorded: Recorded) -> None:
        """Take in one more event of the log; only WriterStarted matters."""
        if isinstance(recorded.event, WriterStarted):
            envelope = recorded.envelope
            clock = TermClock(envelope.effective_time_ns, envelope.recorded_time_ns)
            if clock.is_behind:
                self._of_term[recorded.event.term] = clock

    def decided_ns(self, envelope: Envelope) -> int:
        """When an event was decided: when it was recorded, but in a term that began behind the log."""
        clock = self._of_term.get(envelope.writer_term)
        return clock.decided_at(envelope.recorded_time_ns) if clock else envelope.recorded_time_ns
