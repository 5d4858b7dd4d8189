"""The fee history of an account and period, with what each fee rests on: a table, files, and a page to look at.

    .venv/bin/python ledger/tools/history/command.py ACCOUNT [--from TIME] [--until TIME] [--csv FILE] [--html FILE] ...

Exit code 0: done, and the sums are the ledger's. 1: they are not. 2: no ledger, or unusable arguments. 130:
interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Final

try:
    from ledger.cli.arguments import known_at, number, time_ns
    from ledger.cli.screens import headline
    from ledger.client import Client, LedgerError
    from ledger.tools.answers import ADDRESS, Parser, address, sentences
    from ledger.tools.history.entries import row
    from ledger.tools.history.files import Output, csv_file, json_lines_file, parquet_file
    from ledger.tools.history.page.page import Picture
    from ledger.tools.history.page.words import many
    from ledger.tools.history.table import fee_table
    from ledger.tools.history.totals import Totals
    from ledger.v1.query_service_pb2 import ListFeeHistoryResponse
    from ledger.wire.fields import ID
except ImportError as error:
    print(f"fee_history.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

CONNECT_S_MAX: Final = 2
PAGE_SIZE: Final = 5_000
EPILOG: Final = """\
examples:
  %(prog)s alice                                            a table: every fee and its rate, tier and grant
  %(prog)s alice --from 2024-09-01 --until 2024-10-01 --csv alice.csv --parquet alice.parquet
                                                            a month of it, with every column
  %(prog)s alice --html alice.html                          volume, tier, fees and rates by day, as a picture
  %(prog)s alice --known-at 4711 --csv before.csv           as the ledger knew it then; the same for ever
  duckdb -c "SELECT tier, sum(fee_amount) FROM 'alice.parquet' GROUP BY tier"

An entry is a fill, or an adjustment: what a fill that stands before it costs more or less since. The sum of all
entries is what the account has paid. Prices, amounts and rates are exact decimals in every format. Why one fee is what
it is, in words: fee-ledger fill ACCOUNT DAY EXEC_ID.

All that is printed and written is one read: fills that arrive meanwhile change nothing. Its sums are added up entry by
entry and compared with the running totals of the ledger. A file is moved to its place once it is whole.

exit code 0: done, and the sums are the ledger's; 1: they are not; 2: no ledger, an account it never heard of, or
unusable arguments; 130: interrupted
"""


class Progress:
    """One line on a terminal, once a second."""

    def __init__(self) -> None:
        self._began_s = self._shown_s = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Fills read, fills per second, time left."""
        now_s = time.monotonic()
        if sys.stderr.isatty() and now_s - self._shown_s >= 1:
            self._shown_s = now_s
            per_s = max(1, round(done / (now_s - self._began_s)))
            line = f"{done:,} of {total:,} fills, {per_s:,} per second, {(total - done) // per_s:,} s left"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        with Client(options.address, timeout_s=options.timeout, connect_timeout_s=CONNECT_S_MAX) as ledger:
            return _history(ledger, options)
    except LedgerError as error:
        _tell(*sentences(error, options.address))
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the table to its end
        return 2 if _files(options) else 0
    except OSError as error:
        _tell(f"{error.filename2 or error.filename or 'a file'} cannot be written: {error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        _tell("interrupted: each file is either whole or as it was before; run the same command again")
        return 130


def _history(ledger: Client, options: argparse.Namespace) -> int:
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
        _tell(f"the ledger had not heard of {options.account} at position {then['known_at_position']}: check the name")
        return 2
    picture = Picture(ledger, options, first, state) if options.html else None
    totals, chosen = Totals(), Totals()
    _read(chain([first], pages), options, totals, chosen, picture)
    differences = totals.differences(first)
    if picture:
        picture.write(options.html, chosen, differences)
    _report(options, first, totals, chosen, differences)
    return 1 if differences else 0


def _read(
    pages: Iterator[ListFeeHistoryResponse],
    options: argparse.Namespace,
    totals: Totals,
    chosen: Totals,
    picture: Picture | None,
) -> None:
    """Hand every entry to the sums, and those that were asked for to the outputs. Memory holds a page."""
    progress = Progress()
    every = [totals.take, picture.take_volume] if picture else [totals.take]
    some = [chosen.take, picture.take_fee] if picture else [chosen.take]
    with ExitStack() as stack:
        files = _opened(stack, options)
        for page in pages:
            lines = [line for line in page.lines if not options.symbol or line.symbol in options.symbol]
            _hand(page.lines, every)
            _hand(lines, some)
            if files:
                _hand(map(row, lines), files)
            if options.table and lines:
                progress.end()
                print("\n".join([*fee_table(lines), ""]))
            progress.show(totals.fills, sum(total.lines for total in page.totals))
    progress.end()


def _hand(entries: Iterable[Any], takers: Sequence[Callable[[Any], None]]) -> None:
    for entry in entries:
        for take in takers:
            take(entry)


def _opened(stack: ExitStack, options: argparse.Namespace) -> list[Output]:
    """The files that were asked for; each is in its place when the stack closes."""
    files: list[AbstractContextManager[Output]] = []
    if options.csv:
        files.append(csv_file(options.csv))
    if options.jsonl:
        files.append(json_lines_file(options.jsonl))
    if options.parquet:
        files.append(parquet_file(options.parquet, _tell))
    return [stack.enter_context(file) for file in files]


def _report(
    options: argparse.Namespace,
    page: ListFeeHistoryResponse,
    totals: Totals,
    chosen: Totals,
    differences: Sequence[str],
) -> None:
    """What was read, its sums, and whether they are the ledger's."""
    of = f" of {', '.join(options.symbol)}" if options.symbol else ""
    entries = f"{many(chosen.fills, 'fill')} and {many(chosen.adjustments, 'adjustment')}"
    print("\n".join([*headline(f"{options.account}: {entries}{of}", page.basis), *chosen.table()]))
    for path in _files(options):
        print(f"written: {path}")
    whole = f" (of all symbols: {totals.fills:,} fills)" if options.symbol else ""
    if not differences:
        print(f"control totals: equal to the running totals of the ledger{whole}")
    for difference in differences:
        print(f"CONTROL_TOTAL_DIFFERS: {difference}")


def _files(options: argparse.Namespace) -> list[Path]:
    return [path for path in (options.csv, options.jsonl, options.parquet, options.html) if path]


def _tell(*lines: str) -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""  # over the progress
    for line in lines:
        print(f"{start}fee_history.py: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fee_history.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("account", metavar="ACCOUNT", type=_id, help="whose fees")
    add("--from", dest="from_time", type=time_ns, metavar="TIME", help="fills at and after it (default: all)")
    add("--until", dest="until_time", type=time_ns, metavar="TIME", help="fills before it (default: all)")
    add("--as-of", type=time_ns, metavar="TIME", help="as it was then, for example 2024-10-01 (default: now)")
    add("--known-at", type=known_at, default={}, metavar="POSITION|TIME",
        help="what the ledger knew at a position or a time (default: all it knows)")  # fmt: skip
    add("--symbol", action="append", type=_id, metavar="SYMBOL", help="only this one; can be given again")
    add("--programme", default="", metavar="ID", help="whose tiers the page shows (default: the only one)")
    add("--table", action="store_true", help="print every entry (the default, if no file is named)")
    for name, what in (("csv", "CSV"), ("jsonl", "JSON lines"), ("parquet", "Parquet"), ("html", "a page to look at")):
        add(f"--{name}", type=_file, metavar="FILE", help=f"write {what}")
    add("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="of the ledger (default %(default)s)")
    add("--timeout", type=number(1, 3_600), default=60, metavar="SECONDS", help="how long to wait for an answer"
        " (default %(default)s)")  # fmt: skip
    return parser


class _Parser(Parser):
    def parse_args(self, *values: Any, **more: Any) -> Any:
        """A table if nothing else is asked for; no two files at one place."""
        options = super().parse_args(*values, **more)
        files = _files(options)
        if len({path.absolute() for path in files}) < len(files):
            self.error("two outputs are to be the same file")
        options.table = options.table or not files
        return options


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        why = "is a folder" if path.is_dir() else f"lies in no folder there is: {path.parent}"
        raise argparse.ArgumentTypeError(f"{text!a} {why}")
    return path


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match {ID.pattern}")
    return text


if __name__ == "__main__":
    sys.exit(main())
