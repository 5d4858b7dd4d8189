"""Screens about members: what an account is entitled to, its matches, applications and metrics."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.accounts import flags_table
from ledger.cli.screens.layout import NONE, given, headline, instant, name, pairs, table, verdict
from ledger.v1 import member_query_service_pb2 as pb
from ledger.v1.member_service_pb2 import ApplicationOutcome


def membership(found: pb.GetMembershipResponse) -> list[str]:
    """Everything the ledger knows of an account as a member."""
    lines = headline(f"membership of {found.account_id}", found.basis)
    lines += pairs([
        ("identity verified", given(found, "verified_time")),
        ("key account manager", found.manager_id or NONE),
    ])  # fmt: skip
    if found.flags:
        lines += ["", *flags_table(found.flags)]
    if found.matches:
        heads = ("match", "status", "tier", "venues", "level", ".spot", ".futures", "requested", "settled", "because")
        lines += ["", *table(heads, map(_match_row, found.matches))]
    if found.applications:
        columns = ("application", "received", "community", "deadline", "outcome", "settled")
        lines += ["", *table(columns, map(_application_row, found.applications))]
    if found.metrics:
        lines += ["", *table((">evidence", "metric", ".value", "from", "until"), map(_metric_row, found.metrics))]
    return lines


def _match_row(match: pb.Match) -> tuple[str, ...]:
    return (
        match.match_id, match.status, match.tier or NONE, " ".join(match.venues), match.external_tier,
        match.external_volume.spot, match.external_volume.futures, instant(match.requested_time),
        given(match, "settled_time"), match.refused_because or match.reason_code or NONE,
    )  # fmt: skip


def _application_row(one: pb.Application) -> tuple[str, ...]:
    return (
        one.application_id, instant(one.received_time), "joined" if one.community_joined else NONE,
        given(one, "deadline"), name(ApplicationOutcome, one.outcome) if one.outcome else "open",
        given(one, "settled_time"),
    )  # fmt: skip


def _metric_row(one: pb.BehaviourMetric) -> tuple[str, ...]:
    return str(one.position), one.code, one.value, instant(one.window_from), instant(one.window_until)


def match_check(found: pb.CheckMatchEligibilityResponse, account: str) -> list[str]:
    """Show if an account may have a match, and what it would be worth."""
    lines = headline(f"a match of {account}: {verdict(found.eligible, found.refused_because)}", found.basis)
    past = found.membership
    member = f"{past.tier} ({past.source} {past.grant_id}) until {given(past, 'valid_until')}"
    return lines + pairs([
        ("worth", found.tier),
        ("if approved then, from", given(found, "valid_from") if found.eligible else ""),
        ("until", given(found, "valid_until") if found.eligible else ""),
        ("member in the past 90 days", member if found.HasField("membership") else "no"),
    ])  # fmt: skip


def entitlements(found: pb.GetEntitlementsResponse, account: str) -> list[str]:
    """Show what a tier brings beside its rates."""
    return headline(f"{account}: {found.tier}", found.basis) + pairs([
        ("entitled to", ", ".join(found.entitlements) or "nothing beside its rates"),
        ("key account manager", found.manager_id or NONE),
    ])  # fmt: skip


def applications(found: Iterable[pb.ApplicationDue]) -> list[str]:
    """A page of applications that wait for an answer."""
    rows = [
        (one.account_id, one.application_id, given(one, "deadline"), "overdue" if one.overdue else "in time",
         instant(one.received_time), given(one, "verified_time"))
        for one in found
    ]  # fmt: skip
    return table(("account", "application", "deadline", "is", "received", "verified"), rows)
