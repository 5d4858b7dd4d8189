"""R11: 24/7 technical support and a 1v1 key account manager: what a tier entitles to beside its rates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.domain.events import KamAssigned
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.matches_and_applications import Assignment
from ledger.domain.state.programme import Programme

KEY_ACCOUNT_MANAGER: Final = "key_account_manager"


def entitlements(programme: Programme, tier: str) -> tuple[str, ...]:
    """Return what the programme attaches to a tier; nothing without one."""
    return tuple(programme.entitlements.get(tier, ()))


def manager_at(managers: Iterable[Assignment], at_ns: int) -> str:
    """Return who manages the account at an instant, the last recorded of two assigned at once. Empty: nobody."""
    manager_id, since_ns = "", -1
    for assignment in managers:
        if since_ns <= assignment.assigned_time_ns <= at_ns:
            manager_id, since_ns = assignment.manager_id, assignment.assigned_time_ns
    return manager_id


def assign_manager(programme: Programme, *, tier: str, manager_id: str, assign_time_ns: int) -> KamAssigned | Refusal:
    """Assign a manager to an account whose tier, at that instant, entitles to one."""
    if KEY_ACCOUNT_MANAGER not in entitlements(programme, tier):
        detail = f"tier {tier} of {programme.programme_id} has no {KEY_ACCOUNT_MANAGER}"
        return Refusal(Reason.NOT_ENTITLED, "account_id", detail)
    return KamAssigned(manager_id, assign_time_ns)
