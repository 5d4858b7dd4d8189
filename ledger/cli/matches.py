"""Subcommands about matches: the fee rates of a VIP of other exchanges."""

from __future__ import annotations

from typing import Final

from ledger.cli.arguments import clocks, time_ns
from ledger.cli.members import MEMBERS
from ledger.cli.printing import at, send, show
from ledger.cli.screens import members as screens
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, TWO_PERSONS, at_time, evidence
from ledger.cli.subcommands import Options, argument
from ledger.client import Client

_MATCH: Final = argument("match_id", metavar="MATCH", help="as `request-match` answered it, for example m1")
_VOLUMES: Final = (
    argument("--spot", dest="spot_volume", default="0", metavar="DECIMAL",
             help="volume on spot markets elsewhere (default 0)"),
    argument("--futures", dest="futures_volume", default="0", metavar="DECIMAL",
             help="volume on futures markets elsewhere (default 0)"),
)  # fmt: skip


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
        options.account_id,
        spot_volume=options.spot_volume,
        futures_volume=options.futures_volume,
        programme_id=options.programme_id,
        **at(options),
    )
    show(options, answer, lambda found: screens.match_check(found, options.account_id))


MEMBERS.order(
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
        argument("--level", dest="external_tier", required=True, metavar="ID", help="held there, for example VIP2"),
        argument("--from", dest="period_from", type=time_ns, required=True, metavar="TIME", help="of the volume"),
        argument("--until", dest="period_until", type=time_ns, required=True, metavar="TIME", help="of the same"),
        *_VOLUMES,
        evidence("evidence_sha256", required=True),
        at_time("request_time", "when it was asked for"),
        PROGRAMME_ID,
    ),
)(send)  # fmt: skip


MEMBERS.order(
    "approve-match",
    "approve a match that another person requested",
    "approve-match carol m1 --at 2024-10-02 --actor ops-7 --approver ops-8 --reason 'the statement is genuine'",
    notes=TWO_PERSONS,
    rpc="ApproveMatch",
    arguments=(ACCOUNT, _MATCH, at_time("approve_time", "when")),
)(send)


MEMBERS.order(
    "reject-match",
    "say no to a match",
    "reject-match dave m1 --at 2024-10-02 EVIDENCE_FALSE",
    rpc="RejectMatch",
    arguments=(
        ACCOUNT,
        _MATCH,
        argument("reason_code", metavar="REASON_CODE", help="for example EVIDENCE_FALSE"),
        at_time("reject_time", "when"),
    ),
)(send)
