"""Says what an audit looks at and what it does not, in words: that all agrees is said only of what it looked at."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.instants import DAY_NS, day_text, instant_text
from projections.audit.scope import Scope


def looked_at(scope: Scope) -> list[str]:
    """Return what a scope has decided again or read, for example ["the frame of the log", "every event"]."""
    found = ["the frame of the log"] if scope.has_frame else []
    if scope.is_whole:
        return [*found, "every event"]
    period, days = _period(scope), _days(scope)
    if not scope.accounts:
        return [*found, f"what took effect {period}", f"all fees of {days}"]
    whose = "this account" if len(scope.accounts) == 1 else "these accounts"
    return [
        *found,
        f"decisions and repricings of {whose}{period and f' that took effect {period}'}",
        f"its fees of {days}" if len(scope.accounts) == 1 else f"their fees of {days}",
        "what these rest on, as it is recorded: terms, registers, programmes, owners, closes",
    ]


def not_looked_at(scope: Scope) -> list[str]:
    """Return what an audit of the whole log would have looked at, too."""
    return list(_left_out(scope))


def _left_out(scope: Scope) -> Iterator[str]:
    if not scope.has_frame:
        yield "the frame of the log (--frame): gaps, all commits and requests, tracking, migrations"
    if scope.accounts:
        yield "registers, programmes and sources by themselves"
        yield "other accounts"
    elif not scope.is_whole:
        yield "sources"
    if scope.from_ns is not None or scope.until_ns is not None:
        yield "other times"


def _period(scope: Scope) -> str:
    first = "" if scope.from_ns is None else f"from {instant_text(scope.from_ns)} on"
    end = "" if scope.until_ns is None else f"before {instant_text(scope.until_ns)}"
    return " and ".join(filter(None, (first, end)))


def _days(scope: Scope) -> str:
    """Say which UTC days, for example "all UTC days since 2024-10-01"."""
    first, end = scope.first_day_ns, scope.end_day_ns
    first_day = "" if first is None else day_text(first // DAY_NS)
    last_day = "" if end is None else day_text(end // DAY_NS - 1)
    if first_day and first_day == last_day:
        return f"the UTC day {first_day}"
    since, until = first_day and f" from {first_day} on", last_day and f" up to {last_day}"
    return f"all UTC days{since}{until}"
