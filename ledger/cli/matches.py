"""Subcommands about matches: the fee rates of a VIP of other exchanges."""

from __future__ import annotations

from typing import Final

from ledger.cli.arguments import clocks, time_ns
from ledger.cli.members import MEMBERS
from ledger.cli.printing import at, show, write
from ledger.cli.screens import members as screens
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, TWO_PERSONS, at_time, evidence
from ledger.cli.subcommands import Options, argument
from ledger.client import Client

_MATCH: Final = argument("match", metavar="MATCH", help="as `request-match` answered it, for example m1")
_VOLUMES: Final = (
    argument("--spot", default="0", metavar="DECIMAL", help="volume on spot markets elsewhere (default 0)"),
    argument("--futures", default="0", metavar="DECIMAL", help="volume on futures markets elsewhere (default 0)"),
)


@MEMBERS.ask(
    "check-match",
    "whether an account may have the fee rates of a VIP of other exchanges",
    "check-match carol --spot 500000",
    rpcs=("CheckMatchEligibility",),
    arguments=(ACCOUNT, *_VOLUMES, PROGRAMME_ID),
    parents=(clocks,),
)
def _check_match(ledger: Client, options: Options) -> None:
    answer = ledger.check_match_eligibility(
        options.account,
        spot_volume=options.spot,
        futures_volume=options.futures,
        programme_id=options.programme,
        **at(options),
    )
    show(options, answer, lambda found: screens.match_check(found, options.account))


@MEMBERS.order(
    "request-match",
    "ask for the fee rates of a VIP of other exchanges",
    "request-match carol --venue okx --level VIP2 --from 2024-09-01 --until 2024-10-01 --spot 500000"
    f" --evidence {'0' * 63}1 --at 2024-10-01 --actor ops-6",
    notes="""\
The volume is that of exactly 30 days, up to the request or, by the packaged programme, up to 7 days
before it. Who is not approved in its days, 30 by the packaged programme, asks again.""",
    rpc="RequestMatch",
    arguments=(
        ACCOUNT,
        argument("--venue", dest="venues", action="append", required=True, metavar="ID",
                 help="an exchange; may be given again"),
        argument("--level", required=True, metavar="ID", help="held there, for example VIP2"),
        argument("--from", dest="period_from", type=time_ns, required=True, metavar="TIME", help="of the volume"),
        argument("--until", dest="period_until", type=time_ns, required=True, metavar="TIME", help="of the same"),
        *_VOLUMES,
        evidence(required=True),
        at_time("when it was asked for"),
        PROGRAMME_ID,
    ),
)  # fmt: skip
def _request_match(ledger: Client, options: Options) -> None:
    write(
        ledger.request_match,
        options,
        options.account,
        venues=options.venues,
        external_tier=options.level,
        period_from=options.period_from,
        period_until=options.period_until,
        spot_volume=options.spot,
        futures_volume=options.futures,
        evidence_sha256=options.evidence,
        request_time=options.at,
        programme_id=options.programme,
    )


@MEMBERS.order(
    "approve-match",
    "approve a match that another person requested",
    "approve-match carol m1 --at 2024-10-02 --actor ops-7 --approver ops-8 --reason 'the statement is genuine'",
    notes=TWO_PERSONS,
    rpc="ApproveMatch",
    arguments=(ACCOUNT, _MATCH, at_time("when")),
)
def _approve_match(ledger: Client, options: Options) -> None:
    write(ledger.approve_match, options, options.account, match_id=options.match, approve_time=options.at)


@MEMBERS.order(
    "reject-match",
    "say no to a match",
    "reject-match dave m1 --at 2024-10-02 EVIDENCE_FALSE",
    rpc="RejectMatch",
    arguments=(
        ACCOUNT,
        _MATCH,
        argument("reason_code", metavar="REASON_CODE", help="for example EVIDENCE_FALSE"),
        at_time("when"),
    ),
)
def _reject_match(ledger: Client, options: Options) -> None:
    write(ledger.reject_match, options, options.account, match_id=options.match, reason_code=options.reason_code,
          reject_time=options.at)  # fmt: skip
