"""Screens about accounts: their state, their rates, and lists of them."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.cli.screens.layout import NONE, given, headline, instant, pairs, percent, table
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_pb2 import Flag, FlagKind, Grant


def state(found: pb.GetVipStateResponse) -> list[str]:
    """A VIP state: tier, rates, grants, bans."""
    source = f" ({found.grant.source} {found.grant.grant_id})" if found.HasField("grant") else ""
    banned = f", banned until {instant(found.ban.end_time)}" if found.banned else ""
    flagged = ", flagged" if found.flagged else ""
    until = _until(found.tier_until) if found.HasField("tier_until") else ""
    lines = headline(f"{found.account_id}: {found.tier or 'NONE'}{source}{until}{banned}{flagged}", found.basis)
    lines += _pending(found)
    if not found.known_account:
        lines.append("the ledger had never heard of this account")
    trial = "used" if found.trial_used else "not used"
    lines += pairs([
        ("owner", found.owner_id), ("parent account", found.parent_account_id), ("trial", trial),
        ("programme", f"{found.programme_id} {found.programme_version}".strip()),
    ])  # fmt: skip
    if found.rates:
        lines += ["", *rates_table(found.rates)]
    if found.grants:
        lines += ["", *table(("grant", "tier", "source", "from", "until", "revoked"), map(_grant_row, found.grants))]
    if found.bans:
        rows = [(ban.ban_id, instant(ban.start_time), instant(ban.end_time), ban.reason_code) for ban in found.bans]
        lines += ["", *table(("ban", "from", "until", "reason"), rows)]
    if found.flags:
        lines += ["", *flags_table(found.flags)]
    return lines


def _until(at: Timestamp) -> str:
    """Until when the tier stays, if nothing more is recorded."""
    return f" until {instant(at)}"


def _pending(found: pb.GetVipStateResponse | pb.GetRatesResponse) -> list[str]:
    """Tell what may change yet."""
    lines = []
    if found.evaluation_pending:
        since = instant(found.pending_evaluation_time)
        lines.append(f"its volume is to be evaluated as of {since}: the tier may change since")
    if found.reprice_in_progress:
        lines.append("its fills are being restated: fees and volume may change yet")
    return lines


def flags_table(flags: Iterable[Flag]) -> list[str]:
    """Flags of an account."""
    rows = [
        (flag.flag_id, flag_kind(flag), instant(flag.flagged_time), given(flag, "unflagged_time")) for flag in flags
    ]
    return table(("flag", "kind", "from", "until"), rows)


def flag_kind(flag: Flag) -> str:
    """Return what a flagged account is taken for: FAKE or ROBOT."""
    return FlagKind.Name(flag.kind).removeprefix("FLAG_KIND_")


def _grant_row(grant: Grant) -> tuple[str, ...]:
    until, revoked = given(grant, "valid_until"), given(grant, "revoked_time")
    return grant.grant_id, grant.tier, grant.source, instant(grant.valid_from), until, revoked


def rates_table(rates: Iterable[pb.ClassRates]) -> list[str]:
    """Rates by pair class, in percent."""
    rows = [(rate.pair_class or "none", percent(rate.maker_rate), percent(rate.taker_rate)) for rate in rates]
    return table(("class", ".maker %", ".taker %"), rows)


def rates(found: pb.GetRatesResponse) -> list[str]:
    """Show an account's rates of each class and pair, until when they hold, and its next evaluation."""
    banned = (", banned" if found.banned else "") + (", flagged" if found.flagged else "")
    until = _until(found.valid_until) if found.HasField("valid_until") else ""
    lines = headline(f"{found.account_id}: {found.tier or 'NONE'}{until}{banned}", found.basis)
    lines += [*_pending(found), "", *rates_table(found.rates), ""]
    if found.own_rates:
        own = [(one.symbol, percent(one.maker_rate), percent(one.taker_rate)) for one in found.own_rates]
        lines += [*table(("pair with own rates", ".maker %", ".taker %"), own), ""]
    missing = ", ".join(f"{close.asset} {close.day}" for close in found.missing_closes)
    lines += pairs([
        ("next evaluation", given(found, "next_evaluation_time")), ("its window from", given(found, "window_from")),
        ("counted so far", f"{found.volume} {found.volume_currency}" if found.volume else ""),
        ("closes it lacks", missing), ("tier it would give", found.projected_tier),
    ])  # fmt: skip
    volume = [("counts", sum_.notional, sum_.quote_currency, f"{sum_.lines:,}") for sum_ in found.counted]
    volume += [
        (f"not: {left.reason}", left.volume.notional, left.volume.quote_currency, f"{left.volume.lines:,}")
        for left in found.excluded
    ]
    rebates = [("earned", rebate.amount, rebate.currency) for rebate in found.rebates_earned]
    rebates += [("not: SELF_TRADE", lost.amount, lost.currency) for lost in found.rebates_suppressed]
    if volume:
        lines += ["", *table(("volume", ".amount", "currency", ">fills"), volume)]
    if rebates:
        lines += ["", *table(("rebates", ".amount", "currency"), rebates)]
    return lines


def accounts(found: Iterable[pb.AccountSummary]) -> list[str]:
    """A page of accounts."""
    rows = [
        (
            one.account_id, one.owner_id, one.parent_account_id or NONE, one.tier, one.grant_source or NONE,
            given(one, "tier_ends"), given(one, "ban_ends") if one.banned else NONE,
        )
        for one in found
    ]  # fmt: skip
    return table(("account", "owner", "parent", "tier", "source", "tier ends", "banned until"), rows)
