"""R21: accounts detected to be fake, or created by a robot, enjoy no fee discounts and receive no rewards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.domain.events import AccountFlagged, AccountUnflagged
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import AccountState, Flag

KINDS: Final = ("FAKE", "ROBOT")  # in the order of the enum FlagKind, which counts from 1


def flagged_at(flags: Iterable[Flag], at_ns: int) -> Flag | None:
    """Return the flag in effect at an instant, the first raised where there are several. While it runs no grant counts.

    From the un-flag on the remaining grants count again, until their original ends (A33).
    """
    running = [flag for flag in flags if flag.flagged_time_ns <= at_ns < flag.unflagged_time_ns]
    return min(running, key=lambda flag: flag.flagged_time_ns) if running else None


def refused_for_flag(account: AccountState, at_ns: int) -> Refusal | None:
    """Refuse discounts and rewards to an account while a flag runs."""
    flag = flagged_at(account.flags, at_ns)
    if flag is None:
        return None
    return Refusal(Reason.ACCOUNT_FLAGGED, "account_id", f"{account.account_id} is flagged: {flag.kind}")


def flag_account(
    account: AccountState, *, kind: str, flag_time_ns: int, evidence_sha256: bytes
) -> AccountFlagged | Refusal:
    """Raise a flag from an instant on, without an end; one of each kind runs at a time."""
    same = (flag for flag in account.flags if flag.kind == kind)
    if flagged_at(same, flag_time_ns) is not None:
        detail = f"{account.account_id} is flagged {kind} at this instant already"
        return Refusal(Reason.ACCOUNT_ALREADY_FLAGGED, "kind", detail)
    return AccountFlagged(account.next_flag_id, kind, flag_time_ns, evidence_sha256)


def unflag_account(account: AccountState, *, unflag_time_ns: int) -> AccountUnflagged | Refusal:
    """End every flag that runs at the instant."""
    if flagged_at(account.flags, unflag_time_ns) is None:
        return Refusal(Reason.NOT_FLAGGED, "unflag_time", f"no flag of {account.account_id} runs at this instant")
    return AccountUnflagged(unflag_time_ns)
