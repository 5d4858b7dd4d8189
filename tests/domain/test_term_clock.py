"""A term that begins behind the log: what it records rises, and tells when it was decided."""

from __future__ import annotations

from ledger.domain.events import Envelope, Recorded, WriterStarted
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.term_clock import TermClock, TermClocks

NOW_NS = 20_000 * DAY_NS
AHEAD_NS = NOW_NS + 400 * DAY_NS
BEHIND = TermClock(NOW_NS, AHEAD_NS)


def test_recorded_time_says_when_it_was_decided_to_the_microsecond() -> None:
    last_ns = AHEAD_NS
    for later_ns in (0, 999, 1_000, SECOND_NS, DAY_NS + 7, 399 * DAY_NS, 400 * DAY_NS):
        recorded_ns = BEHIND.recorded_at(NOW_NS + later_ns)
        assert recorded_ns >= last_ns
        assert 0 <= NOW_NS + later_ns - BEHIND.decided_at(recorded_ns) < 1_000
        last_ns = recorded_ns


def test_once_the_clock_has_caught_up_both_are_the_clock() -> None:
    at_ns = BEHIND.caught_up_ns
    assert AHEAD_NS < at_ns < AHEAD_NS + DAY_NS
    for later_ns in (1, SECOND_NS, DAY_NS):
        assert BEHIND.recorded_at(at_ns + later_ns) == at_ns + later_ns == BEHIND.decided_at(at_ns + later_ns)


def test_a_term_a_minute_behind_decides_by_what_it_records() -> None:
    clock = TermClock(NOW_NS, NOW_NS + 60 * SECOND_NS)
    assert not clock.is_behind
    assert clock.decided_at(NOW_NS + 60 * SECOND_NS) == NOW_NS + 60 * SECOND_NS


def test_of_a_log_each_event_is_decided_by_the_clock_of_its_term() -> None:
    started = [(1, NOW_NS, NOW_NS), (2, NOW_NS, AHEAD_NS)]
    clocks = TermClocks(
        Recorded(term, "ledger", term, Envelope(began_ns, recorded_ns, term), WriterStarted(term, ""))
        for term, began_ns, recorded_ns in started
    )
    assert clocks.decided_ns(Envelope(0, AHEAD_NS + 1, 1)) == AHEAD_NS + 1
    assert clocks.decided_ns(Envelope(0, AHEAD_NS + 1, 2)) == NOW_NS + 1_000
