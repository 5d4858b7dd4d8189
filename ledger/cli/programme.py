"""Subcommands about programmes and pairs."""

from __future__ import annotations

from typing import Final

from ledger.cli import documents
from ledger.cli.arguments import clocks, limit
from ledger.cli.errors import UnusableError
from ledger.cli.printing import at, page_size, show_pages, write
from ledger.cli.screens import programme as screens
from ledger.cli.screens.layout import headline
from ledger.cli.shared import PROGRAMME_ID, SYMBOL, VALID_FROM
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client

PROGRAMME: Final = Group("programme")

_FILE_BYTES_MAX: Final = 1_048_576  # of a file that is sent: several times what a ledger takes
_VALID_FROM_NOW_ON: Final = VALID_FROM._replace(
    settings={**VALID_FROM.settings, "help": "first instant, not in the past (default: now)"}
)


@PROGRAMME.ask(
    "programmes",
    "every version of every programme",
    "programmes",
    rpcs=("ListProgrammes",),
    arguments=(argument("programme", metavar="ID", nargs="?", default="", help="one programme (default: all)"),),
    parents=(clocks, limit),
)
def _programmes(ledger: Client, options: Options) -> None:
    pages = ledger.programme_pages(options.programme, page_size=page_size(options), **at(options))
    subject = options.programme or "programmes"
    show_pages(options, pages, "programmes", lambda page: headline(subject, page.basis), screens.programmes)


@PROGRAMME.ask(
    "programme",
    "the file of a version",
    "programme > programme.toml",
    "programme --version 3.0",
    rpcs=("GetProgramme",),
    arguments=(
        argument("programme", metavar="ID", nargs="?", default="", help="default: the only one"),
        argument("--version", default="", metavar="VERSION", help="default: the one in force"),
    ),
    parents=(clocks,),
)
def _programme(ledger: Client, options: Options) -> None:
    answer = ledger.get_programme(options.programme, version=options.version, **at(options))
    print(documents.document(answer) if options.json else answer.programme.content, end="\n" if options.json else "")


@PROGRAMME.order(
    "publish",
    "publish a version of a programme; it takes two persons",
    "publish programme.toml --actor ops-7 --approver ops-8 --reason 'rates of the new quarter'",
    rpc="PublishProgramme",
    arguments=(argument("file", metavar="FILE", help="the programme, in TOML"), _VALID_FROM_NOW_ON),
)
def _publish(ledger: Client, options: Options) -> None:
    content = _text_of(options.file)
    write(lambda _, **values: ledger.publish_programme(content, **values), options, options.file,
          valid_from=options.valid_from)  # fmt: skip


def _text_of(file: str) -> str:
    """Return the text of a programme file. Raises UnusableError."""
    with open(file, "rb") as stream:
        content = stream.read(_FILE_BYTES_MAX)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UnusableError(f"{file} is not text in UTF-8") from error


@PROGRAMME.ask(
    "pairs",
    "class of each pair, and rates of its own",
    "pairs --as-of 2024-10-01",
    rpcs=("ListPairs",),
    arguments=(PROGRAMME_ID,),
    parents=(clocks, limit),
)
def _pairs(ledger: Client, options: Options) -> None:
    pages = ledger.pair_pages(options.programme, page_size=page_size(options), **at(options))
    show_pages(options, pages, "pairs", lambda page: headline("pairs", page.basis), screens.symbols)


@PROGRAMME.order(
    "assign-class",
    "give a pair a class",
    "assign-class XRP_USDT B",
    rpc="AssignPairClass",
    arguments=(
        SYMBOL,
        argument("pair_class", metavar="CLASS", help="of the programme, for example B"),
        _VALID_FROM_NOW_ON,
        PROGRAMME_ID,
    ),
)
def _assign_class(ledger: Client, options: Options) -> None:
    write(ledger.assign_pair_class, options, options.symbol, pair_class=options.pair_class,
          valid_from=options.valid_from, programme_id=options.programme)  # fmt: skip


@PROGRAMME.order(
    "set-pair-rates",
    "give a pair rates of its own, or end them",
    "set-pair-rates XRP_USDT --maker 0 --taker 0.0002",
    rpc="SetPairRates",
    arguments=(
        SYMBOL,
        argument("--maker", metavar="DECIMAL", help="as a fraction (default: that of tier and class)"),
        argument("--taker", metavar="DECIMAL", help="likewise; without both the pair has no rates of its own"),
        _VALID_FROM_NOW_ON,
        PROGRAMME_ID,
    ),
)
def _set_pair_rates(ledger: Client, options: Options) -> None:
    write(ledger.set_pair_rates, options, options.symbol, maker_rate=options.maker, taker_rate=options.taker,
          valid_from=options.valid_from, programme_id=options.programme)  # fmt: skip
