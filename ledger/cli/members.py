"""Subcommands about members: applications, key account managers, metrics, flags."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ledger.cli.arguments import clocks, limit, number, time_ns
from ledger.cli.printing import at, page_size, show, show_pages, write
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
    show(options, ledger.get_membership(options.account, **at(options)), screens.membership)


@MEMBERS.ask(
    "entitlements",
    "what a tier brings beside its rates",
    "entitlements alice --as-of 2024-11-15",
    rpcs=("GetEntitlements",),
    arguments=(ACCOUNT, PROGRAMME_ID),
    parents=(clocks,),
)
def _entitlements(ledger: Client, options: Options) -> None:
    answer = ledger.get_entitlements(options.account, programme_id=options.programme, **at(options))
    show(options, answer, lambda found: screens.entitlements(found, options.account))


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
        options.account,
        received_time=options.received,
        account_opened="account" not in options.lacks,
        api_key_created="api-key" not in options.lacks,
        community_joined=options.community,
        form_submitted="form" not in options.lacks,
        programme_id=options.programme,
    )


@MEMBERS.order(
    "verify-identity",
    "record that the identity of an API user is verified",
    "verify-identity frank",
    rpc="VerifyApiIdentity",
    arguments=(ACCOUNT, at_time("when")),
)
def _verify_identity(ledger: Client, options: Options) -> None:
    write(ledger.verify_api_identity, options, options.account, verified_time=options.at)


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
        programme_id=options.programme,
        page_size=page_size(options),
    )

    def head(page: Any) -> list[str]:
        return [f"applications, in {page.ledger_id}", f"as of {instant(page.as_of)} UTC, position {page.position}"]

    show_pages(options, pages, "applications", head, screens.applications)


@MEMBERS.order(
    "settle-application",
    "grant or decline an application; the tier itself is another command",
    "settle-application frank p1 granted",
    rpc="SettleApplication",
    arguments=(
        ACCOUNT,
        argument("application", metavar="APPLICATION", help="as `applications` shows it, for example p1"),
        argument("outcome", choices=("granted", "declined")),
        at_time("when"),
    ),
)
def _settle_application(ledger: Client, options: Options) -> None:
    write(ledger.settle_application, options, options.account, application_id=options.application,
          outcome=options.outcome.upper(), settle_time=options.at)  # fmt: skip


@MEMBERS.order(
    "assign-manager",
    "give an account its key account manager",
    "assign-manager alice kam-3 --at 2024-11-15",
    rpc="AssignKeyAccountManager",
    arguments=(
        ACCOUNT,
        argument("manager", metavar="MANAGER", help="by a pseudonymous id"),
        at_time("from when on"),
        PROGRAMME_ID,
    ),
)
def _assign_manager(ledger: Client, options: Options) -> None:
    write(ledger.assign_key_account_manager, options, options.account, manager_id=options.manager,
          assign_time=options.at, programme_id=options.programme)  # fmt: skip


@MEMBERS.order(
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
)  # fmt: skip
def _record_metric(ledger: Client, options: Options) -> None:
    write(ledger.record_behaviour_metric, options, options.account, code=options.code, value=options.value,
          window_from=options.window_from, window_until=options.window_until)  # fmt: skip


@MEMBERS.order(
    "flag",
    "flag an account as fake: no grant counts until it is unflagged",
    "flag alice robot",
    rpc="FlagAccount",
    arguments=(
        ACCOUNT,
        argument("kind", choices=("fake", "robot"), help="what it is taken for"),
        evidence(required=False),
        at_time("from when on"),
    ),
)
def _flag(ledger: Client, options: Options) -> None:
    write(ledger.flag_account, options, options.account, kind=options.kind.upper(), flag_time=options.at,
          evidence_sha256=options.evidence)  # fmt: skip


@MEMBERS.order(
    "unflag",
    "end every running flag",
    "unflag alice --actor ops-7 --approver ops-8 --ticket T-19 --reason 'a person after all'",
    notes=TWO_PERSONS,
    rpc="UnflagAccount",
    arguments=(ACCOUNT, at_time("when it ends")),
)
def _unflag(ledger: Client, options: Options) -> None:
    write(ledger.unflag_account, options, options.account, unflag_time=options.at)
