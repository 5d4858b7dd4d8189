"""When a term decides, and which time it records: two instants, where the log is ahead of the clock.

Recorded times rise strictly. After a commit that a clock far ahead recorded they cannot say what time it is; but
decisions must take effect by the right time. So a term whose clock is behind the log says in its WriterStarted when it
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
    """A term that began at `began_ns` and recorded that at `recorded_ns`: the same, unless the log was ahead."""

    began_ns: int = 0
    recorded_ns: int = 0

    @property
    def is_behind(self) -> bool:
        """Return True if its clock was behind the log at its beginning by more than clocks may differ."""
        return self.recorded_ns - self.began_ns > CLOCK_LEAP_NS

    @property
    def caught_up_ns(self) -> int:
        """The instant at which the clock has caught up with recorded time."""
        return self.began_ns + (self.recorded_ns - self.began_ns) * _SLOWER // (_SLOWER - 1)

    def recorded_at(self, now_ns: int) -> int:
        """Return the recorded time of a decision made now."""
        if not self.is_behind:
            return now_ns
        return max(now_ns, self.recorded_ns + (now_ns - self.began_ns) // _SLOWER)

    def decided_at(self, recorded_ns: int) -> int:
        """Return when the term made a decision that it recorded then: never later than it recorded it."""
        if not self.is_behind:
            return recorded_ns
        return min(recorded_ns, self.began_ns + (recorded_ns - self.recorded_ns) * _SLOWER)


class TermClocks:
    """The clocks of all terms of a log."""

    def __init__(self, ledger: Iterable[Recorded] = ()) -> None:
        """Take in events of the stream `ledger`."""
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
        """Return when an event was decided: when it was recorded, unless its term's clock was behind the log."""
        clock = self._of_term.get(envelope.writer_term)
        return clock.decided_at(envelope.recorded_time_ns) if clock else envelope.recorded_time_ns
