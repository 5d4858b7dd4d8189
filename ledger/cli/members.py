"""Subcommands about members: applications, key account managers, metrics, flags."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ledger.cli.arguments import clocks, limit, number, time_ns
from ledger.cli.printing import at, page_size, send, show, show_pages, write
from ledger.cli.screens import members as screens
from ledger.cli.screens.layout import instant
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, TWO_PERSONS, at_time, evidence
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

MEMBERS: Final = Group("members")


@MEMBERS.ask(
    "membership",
    "flags, matches, applications, metrics and manager of an account",
    "membership alice",
    rpcs=("GetMembership",),
    arguments=(ACCOUNT,),
    parents=(clocks,),
)
def _membership(ledger: Client, options: Options) -> None:
    show(options, ledger.get_membership(options.account_id, **at(options)), screens.membership)


@MEMBERS.ask(
    "entitlements",
    "what a tier brings beside its rates",
    "entitlements alice --as-of 2024-11-15",
    rpcs=("GetEntitlements",),
    arguments=(ACCOUNT, PROGRAMME_ID),
    parents=(clocks,),
)
def _entitlements(ledger: Client, options: Options) -> None:
    answer = ledger.get_entitlements(options.account_id, programme_id=options.programme_id, **at(options))
    show(options, answer, lambda found: screens.entitlements(found, options.account_id))


@MEMBERS.order(
    "submit-application",
    "record an application for membership, whose ten business days then count",
    "submit-application frank --received 2024-09-02 --community",
    rpc="SubmitApplication",
    arguments=(
        ACCOUNT,
        argument("--received", type=time_ns, metavar="TIME", help="when it was received (default: now)"),
        argument("--community", action="store_true", help="the community is joined too; for information only"),
        argument("--lacks", choices=("account", "api-key", "form"), action="append", default=[],
                 help="a step that is not done; may be given again (default: all are done)"),
        PROGRAMME_ID,
    ),
)  # fmt: skip
def _submit_application(ledger: Client, options: Options) -> None:
    write(
        ledger.submit_application,
        options,
        options.account_id,
        received_time=options.received,
        account_opened="account" not in options.lacks,
        api_key_created="api-key" not in options.lacks,
        community_joined=options.community,
        form_submitted="form" not in options.lacks,
        programme_id=options.programme_id,
    )


MEMBERS.order(
    "verify-identity",
    "record that the identity of an API user is verified",
    "verify-identity frank",
    rpc="VerifyApiIdentity",
    arguments=(ACCOUNT, at_time("verified_time", "when")),
)(send)


@MEMBERS.ask(
    "applications",
    "applications that wait for an answer, the earliest deadline first",
    "applications --overdue",
    "applications --due-within 2",
    rpcs=("ListApplications",),
    arguments=(
        argument("--as-of", type=time_ns, metavar="TIME", help="as it is then (default: now)"),
        argument("--overdue", action=argparse.BooleanOptionalAction, help="past their deadline only, or not past it"),
        argument("--due-within", type=number(0, 1_000), metavar="DAYS", help="not overdue, and the deadline is at "
                 "most so many business days away"),
        PROGRAMME_ID,
    ),
    parents=(limit,),
)  # fmt: skip
def _applications(ledger: Client, options: Options) -> None:
    pages = ledger.application_pages(
        as_of=options.as_of,
        overdue=options.overdue,
        due_within_business_days=options.due_within,
        programme_id=options.programme_id,
        page_size=page_size(options),
    )

    def head(page: Any) -> list[str]:
        return [f"applications, in {page.ledger_id}", f"as of {instant(page.as_of)} UTC, position {page.position}"]

    show_pages(options, pages, "applications", head, screens.applications)


MEMBERS.order(
    "settle-application",
    "grant or decline an application; the tier itself is another command",
    "settle-application frank p1 granted",
    rpc="SettleApplication",
    arguments=(
        ACCOUNT,
        argument("application_id", metavar="APPLICATION", help="as `applications` shows it, for example p1"),
        argument("outcome", choices=("granted", "declined")),
        at_time("settle_time", "when"),
    ),
)(send)


MEMBERS.order(
    "assign-manager",
    "give an account its key account manager",
    "assign-manager alice kam-3 --at 2024-11-15",
    rpc="AssignKeyAccountManager",
    arguments=(
        ACCOUNT,
        argument("manager_id", metavar="MANAGER", help="by a pseudonymous id"),
        at_time("assign_time", "from when on"),
        PROGRAMME_ID,
    ),
)(send)


MEMBERS.order(
    "record-metric",
    "record what was measured of a behaviour, as evidence for a ban",
    "record-metric alice ORDER_SPAM 0.97 --from 2024-09-01 --until 2024-09-02",
    rpc="RecordBehaviourMetric",
    arguments=(
        ACCOUNT,
        argument("code", metavar="CODE", help="what was measured, for example ORDER_SPAM"),
        argument("value", metavar="DECIMAL", help="how much, in the metric's own unit"),
        argument("--from", dest="window_from", type=time_ns, required=True, metavar="TIME", help="first instant"),
        argument("--until", dest="window_until", type=time_ns, required=True, metavar="TIME",
                 help="first instant after it"),
    ),
)(send)  # fmt: skip


MEMBERS.order(
    "flag",
    "flag an account as fake: no grant counts until it is unflagged",
    "flag alice robot",
    rpc="FlagAccount",
    arguments=(
        ACCOUNT,
        argument("kind", choices=("fake", "robot"), help="what it is taken for"),
        evidence("evidence_sha256", required=False),
        at_time("flag_time", "from when on"),
    ),
)(send)


MEMBERS.order(
    "unflag",
    "end every running flag",
    "unflag alice --actor ops-7 --approver ops-8 --ticket T-19 --reason 'a person after all'",
    notes=TWO_PERSONS,
    rpc="UnflagAccount",
    arguments=(ACCOUNT, at_time("unflag_time", "when it ends")),
)(send)
