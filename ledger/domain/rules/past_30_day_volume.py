"""R5: all members get the tier of their past 30-day volume, as a grant from the evaluation on (A9, A31)."""

from __future__ import annotations

from datetime import date

from ledger.domain.instants import DAY_NS, day_start_ns, local_day
from ledger.domain.state.programme import NO_TIER, Programme


def evaluation_grant(programme: Programme, *, tier: str, evaluation_ns: int) -> tuple[int, int]:
    """Return [valid_from, valid_until) of the grant of an evaluation that gave a tier.

    It lasts for so many days from the evaluation (and the programme's delay) on, or for the next calendar month of
    the programme's zone. Every evaluation opens a grant of its own: `best_grant` says which counts (A7).
    """
    assert tier != NO_TIER
    if programme.grant_term == "next_calendar_month":
        day = local_day(evaluation_ns, programme.timezone)
        from_ns, until_ns = (day_start_ns(_first_of_month(day, later), programme.timezone) for later in (1, 2))
        return from_ns, until_ns
    from_ns = evaluation_ns + programme.effective_delay_ns
    return from_ns, from_ns + int(programme.grant_term[1:-1]) * DAY_NS


def evaluated_without(window: tuple[int, int], *, evaluation_ns: int, exec_ns: int, recorded_ns: int) -> bool:
    """Return True if a fill of the window was recorded too late for the evaluation, which stays as it was."""
    from_ns, until_ns = window
    return from_ns <= exec_ns < until_ns and recorded_ns >= evaluation_ns


def _first_of_month(day: date, later: int) -> date:
    """Return the first day of the month that comes so many months later."""
    years, month = divmod(day.month - 1 + later, 12)
    return date(day.year + years, month + 1, 1)
