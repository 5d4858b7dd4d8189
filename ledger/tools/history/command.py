"""The subcommand `history`: the fees of an account, with what each rests on, as a table, as files and as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ledger.cli import Options, argument
from ledger.cli.arguments import clocks
from ledger.cli.errors import UnusableError, tell, unread
from ledger.cli.extra import needs_extra
from ledger.cli.screens import headline, many
from ledger.cli.shared import time_span
from ledger.client import Client
from ledger.tools.arguments import identifier
from ledger.tools.csv_rows import SPREADSHEET, check_spreadsheet
from ledger.tools.files import differ, output
from ledger.tools.group import TOOLS
from ledger.tools.history.entries import row
from ledger.tools.history.files import Output, as_json, csv_file, json_lines_file
from ledger.tools.history.table import fee_table
from ledger.tools.history.totals import Totals
from ledger.tools.progress import ProgressBar
from ledger.v1.query_service_pb2 import ListFeeHistoryResponse

if TYPE_CHECKING:
    from ledger.tools.history.page.page import Picture

PAGE_SIZE: Final = 5_000

_NOTES: Final = """\
An entry is a fill; an adjustment: what a fill that stands before it costs more or less since; or
a credit by hand and its end, which stand at the beginning of their UTC day and are of no symbol.
The sum of all entries is what the account has paid. Prices, amounts and rates are exact decimals
in every format. Why one fee is what it is, in words: fee-ledger fill ACCOUNT DAY EXEC_ID.

All that is printed and written is one read: fills that arrive meanwhile change nothing. Its sums
are added up entry by entry and compared with the running totals of the ledger. A file is moved to
its place once it is whole. With --known-at the answer stays the same for ever. --json prints the
entries as --jsonl writes them, in place of the table and the sums.

  duckdb -c "SELECT tier, sum(fee_amount) FROM 'alice.parquet' GROUP BY tier"

exit code 0: done, and the sums are the ledger's; 1: they are not; 2: the ledger refused or does
not answer, it never heard of the account, or unusable arguments; 130: interrupted"""


_FILES: Final = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet", "html": "a page to look at"}


@TOOLS.ask(
    "history",
    "every fee of an account as a table, as files and as a page to look at",
    "history alice",
    "history alice --from 2024-09-01 --until 2024-10-01 --csv alice.csv --parquet alice.parquet",
    "history alice --html alice.html",
    "history alice --known-at 30 --csv before.csv",
    rpcs=("ListFeeHistory", "GetVipState", "ListEvents", "ListProgrammes", "GetProgramme", "ListCloses"),
    arguments=(
        argument("account", metavar="ACCOUNT", type=identifier, help="whose fees"),
        *time_span("fills"),
        argument("--symbol", action="append", type=identifier, metavar="SYMBOL",
                 help="only this one; can be given again"),
        argument("--programme", default="", metavar="ID", help="whose tiers the page shows (default: the only one)"),
        argument("--table", action="store_true", help="print every entry (the default, if no file is named)"),
        *(argument(f"--{name}", type=output, metavar="FILE", help=f"write {what}") for name, what in _FILES.items()),
        SPREADSHEET,
    ),
    parents=(clocks,),
    notes=_NOTES,
    refused=2,
    interrupted="each file is either whole or as it was before; run the same command again",
)  # fmt: skip
def _history(ledger: Client, options: Options) -> int:
    files = _files(options)
    options.table = not options.json and (options.table or not files)
    differ(*files)
    check_spreadsheet(options, csv=options.csv, remedy="--csv FILE")
    with unread() if files else nullcontext():  # files are written to their end, and the exit code is that of the sums
        return _tell(ledger, options, files)


def _tell(ledger: Client, options: Options, files: Sequence[Path]) -> int:
    """Write the files, print what was asked for; return 1 if the sums are not the ledger's."""
    pages = ledger.fee_history_pages(
        options.account,
        from_time=options.from_time,
        until_time=options.until_time,
        page_size=PAGE_SIZE,
        as_of=options.as_of,
        **options.known_at,
    )
    first = next(pages)
    then = {"as_of": first.basis.as_of.ToNanoseconds(), "known_at_position": first.basis.known_at_position}
    state = ledger.get_vip_state(options.account, programme_id=options.programme, **then)
    if not state.known_account:
        position = then["known_at_position"]
        raise UnusableError(f"the ledger had not heard of {options.account} at position {position}: check the name")
    picture = _picture(ledger, options, first) if options.html else None
    totals, chosen = Totals(), Totals()
    with _named(files):
        _read(chain([first], pages), options, totals, chosen, picture)
        differences = totals.differences(first)
        if picture:
            picture.write(options.html, chosen, differences)
    _report(options, first, totals, chosen, differences)
    return 1 if differences else 0


def _picture(ledger: Client, options: Options, first: ListFeeHistoryResponse) -> Picture:
    with needs_extra():
        from ledger.tools.history.page.page import Picture  # noqa: PLC0415 - Jinja2 is in the extra tools
    return Picture(ledger, options, first)


@contextmanager
def _named(files: Sequence[Path]) -> Iterator[None]:
    """Name the files in an error of writing them, such as a full disk: by itself it names none, or the one beside."""
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads what is printed
    except OSError as error:
        raise OSError(error.errno, error.strerror, ", ".join(map(str, files)) or None) from error


def _read(
    pages: Iterator[ListFeeHistoryResponse],
    options: Options,
    totals: Totals,
    chosen: Totals,
    picture: Picture | None,
) -> None:
    """Hand every entry to the sums, and those that were asked for to the outputs. Memory holds a page."""
    progress = ProgressBar()
    every = [totals.take, picture.take_volume] if picture else [totals.take]
    some = [chosen.take, picture.take_fee] if picture else [chosen.take]
    with ExitStack() as stack:
        outputs = _opened(stack, options)
        for page in pages:
            lines = [line for line in page.lines if not options.symbol or line.symbol in options.symbol]
            _hand(page.lines, every)
            _hand(lines, some)
            if outputs:
                _hand(map(row, lines), outputs)
            if options.table and lines:
                progress.clear()
                print("\n".join([*fee_table(lines), ""]))
            progress.show("fills", totals.fills, sum(total.lines for total in page.totals))
        progress.clear()


def _hand(entries: Iterable[Any], takers: Sequence[Callable[[Any], None]]) -> None:
    for entry in entries:
        for take in takers:
            take(entry)


def _opened(stack: ExitStack, options: Options) -> list[Output]:
    """Open the outputs that were asked for; each file is in its place when the stack closes."""
    files: list[AbstractContextManager[Output]] = []
    if options.csv:
        files.append(csv_file(options.csv, spreadsheet=options.spreadsheet))
    if options.jsonl:
        files.append(json_lines_file(options.jsonl))
    if options.parquet:
        files.append(_parquet_file(options.parquet))
    printed = [lambda values: print(as_json(values))] if options.json else []
    return [*(stack.enter_context(file) for file in files), *printed]


def _parquet_file(path: Path) -> AbstractContextManager[Output]:
    with needs_extra():
        from ledger.tools.history.parquet import parquet_file  # noqa: PLC0415 - duckdb is in the extra tools
    return parquet_file(path, lambda line: tell(0, f"fee-ledger: {line}"))


def _report(
    options: Options,
    page: ListFeeHistoryResponse,
    totals: Totals,
    chosen: Totals,
    differences: Sequence[str],
) -> None:
    """Print what was read, its sums, and whether they are the ledger's; with --json only what differs, on stderr."""
    told = [f"CONTROL_TOTAL_DIFFERS: {difference}" for difference in differences]
    if options.json:
        tell(0, *told)
        return
    of = f" of {', '.join(options.symbol)}" if options.symbol else ""
    by_hand = f" and {many(chosen.credits, 'credit or withdrawal', 'credits or withdrawals')}" * bool(chosen.credits)
    entries = f"{many(chosen.fills, 'fill')} and {many(chosen.adjustments, 'adjustment')}{by_hand}"
    whole = f" (of all symbols: {many(totals.fills, 'fill')})" if options.symbol else ""
    print("\n".join([*headline(f"{options.account}: {entries}{of}", page.basis), *chosen.table()]))
    print("".join(f"written: {path}\n" for path in _files(options)), end="")
    print("\n".join(told) or f"control totals: equal to the running totals of the ledger{whole}")


def _files(options: Options) -> list[Path]:
    return [path for path in (options.csv, options.jsonl, options.parquet, options.html) if path]
