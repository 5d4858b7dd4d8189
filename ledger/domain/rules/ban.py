"""R22, R23: behaviour far from that of ordinary users bans API trading for 1 to 7 days. The tier is not touched."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.domain.events import AccountBanned, BanLifted
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import AccountState, Ban
from ledger.domain.state.programme import Programme


def running_ban(bans: Iterable[Ban], at_ns: int) -> Ban | None:
    """Return the ban in effect at an instant, the one that ends last where there are several."""
    running = [ban for ban in bans if ban.start_time_ns <= at_ns < ban.end_time_ns]
    return max(running, key=lambda ban: ban.end_time_ns) if running else None


def ban_account(
    account: AccountState,
    programmes: Iterable[Programme],
    *,
    days: int,
    start_time_ns: int,
    reason_code: str,
    evidence_positions: tuple[int, ...] = (),
) -> AccountBanned | Refusal:
    """Ban for [start, start + days), but never to an earlier end than that of a ban that runs at its start (A22).

    A ban is the account's, whatever the programmes it trades under: it has as many days as all of those in force allow.
    """
    limits = [(programme.ban_days_min, programme.ban_days_max) for programme in programmes]
    least, most = max(least for least, _ in limits), min(most for _, most in limits)
    if not least <= days <= most:
        return Refusal(Reason.BAN_DAYS_OUT_OF_RANGE, "days", f"{days} is not {least} to {most} whole days")
    running = running_ban(account.bans, start_time_ns)
    end_time_ns = start_time_ns + days * DAY_NS
    if running is not None:
        end_time_ns = max(end_time_ns, running.end_time_ns)
    return AccountBanned(account.next_ban_id, start_time_ns, end_time_ns, reason_code, evidence_positions)


def lift_ban(account: AccountState, *, lift_time_ns: int) -> BanLifted | Refusal:
    """End every ban that runs at the instant."""
    if running_ban(account.bans, lift_time_ns) is None:
        return Refusal(Reason.NOT_BANNED, "lift_time", f"no ban of {account.account_id} runs at this instant")
    return BanLifted(lift_time_ns)
