"""A22: bans that follow each other without a gap, and together last longer than one ban may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ledger.domain.instants import DAY_NS
from projections.controls.scope import Control, Finding, Scope, instant_text

_BANS: Final = """
SELECT account_id, start_time_ns, end_time_ns FROM {read}.ban_intervals
WHERE start_time_ns < end_time_ns AND start_time_ns <= %(at)s ORDER BY account_id, start_time_ns
"""


def _find(scope: Scope) -> Iterator[Finding]:
    days_max = scope.programme.ban_days_max
    for account_id, start_ns, end_ns in _joined(scope.rows(_BANS)):
        if end_ns - start_ns > days_max * DAY_NS and end_ns > scope.since_ns:
            days = -(-(end_ns - start_ns) // DAY_NS)
            yield Finding(
                subject=f"{account_id}/{start_ns}",
                message=f"{account_id} is banned without a gap from {instant_text(start_ns)} to {instant_text(end_ns)}:"
                f" {days} days, one ban lasts at most {days_max}",
                account_id=account_id,
                time_ns=end_ns,
                details={"days": str(days)},
            )


def _joined(bans: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int, int]]:
    """Yield bans of an account that touch or overlap, as one; `bans` are by account and start."""
    running: tuple[str, int, int] | None = None
    for account_id, start_ns, end_ns in bans:
        if running and running[0] == account_id and start_ns <= running[2]:
            running = (account_id, running[1], max(running[2], end_ns))
            continue
        if running:
            yield running
        running = (account_id, start_ns, end_ns)
    if running:
        yield running


CONTROL: Final = Control(
    "continuous-bans",
    "bans that follow each other without a gap and together last longer than one ban may (A22); looks back",
    _find,
)
