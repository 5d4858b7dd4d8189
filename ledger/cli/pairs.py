"""Subcommands about pairs: their class in a programme, and rates of their own."""

from __future__ import annotations

from typing import Final

from ledger.cli.arguments import clocks, limit
from ledger.cli.printing import at, page_size, send, show_pages
from ledger.cli.screens import programme as screens
from ledger.cli.screens.layout import headline
from ledger.cli.shared import PROGRAMME_ID, SYMBOL, TWO_PERSONS, VALID_FROM
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

PAIRS: Final = Group("pairs")

_VALID_FROM_NOW_ON: Final = VALID_FROM._replace(
    settings={**VALID_FROM.settings, "help": "first instant, not in the past (default: now)"}
)
_FIRST_CLASS_FROM: Final = VALID_FROM._replace(
    settings={**VALID_FROM.settings, "help": "first instant; in the past for a pair's first class alone (default: now)"}
)


@PAIRS.ask(
    "pairs",
    "class of each pair, and rates of its own",
    "pairs --as-of 2024-10-01",
    rpcs=("ListPairs",),
    arguments=(PROGRAMME_ID,),
    parents=(clocks, limit),
)
def _pairs(ledger: Client, options: Options) -> None:
    pages = ledger.pair_pages(options.programme_id, page_size=page_size(options), **at(options))
    show_pages(options, pages, "pairs", lambda page: headline("pairs", page.basis), screens.symbols)


PAIRS.order(
    "assign-class",
    "give a pair a class",
    "assign-class XRP_USDT B --actor ops-7 --approver ops-8",
    notes=f"{TWO_PERSONS}\n`withheld` says whether fills that are recorded already count by a class of before.",
    rpc="AssignPairClass",
    arguments=(
        SYMBOL,
        argument("pair_class", metavar="CLASS", help="of the programme, for example B"),
        _FIRST_CLASS_FROM,
        PROGRAMME_ID,
    ),
)(send)


PAIRS.order(
    "set-pair-rates",
    "give a pair rates of its own, or end them",
    "set-pair-rates XRP_USDT --maker 0 --taker 0.0002 --actor ops-7 --approver ops-8",
    notes=TWO_PERSONS,
    rpc="SetPairRates",
    arguments=(
        SYMBOL,
        argument("--maker", dest="maker_rate", metavar="DECIMAL",
                 help="what everybody pays, as a fraction (default: as without)"),
        argument("--taker", dest="taker_rate", metavar="DECIMAL",
                 help="likewise; without both the pair has no rates of its own"),
        _VALID_FROM_NOW_ON,
        PROGRAMME_ID,
    ),
)(send)  # fmt: skip
