"""Subcommands that ask about accounts, fees and the log."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ledger.cli.arguments import UINT64_MAX, clocks, known_clock, limit, number, time_ns
from ledger.cli.printing import at, page_size, show, show_pages
from ledger.cli.screens import accounts as account_screens
from ledger.cli.screens import fills as fill_screens
from ledger.cli.screens import log as log_screens
from ledger.cli.screens.layout import headline, instant, many
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, SYMBOL, time_span
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

ASK: Final = Group("ask")


@ASK.ask("info", "what ledger this is, and how far it is", "info", rpcs=("GetLedgerInfo",))
def _info(ledger: Client, options: Options) -> None:
    show(options, ledger.get_ledger_info(), log_screens.info)


@ASK.ask(
    "state",
    "tier, rates, grants and bans of an account",
    "state alice",
    "state alice --as-of 2024-10-01 --known-at 8",
    rpcs=("GetVipState",),
    arguments=(ACCOUNT, PROGRAMME_ID),
    parents=(clocks,),
)
def _state(ledger: Client, options: Options) -> None:
    answer = ledger.get_vip_state(options.account_id, programme_id=options.programme_id, **at(options))
    show(options, answer, account_screens.state)


@ASK.ask(
    "rates",
    "rates of an account, how long they hold, and its volume",
    "rates alice --as-of 2024-10-01 --known-at 8",
    rpcs=("GetRates",),
    arguments=(ACCOUNT, PROGRAMME_ID),
    parents=(clocks,),
)
def _rates(ledger: Client, options: Options) -> None:
    answer = ledger.get_rates(options.account_id, programme_id=options.programme_id, **at(options))
    show(options, answer, account_screens.rates)


@ASK.ask(
    "fees",
    "every fee of an account",
    "fees alice --from 2024-09-01 --until 2024-10-01",
    rpcs=("ListFeeHistory",),
    arguments=(ACCOUNT, *time_span("fills")),
    parents=(clocks, limit),
)
def _fees(ledger: Client, options: Options) -> None:
    pages = ledger.fee_history_pages(
        options.account_id,
        from_time=options.from_time,
        until_time=options.until_time,
        page_size=page_size(options),
        **at(options),
    )

    def head(page: Any) -> list[str]:
        fills = sum(total.lines for total in page.totals)
        cut = f" (here the first {options.limit:,})" if options.limit and options.limit < fills else ""
        return headline(f"{options.account_id}: {many(fills, 'fill')}{cut}", page.basis)

    def foot(page: Any) -> list[str]:
        return fill_screens.totals(page.totals) if page.totals else []

    show_pages(options, pages, "lines", head, fill_screens.fees, foot)


@ASK.ask(
    "quote",
    "what a fill would cost; nothing is recorded",
    "quote alice XRP_USDT buy maker --quantity 1000 --price 0.6",
    rpcs=("QuoteFee",),
    arguments=(
        ACCOUNT,
        SYMBOL,
        argument("side", choices=("buy", "sell")),
        argument("liquidity", choices=("maker", "taker")),
        argument("--quantity", required=True, metavar="DECIMAL", help="in base currency"),
        argument("--price", required=True, metavar="DECIMAL", help="in quote currency"),
        argument("--channel", choices=("api", "web", "app"), default="unspecified", help="default: not said"),
        argument("--product", choices=("spot", "futures"), default="unspecified", help="default: that of the symbol"),
        argument("--token", default="", metavar="ID", help="pay the fee in this token, for example BMX"),
        argument("--token-price", default="", metavar="DECIMAL", help="of one token, in quote currency"),
        argument("--venue", default="", metavar="ID", help="the market (default: the only one)"),
    ),
    parents=(clocks,),
)
def _quote(ledger: Client, options: Options) -> None:
    answer = ledger.quote_fee(
        options.account_id,
        options.symbol,
        side=options.side.upper(),
        liquidity=options.liquidity.upper(),
        last_px=options.price,
        last_qty=options.quantity,
        channel=options.channel.upper(),
        product=options.product.upper(),
        token_payment={"token": options.token, "price": options.token_price} if options.token else None,
        venue=options.venue,
        **at(options),
    )
    trade = f"{options.side} {options.quantity} {options.symbol} at {options.price} as {options.liquidity}"
    show(options, answer, lambda found: fill_screens.quote(found, f"{options.account_id}, {trade}"))


@ASK.ask(
    "fill",
    "one fill and its fee, and why it is what it is",
    "fill alice 2024-09-30 E1",
    rpcs=("GetFill",),
    arguments=(
        ACCOUNT,
        argument("day", metavar="DAY", help="UTC day of the trade, for example 2024-09-30"),
        argument("exec_id", metavar="EXEC_ID", help="the engine's id of the fill"),
        argument("--venue", default="", metavar="ID", help="the market (default: the only one)"),
    ),
    parents=(known_clock,),
)
def _fill(ledger: Client, options: Options) -> None:
    answer = ledger.get_fill(options.account_id, options.day, options.exec_id, venue=options.venue, **options.known_at)
    show(options, answer, fill_screens.fill)


@ASK.ask(
    "accounts",
    "accounts by tier, ban, flag or owner",
    "accounts --tier VIP3 --ending-before 2024-10-08",
    rpcs=("ListAccounts",),
    arguments=(
        argument("--as-of", type=time_ns, metavar="TIME", help="what is in effect then (default: now)"),
        argument("--tier", default="", metavar="TIER", help="in effect; NONE for those without one"),
        argument("--ending-before", type=time_ns, metavar="TIME", help="whose tier ends before it"),
        argument("--banned", action=argparse.BooleanOptionalAction, help="banned ones only, or not banned ones"),
        argument("--flagged", action=argparse.BooleanOptionalAction, help="flagged as fake, or not"),
        argument("--owner", default="", metavar="ID", help="of this beneficial owner"),
        PROGRAMME_ID,
    ),
    parents=(limit,),
)
def _accounts(ledger: Client, options: Options) -> None:
    pages = ledger.account_pages(
        as_of=options.as_of,
        tier=options.tier,
        ending_before=options.ending_before,
        banned=options.banned,
        flagged=options.flagged,
        owner_id=options.owner,
        programme_id=options.programme_id,
        page_size=page_size(options),
    )

    def head(page: Any) -> list[str]:
        return [f"accounts, in {page.ledger_id}", f"as of {instant(page.as_of)} UTC, position {page.position}"]

    show_pages(options, pages, "accounts", head, account_screens.accounts)


@ASK.ask(
    "events",
    "the log as it is stored; --json decodes each event",
    "events --limit 10",
    "events account/alice --json",
    rpcs=("ListEvents",),
    arguments=(
        argument("stream", metavar="STREAM", nargs="?", default="", help="one stream (default: the whole log)"),
        argument("--after", type=number(0, UINT64_MAX), default=0, metavar="POSITION", help="later events only"),
    ),
    parents=(known_clock, limit),
)
def _events(ledger: Client, options: Options) -> None:
    pages = ledger.event_pages(
        options.stream, after_position=options.after, page_size=page_size(options), **options.known_at
    )

    def head(page: Any) -> list[str]:
        return headline(options.stream or "the whole log", page.basis, as_of=False)

    show_pages(options, pages, "events", head, log_screens.events)


@ASK.ask(
    "source",
    "how far the fills of a numbered source are",
    "source engine-1",
    rpcs=("GetSourcePosition",),
    arguments=(argument("source", metavar="SOURCE", help="the engine's name"),),
)
def _source(ledger: Client, options: Options) -> None:
    show(options, ledger.get_source_position(options.source), lambda at_: log_screens.source(at_, options.source))
