"""Deadlines of applications (R13): ten business days, by the programme in force when the application was received."""

from __future__ import annotations

from ledger.domain.instants import DAY_NS
from ledger.domain.rules.application import clock_start_ns
from ledger.domain.rules.business_days import deadline_day
from ledger.domain.state.matches_and_applications import Application
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook


def deadline(book: Rulebook, application: Application, verified_time_ns: int) -> tuple[int | None, int | None]:
    """Return (when its clock starts, last UTC day in time); None: not yet, for want of verification."""
    programme = book.programme(application.programme_id, application.received_time_ns)
    assert isinstance(programme, Programme), application
    start_ns = clock_start_ns(programme, application.received_time_ns, verified_time_ns)
    return start_ns, None if start_ns is None else deadline_day(programme, start_ns // DAY_NS)


def overdue_from_ns(day: int) -> int:
    """Return the first instant after the last day in time."""
    return (day + 1) * DAY_NS
