"""Subcommands about rewards: the weekly bug bounty, promotions and their bonuses."""

from __future__ import annotations

from typing import Final

from ledger.cli.arguments import clocks, time_ns
from ledger.cli.printing import at, send, show, write
from ledger.cli.screens import rewards as screens
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, TWO_PERSONS, at_time
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

REWARDS: Final = Group("rewards")

_WEEK: Final = argument("week", metavar="WEEK", help="ISO 8601 week in UTC, for example 2024-W40")
_AMOUNT: Final = argument("amount", metavar="DECIMAL", help="how much, greater than zero")
_CURRENCY: Final = argument("currency", metavar="CURRENCY", help="of what")
_PROMOTION: Final = argument("promotion", metavar="PROMOTION", help="its id")


REWARDS.order(
    "report-feedback",
    "record a report of a bug, feedback or an improvement",
    "report-feedback alice bug discord --at 2024-09-17",
    rpc="ReportFeedback",
    arguments=(
        ACCOUNT,
        argument("kind", choices=("bug", "feedback", "improvement")),
        argument("channel", choices=("telegram", "discord", "email"), help="how it was sent"),
        at_time("report_time", "when"),
    ),
)(send)


@REWARDS.ask(
    "bounty-rounds",
    "weeks with reports, and whether their round is closed",
    "bounty-rounds --open",
    rpcs=("ListBountyRounds",),
    arguments=(argument("--open", action="store_true", help="those only that are not closed"),),
    parents=(clocks,),
)
def _bounty_rounds(ledger: Client, options: Options) -> None:
    show(options, ledger.list_bounty_rounds(open_only=options.open, **at(options)), screens.bounty_rounds)


@REWARDS.order(
    "award-bounty",
    "award a report its bonus",
    "award-bounty 2024-W38 r1 50 USDT --actor ops-7 --approver ops-8 --reason 'a real bug'",
    notes=TWO_PERSONS,
    rpc="AwardBounty",
    arguments=(
        _WEEK,
        argument("report", metavar="REPORT", help="as `report-feedback` answered it, for example r1"),
        _AMOUNT,
        _CURRENCY,
        PROGRAMME_ID,
    ),
)
def _award_bounty(ledger: Client, options: Options) -> None:
    write(ledger.award_bounty, options, options.week, report_id=options.report, bounty=options.amount,
          currency=options.currency, programme_id=options.programme_id)  # fmt: skip


REWARDS.order(
    "announce-promotion",
    "announce a promotion",
    "announce-promotion autumn-2024 API_EXCLUSIVE --from 2024-09-01 --until 2024-10-01",
    rpc="AnnouncePromotion",
    arguments=(
        argument("promotion_id", metavar="PROMOTION", help="its id from now on"),
        argument("promotion_type", metavar="TYPE", help="for example API_EXCLUSIVE or NET_BUY"),
        argument("--from", dest="start_time", type=time_ns, required=True, metavar="TIME", help="first instant"),
        argument("--until", dest="end_time", type=time_ns, required=True, metavar="TIME",
                 help="first instant after it"),
    ),
)(send)  # fmt: skip


@REWARDS.ask(
    "check-promotion",
    "whether an account may take part in a kind of promotion",
    "check-promotion alice NET_BUY --as-of 2024-09-10",
    rpcs=("CheckPromotionEligibility",),
    arguments=(
        ACCOUNT,
        argument("promotion_type", metavar="TYPE", help="for example API_EXCLUSIVE or NET_BUY"),
        PROGRAMME_ID,
    ),
    parents=(clocks,),
)
def _check_promotion(ledger: Client, options: Options) -> None:
    answer = ledger.check_promotion_eligibility(options.account_id, options.promotion_type,
                                                programme_id=options.programme_id, **at(options))  # fmt: skip
    show(options, answer, lambda found: screens.promotion_check(found, options.account_id, options.promotion_type))


@REWARDS.order(
    "award-bonus",
    "award an account its share of a promotion's bonus, once",
    "award-bonus autumn-2024 alice 25 USDT --at 2024-09-10 --actor ops-7 --approver ops-8",
    notes=TWO_PERSONS,
    rpc="AwardBonus",
    arguments=(
        _PROMOTION,
        ACCOUNT,
        _AMOUNT,
        _CURRENCY,
        at_time("award_time", "when, at which eligibility is asked"),
        argument("--override", action="store_true", help="let it in although it is not eligible; it takes two persons"),
        PROGRAMME_ID,
    ),
)
def _award_bonus(ledger: Client, options: Options) -> None:
    write(
        ledger.award_bonus,
        options,
        options.account_id,
        promotion_id=options.promotion,
        bonus=options.amount,
        currency=options.currency,
        award_time=options.award_time,
        override=options.override,
        programme_id=options.programme_id,
    )


@REWARDS.ask(
    "months-without-promotion",
    "months over in which no promotion for API users started",
    "months-without-promotion --from 2024-01-01 --as-of 2024-10-01",
    rpcs=("ListMonthsWithoutPromotion",),
    arguments=(
        argument("--from", dest="from_time", type=time_ns, metavar="TIME",
                 help="from its month on (default: from that of the first promotion)"),
    ),
    parents=(clocks,),
)  # fmt: skip
def _months_without_promotion(ledger: Client, options: Options) -> None:
    answer = ledger.list_months_without_promotion(from_time=options.from_time, **at(options))
    show(options, answer, screens.months_without_promotion)
