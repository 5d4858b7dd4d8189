"""R13: applications that wait for a decision and are overdue, or due soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.application_deadline import overdue_from_ns
from ledger.domain.instants import DAY_NS, day_text
from projections.controls.open_items import OpenItem, open_until_done
from projections.controls.scope import Control, Finding, Scope

_WAITING: Final = """
SELECT account_id, application_id, received_time_ns, settled_time_ns, deadline_day FROM {read}.applications
WHERE received_time_ns <= %(at)s AND (settled_time_ns IS NULL OR settled_time_ns > %(at)s)
    AND programme_id = %(programme)s AND clock_start_ns <= %(at)s AND deadline_day <= %(last_day)s
"""


def _find(scope: Scope) -> Iterator[Finding]:
    today = scope.as_of_ns // DAY_NS
    rows = scope.rows(_WAITING, last_day=today + scope.within_days)
    return open_until_done(scope, (_item(row, today) for row in rows))


def _item(row: tuple[str, str, int, int | None, int], today: int) -> OpenItem:
    account_id, application_id, received_ns, settled_ns, day = row
    state = "is overdue since" if day < today else "is due by the end of"
    finding = Finding(
        subject=f"{account_id}/{application_id}",
        message=f"application {application_id} of {account_id} {state} {day_text(day)}",
        account_id=account_id,
        time_ns=overdue_from_ns(day),
        details={"application_id": application_id, "last_day": day_text(day)},
    )
    return OpenItem(received_ns, settled_ns, finding)


CONTROL: Final = Control(
    "applications-due",
    "applications that wait for a decision and are due soon (R13), or overdue, until they are settled; looks ahead",
    _find,
    oldest_first=True,
)
