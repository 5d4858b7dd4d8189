"""Subcommands for those who watch over a ledger: closes, evaluations, and who did what alone."""

from __future__ import annotations

from typing import Final

from ledger.cli.arguments import UINT64_MAX, clocks, limit, number, time_ns
from ledger.cli.printing import at, page_size, send, show, show_pages
from ledger.cli.screens import evaluations as evaluation_screens
from ledger.cli.screens import oversight as screens
from ledger.cli.screens.layout import headline
from ledger.cli.shared import PROGRAMME_ID, evidence, time_span
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

OVERSIGHT: Final = Group("oversight")


OVERSIGHT.order(
    "record-close",
    "record the close of an asset on a UTC day, or restate it",
    f"record-close BTC 2024-10-01 61234.5 --source binance-1d --evidence {'0' * 63}1",
    rpc="RecordDailyClose",
    arguments=(
        argument("asset", metavar="ASSET", help="for example BTC"),
        argument("day", metavar="DAY", help="UTC day that has ended, for example 2024-10-01"),
        argument("price", metavar="DECIMAL", help="of one unit"),
        argument("--source", required=True, metavar="ID", help="where it comes from, for example binance-1d"),
        evidence("source_sha256", required=True),
        argument("--currency", default="", metavar="ID", help="of the price (default: that of the programme)"),
        argument("--restates", type=number(1, UINT64_MAX), default=0, metavar="POSITION",
                 help="of the close that this one replaces; it takes two persons"),
    ),
)(send)  # fmt: skip


@OVERSIGHT.ask(
    "closes",
    "daily closes that were known",
    "closes BTC --from 2024-09-08",
    rpcs=("ListCloses",),
    arguments=(
        argument("asset", metavar="ASSET", nargs="?", default="", help="default: all"),
        argument("--from", dest="from_day", default="", metavar="DAY", help="first UTC day"),
        argument("--until", dest="until_day", default="", metavar="DAY", help="first UTC day after the last one"),
        argument("--restated", action="store_true", help="those too that were replaced"),
    ),
    parents=(clocks, limit),
)
def _closes(ledger: Client, options: Options) -> None:
    pages = ledger.close_pages(options.asset, from_day=options.from_day, until_day=options.until_day,
                               include_restated=options.restated, page_size=page_size(options),
                               **at(options))  # fmt: skip
    show_pages(options, pages, "closes", lambda page: headline("closes", page.basis), evaluation_screens.closes)


@OVERSIGHT.ask(
    "evaluation",
    "an evaluation of volume and its runs",
    "evaluation",
    "evaluation --kind post-trial --instant 2024-11-01",
    rpcs=("GetEvaluation",),
    arguments=(
        argument("--kind", choices=("periodic", "post-trial"), default="periodic",
                 help="of volume, or of trials that have ended (default %(default)s)"),
        argument("--instant", type=time_ns, metavar="TIME",
                 help="when it evaluates (default: the last periodic one due)"),
        PROGRAMME_ID,
    ),
    parents=(clocks,),
)  # fmt: skip
def _evaluation(ledger: Client, options: Options) -> None:
    answer = ledger.get_evaluation(
        programme_id=options.programme_id,
        kind=options.kind.upper().replace("-", "_"),
        instant=options.instant,
        **at(options),
    )
    show(options, answer, evaluation_screens.evaluation)


@OVERSIGHT.ask(
    "solo-actions",
    "who did what alone",
    "solo-actions --of ops-7 --from 2024-10-01",
    rpcs=("ListSoloActions",),
    arguments=(
        argument("--of", default="", metavar="ACTOR", help="of this person only"),
        *time_span("recorded"),
    ),
    parents=(clocks, limit),
)
def _solo_actions(ledger: Client, options: Options) -> None:
    pages = ledger.solo_action_pages(
        options.of,
        from_time=options.from_time,
        until_time=options.until_time,
        page_size=page_size(options),
        **at(options),
    )
    subject = f"what {options.of or 'anybody'} did alone"
    show_pages(options, pages, "actions", lambda page: headline(subject, page.basis), screens.solo_actions)


@OVERSIGHT.ask(
    "withheld",
    "facts that fills recorded before them do not count by",
    "withheld alice",
    notes="`release-fact` lets the fills count by one, `decline-fact` leaves them as they are for ever;\n"
    "`release-shared-fact` and `decline-shared-fact` do so with one that is listed for all accounts.",
    rpcs=("ListWithheld",),
    arguments=(argument("account", metavar="ACCOUNT", nargs="?", default="", help="default: all"),),
    parents=(clocks, limit),
)
def _withheld(ledger: Client, options: Options) -> None:
    pages = ledger.withheld_pages(options.account, page_size=page_size(options), **at(options))
    show_pages(options, pages, "facts", lambda page: headline("withheld facts", page.basis), screens.withheld)
