"""R14: trials that have ended and whose volume was not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from projections.controls.scope import Control, Finding, Scope, instant_text

_TRIALS: Final = """
SELECT account_id, grant_id, ends_ns FROM {read}.trials
WHERE programme_id = %(programme)s AND ends_ns <= %(at)s AND ends_ns > %(since)s AND evaluated_position IS NULL
ORDER BY account_id, grant_id
"""


def _find(scope: Scope) -> Iterator[Finding]:
    for account_id, grant_id, ends_ns in scope.rows(_TRIALS):
        yield Finding(
            subject=f"{account_id}/{grant_id}",
            message=f"the trial of {account_id} ended {instant_text(ends_ns)} and its volume was not evaluated",
            account_id=account_id,
            time_ns=ends_ns,
            details={"grant_id": grant_id},
        )


CONTROL: Final = Control("trials-open", "trials that have ended and were not evaluated (R14); looks back", _find)
