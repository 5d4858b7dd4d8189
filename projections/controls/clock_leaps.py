"""Recorded times that leap: under a clock that was wrong, or because nothing was recorded for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from psycopg.sql import SQL, Identifier

from ledger.domain.events import WriterStarted
from ledger.domain.instants import CLOCK_LEAP_NS, DAY_NS, LONG_NS
from ledger.domain.term_clock import TermClock
from projections.controls.scope import Control, Finding, Scope, instant_text

_LEAPS: Final = """
SELECT first_position, recorded_time_ns, before_ns FROM (
    SELECT first_position, recorded_time_ns,
        lag(recorded_time_ns, 1, (
            SELECT max(recorded_time_ns) FROM {schema}.commits WHERE recorded_time_ns < %(since)s
        )) OVER (ORDER BY last_position) AS before_ns
    FROM {schema}.commits WHERE recorded_time_ns >= %(since)s
) AS commit WHERE recorded_time_ns - before_ns > %(long)s ORDER BY first_position
"""
_AHEAD: Final = """
SELECT min(first_position), max(last_position), max(recorded_time_ns) FROM {schema}.commits
WHERE recorded_time_ns > %(now)s
"""


def _find(scope: Scope) -> Iterator[Finding]:
    for position, at_ns, before_ns in _rows(scope, _LEAPS, since=scope.since_ns, long=LONG_NS):
        days = (at_ns - before_ns) // DAY_NS
        yield Finding(
            subject=f"leap-{position}",
            message=f"nothing is recorded between {instant_text(before_ns)} and position {position} at"
            f" {instant_text(at_ns)}, {days} days later: the ledger stood still, or its clock leapt forward",
            time_ns=at_ns,
            details={"position": str(position), "days": str(days)},
        )
    yield from _ahead(scope)
    yield from _accepted(scope)


def _ahead(scope: Scope) -> Iterator[Finding]:
    """Find what was recorded, by its time, later than now: under a clock that was ahead, or after such a commit."""
    ((first, last, until_ns),) = _rows(scope, _AHEAD, now=scope.now_ns + CLOCK_LEAP_NS)
    if first is not None:
        until = instant_text(until_ns)
        yield Finding(
            subject=f"ahead-{first}",
            message=f"positions {first} to {last} are recorded later than now, the last at {until}: what took effect by"
            f" such a time is not in effect until the clock has reached it, and heals then",
            time_ns=until_ns,
            details={"first_position": str(first), "last_position": str(last), "until": until},
        )


def _accepted(scope: Scope) -> Iterator[Finding]:
    """Yield terms that began with --accept-clock, until the clock has caught up."""
    for recorded in scope.log.ledger():
        envelope, event = recorded.envelope, recorded.event
        clock = TermClock(envelope.effective_time_ns, envelope.recorded_time_ns)
        if isinstance(event, WriterStarted) and clock.is_behind and clock.caught_up_ns >= scope.since_ns:
            began = instant_text(clock.began_ns)
            yield Finding(
                subject=f"term-{event.term}",
                message=f"term {event.term} began at {began} by the clock, behind commits of"
                f" {instant_text(envelope.recorded_time_ns)}, and --accept-clock let it: its decisions take effect by"
                f" the clock, and its recorded times are ahead until {instant_text(clock.caught_up_ns)}",
                time_ns=clock.began_ns,
                details={"position": str(recorded.position), "began": began},
            )


def _rows(scope: Scope, statement: str, **parameters: int) -> list[tuple[int, ...]]:
    sql = SQL(statement).format(schema=Identifier(scope.schema))
    return scope.log.query(sql, parameters)


CONTROL: Final = Control(
    "clock-leaps", "recorded times that leap by over 7 days, or are ahead of the clock; looks back", _find
)
