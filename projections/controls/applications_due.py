"""R13: applications that wait for a decision and are overdue, or due soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.application_deadline import overdue_from_ns
from ledger.domain.instants import DAY_NS, day_text
from projections.controls.scope import Control, Finding, Scope

_WAITING: Final = """
SELECT account_id, application_id, deadline_day FROM {read}.applications
WHERE received_time_ns <= %(at)s AND (settled_time_ns IS NULL OR settled_time_ns > %(at)s)
    AND programme_id = %(programme)s AND clock_start_ns <= %(at)s AND deadline_day <= %(last_day)s
"""


def _find(scope: Scope) -> Iterator[Finding]:
    today = scope.as_of_ns // DAY_NS
    for account_id, application_id, day in scope.rows(_WAITING, last_day=today + scope.within_days):
        state = "is overdue since" if day < today else "is due by the end of"
        yield Finding(
            subject=f"{account_id}/{application_id}",
            message=f"application {application_id} of {account_id} {state} {day_text(day)}",
            account_id=account_id,
            time_ns=overdue_from_ns(day),
            details={"application_id": application_id, "last_day": day_text(day)},
        )


CONTROL: Final = Control(
    "applications-due", "applications that wait for a decision and are overdue, or due soon (R13); looks ahead", _find
)
