"""R4, R7: accounts of which fills name another owner than the one they are registered under, or more than one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.events import OwnerNamed
from ledger.domain.state.owners import NAMED_MAX
from ledger.domain.streams import account_of
from projections.controls.scope import Control, Finding, Scope

_REGISTERED: Final = """
SELECT account_id, owner_id FROM {read}.accounts WHERE account_id = ANY(%(accounts)s) AND registered_time_ns <= %(at)s
"""


def _find(scope: Scope) -> Iterator[Finding]:
    """Look at namings of any age: an owner that fills named once counts for life."""
    named: dict[str, dict[str, int]] = {}  # by account, then by owner: when the first fill traded that names it
    for recorded in scope.log.account_events(("OwnerNamed",), scope.log.head().position):
        assert isinstance(recorded.event, OwnerNamed), recorded
        if recorded.envelope.effective_time_ns <= scope.as_of_ns:
            of_account = named.setdefault(account_of(recorded.stream), {})
            of_account.setdefault(recorded.event.owner_id, recorded.envelope.effective_time_ns)
    registered = dict(scope.rows(_REGISTERED, accounts=sorted(named))) if named else {}
    for account_id, owners in sorted(named.items()):
        under = registered.get(account_id, "")
        others = [owner_id for owner_id in owners if owner_id != under]
        if others and (under or len(others) > 1):
            yield _finding(account_id, under, others, max(owners[owner_id] for owner_id in others))


def _finding(account_id: str, under: str, others: list[str], time_ns: int) -> Finding:
    names = ", ".join(others)
    registered = f"it is registered under {under}" if under else "it is not registered"
    full = f"; that are {NAMED_MAX}, and more are not recorded" if len(others) >= NAMED_MAX else ""
    owners = "owner" if len(others) == 1 else "owners"
    return Finding(
        subject=account_id,
        message=f"fills of {account_id} name the {owners} {names}{full}; {registered}",
        account_id=account_id,
        time_ns=time_ns,
        details={"owners": names, "registered_owner": under},
    )


CONTROL: Final = Control(
    "several-owners",
    "accounts of which fills name an owner that they are not registered under, or more than one (R4, R7); looks at all",
    _find,
)
