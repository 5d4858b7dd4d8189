"""R14: trials that have ended and whose volume was not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.evaluation import trials_to_evaluate
from ledger.domain.state.account import fold_account
from ledger.domain.streams import account_stream
from projections.controls.open_items import OpenItem, open_until_done
from projections.controls.scope import Control, Finding, Scope, instant_text

_TRIALS: Final = """
SELECT account_id, grant_id, ends_ns FROM {read}.trials
WHERE programme_id = %(programme)s AND ends_ns <= %(at)s AND evaluated_position IS NULL
"""


def _find(scope: Scope) -> Iterator[Finding]:
    return open_until_done(scope, (_item(row) for row in scope.rows(_TRIALS) if _is_followed(scope, *row[:2])))


def _is_followed(scope: Scope, account_id: str, grant_id: str) -> bool:
    """Return False for a trial that was revoked, or that a flag ended: nobody evaluates it (R14)."""
    account = fold_account(account_id, scope.log.streams([account_stream(account_id)], scope.log.head().position))
    followed = trials_to_evaluate(account, scope.programme.programme_id, scope.as_of_ns)
    return grant_id in {trial.grant_id for trial in followed}


def _item(row: tuple[str, str, int]) -> OpenItem:
    account_id, grant_id, ends_ns = row
    finding = Finding(
        subject=f"{account_id}/{grant_id}",
        message=f"the trial of {account_id} ended {instant_text(ends_ns)} and its volume was not evaluated",
        account_id=account_id,
        time_ns=ends_ns,
        details={"grant_id": grant_id},
    )
    return OpenItem(ends_ns, None, finding)


CONTROL: Final = Control(
    "trials-open", "trials that have ended and were not evaluated (R14), until they are", _find, oldest_first=True
)
