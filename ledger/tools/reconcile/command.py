"""Compare an engine's fills with the ledger's: what is missing, too many, or not the same, break by break.

    .venv/bin/python ledger/tools/reconcile/command.py ENGINE_FILE [...] [--html FILE] [--state FILE]

Exit code 0: both agree. 1: there are breaks. 2: an unusable file, or no ledger. 130: interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

try:
    import duckdb

    from ledger import programmes
    from ledger.cli.arguments import known_at, number, time_ns
    from ledger.domain.events import LedgerCreated, ProgrammePublished, SymbolRegistered
    from ledger.domain.instants import BEGINNING_NS, DAY_NS, LATEST_NS, SECOND_NS, instant_text
    from ledger.domain.money import DECIMAL
    from ledger.store.log import Head, Log
    from ledger.store.postgres.database import open_datastore
    from ledger.tools.answers import Parser
    from ledger.tools.progress import Progress
    from ledger.tools.reconcile import UnusableError
    from ledger.tools.reconcile.breaks import KINDS, Terms, find_breaks
    from ledger.tools.reconcile.columns import NAMES, PRESETS, Mapped
    from ledger.tools.reconcile.database import Database, open_database
    from ledger.tools.reconcile.engine_file import EngineFiles
    from ledger.tools.reconcile.engine_formats import KINDS as FORMATS
    from ledger.tools.reconcile.ledger_fills import load_ledger
    from ledger.tools.reconcile.page import write_page
    from ledger.tools.reconcile.printing import print_csv, print_json, print_table
    from ledger.tools.reconcile.report import Report, Run
    from ledger.tools.reconcile.state import compare, write
    from ledger.tools.reconcile.totals import add_totals
    from ledger.tools.store import UNREADABLE, NoLedger, add_store_arguments, open_store, why_not
    from ledger.wire.fields import ID
    from projections.answers.fill_columns import Span
except ImportError as error:
    print(f"reconcile.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

UNITS_NS: Final = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
MARGIN_NS: Final = 600 * SECOND_NS  # beyond the period, where a fill of the other side may have another instant
EPILOG: Final = f"""\
examples:
  %(prog)s fills-2024-09-30.csv                              columns named as ListFeeHistory names them
  %(prog)s fills.csv --columns exec_id=id,last_px=price,account_id=user,transact_time_ms=ts
  %(prog)s trades.json --columns ccxt --account alice        what ccxt's fetchMyTrades returns, of one account
  %(prog)s fills.parquet --html breaks.html --state breaks.jsonl
                                                             a page to look at; the next run says what is new
  %(prog)s fills.csv --tolerance USDT=0.01 --known-at 4711   as the ledger knew it then
  %(prog)s fills.csv --out csv > breaks.csv                  every break, a row each; --out json: totals too

FILE: CSV with a header, JSON lines, a JSON list, or Parquet; the first three may be gzipped. Numbers are read as they
are printed, never as floats. A fill is known by venue, account, UTC day and exec_id; these columns are compared:
  {", ".join(NAMES[:8])},
  {", ".join(NAMES[8:15])},
  {", ".join(NAMES[15:])}
A transact_time is ISO 8601 in UTC or with an offset; transact_time_s, _ms, _us and _ns count since 1970. A fee is what
the account pays, less than zero for a rebate (--negate-fees for engines that write it the other way), a rate is a
fraction before any discount.
Columns a file lacks, and cells that are empty, are not compared; the report says which. --columns takes a preset
({", ".join(PRESETS)}) and pairs ours=theirs; fee.cost is the field cost of fee, and notional= leaves a column out.

kinds of breaks:
{os.linesep.join(f"  {kind:<18} {meaning}" for kind, meaning in KINDS.items())}
A break has a stable id: the same one in every run that finds it. Fees are compared as they are known at --known-at,
adjustments included.

exit code 0: both agree; 1: there are breaks; 2: an unusable file, or no ledger; 130: interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        with _log(options) as log, open_database(options.work, options.memory, options.threads) as database:
            report = _reconcile(database, log, options)
            _tell_all(report, options)
            if options.state:
                write(database, options.state, _scope(options))
            return 0 if report.agrees else 1
    except (UnusableError, NoLedger) as error:
        return _unusable(str(error))
    except UNREADABLE as error:
        return _unusable(why_not(error))
    except duckdb.OutOfMemoryException:
        return _unusable(f"{options.memory} MB do not suffice, or the disk is full: give --memory or --work")
    except duckdb.Error as error:
        return _unusable(f"the comparison failed: {' '.join(str(error).split())[:300]}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _unusable(f"{error.filename or options.work}: {error.strerror}")
    except KeyboardInterrupt:
        print("reconcile.py: interrupted: nothing is kept, and --state is as it was", file=sys.stderr)
        return 130


def _unusable(sentence: str) -> int:
    print(f"reconcile.py: {sentence}", file=sys.stderr)
    return 2


@contextmanager
def _log(options: argparse.Namespace) -> Iterator[Log]:
    """The log, of a running ledger or of one that rests."""
    with open_store(options, "reconcile.py") as dsn, open_datastore(dsn, options.schema, connections=1) as datastore:
        yield Log(datastore)


def _reconcile(database: Database, log: Log, options: argparse.Namespace) -> Report:
    known = _known(log, options.known_at)
    venue = options.venue or _only_venue(log)
    constants = {name: value for name, value in (("account_id", options.account), ("venue", options.venue)) if value}
    files = EngineFiles(database, Mapped(options.columns), constants)
    for path in options.files:
        with _step(database, f"reading {path.name}"):
            files.load(path, options.format, UNITS_NS.get(options.time_unit, 0), negated=options.negate_fees)
    venues = _venues(database, venue)
    from_ns, until_ns = _period(database, options)
    terms = Terms(from_ns, until_ns, dict(options.tolerance), legs=options.legs and not options.account)
    span = Span(
        max(from_ns - MARGIN_NS, BEGINNING_NS),
        min(until_ns + MARGIN_NS, LATEST_NS),
        known.position,
        options.source,
        [options.account] if options.account else [],
        venues,
    )
    progress = Progress("reconcile.py", "events of the log")
    try:
        load_ledger(database, log, span, progress.show)
    finally:
        progress.clear()
    with _step(database, "comparing"):
        find_breaks(database, terms)
    with _step(database, "adding up"):
        add_totals(database, terms, _quotes(log, known.position))
    run_at = instant_text(time.time_ns() // SECOND_NS * SECOND_NS)
    compare(database, terms, options.state, run_at, _scope(options))
    run = Run(
        _ledger_id(log),
        known.position,
        instant_text(known.recorded_time_ns) if known.position else "",
        run_at,
        tuple(options.source),
        terms,
        str(options.state or ""),
    )
    return Report(database, files, run)


@contextmanager
def _step(database: Database, name: str) -> Iterator[None]:
    """Says what is under way; most of it is done by duckdb, which seldom knows how much is left."""
    began_s = shown_s = time.monotonic()
    terminal = sys.stderr.isatty()

    def tell(percent: int) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if now_s - shown_s >= (1 if terminal else 30):
            shown_s = now_s
            line = f"{name}, {f'{percent} %, ' if percent else ''}{now_s - began_s:.0f} s so far"
            print(f"\r{line}\x1b[K" if terminal else f"reconcile.py: {line}", end="" if terminal else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip

    try:
        with database.watched(tell):
            yield
    finally:
        if terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _tell_all(report: Report, options: argparse.Namespace) -> None:
    if options.html:
        write_page(report, options.html)
    if options.out == "csv":
        print_csv(report, sys.stdout)
    elif options.out == "json":
        print_json(report, sys.stdout)
    else:
        print_table(report, options.limit, sys.stdout)
    sys.stdout.flush()


def _known(log: Log, known_at_: dict[str, int]) -> Head:
    head = log.head()
    if "known_at_time" in known_at_:
        return log.head_at_time(known_at_["known_at_time"])
    position = known_at_.get("known_at_position", head.position)
    if position > head.position:
        raise UnusableError(f"--known-at {position}: the ledger is at position {head.position}")
    return log.head_at_position(position)


def _only_venue(log: Log) -> str:
    """That of the programmes, where they govern one; otherwise none."""
    published = (recorded.event for recorded in log.rulebook(log.head().position))
    venues = {
        venue
        for event in published
        if isinstance(event, ProgrammePublished)
        for venue in programmes.parse(event.content).venues
    }
    return venues.pop() if len(venues) == 1 else ""


def _venues(database: Database, venue: str) -> list[str]:
    """Fills that name no venue are of this one. The venues of all fills."""
    if database.one("SELECT count(*) FROM engine WHERE venue IS NULL"):
        if not venue:
            raise UnusableError("the files name no venue, and this ledger has several: give --venue")
        database.run("UPDATE engine SET venue = ? WHERE venue IS NULL", [venue])
    found = [name for (name,) in database.all("SELECT DISTINCT venue FROM engine ORDER BY venue")]
    return found or ([venue] if venue else [])


def _period(database: Database, options: argparse.Namespace) -> tuple[int, int]:
    """As given; otherwise the whole UTC days of the engine's fills, or all of time if there are none."""
    first, last = database.all("SELECT min(day), max(day) FROM engine")[0]
    from_ns = (BEGINNING_NS if first is None else first * DAY_NS) if options.from_ns is None else options.from_ns
    until_ns = (LATEST_NS if last is None else (last + 1) * DAY_NS) if options.until_ns is None else options.until_ns
    if from_ns >= until_ns:
        raise UnusableError(f"no period: {instant_text(from_ns)} is not before {instant_text(until_ns)}")
    return from_ns, until_ns


def _quotes(log: Log, known: int) -> dict[str, str]:
    events = (recorded.event for recorded in log.rulebook(known))
    return {event.symbol: event.quote_currency for event in events if isinstance(event, SymbolRegistered)}


def _ledger_id(log: Log) -> str:
    return next(recorded.event.ledger_id for recorded in log.ledger() if isinstance(recorded.event, LedgerCreated))


def _scope(options: argparse.Namespace) -> str:
    """Names what is compared: breaks of another scope are none of this run's."""
    return ";".join((options.venue, options.account, ",".join(sorted(options.source))))


def _tolerance(text: str) -> tuple[str, str]:
    currency, _, amount = text.partition("=")
    if not ID.fullmatch(currency) or not DECIMAL.fullmatch(amount) or amount.startswith("-"):
        raise argparse.ArgumentTypeError(f"{text!a} is not CURRENCY=AMOUNT, for example USDT=0.01")
    return currency, amount


def _id(text: str) -> str:
    if text and not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match {ID.pattern}")
    return text


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!a} is no folder")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="reconcile.py",
        description=re.sub(r"\s+", " ", __doc__.partition("\n")[0]),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", metavar="ENGINE_FILE", nargs="+", type=Path, help="fills as the engine exported them")
    add("--columns", default="ledger", metavar="MAP", help="a preset and ours=theirs, see below (default %(default)s)")
    add("--format", choices=FORMATS, default="", help="of the files (default: by their names)")
    add("--from", dest="from_ns", type=time_ns, metavar="TIME", help="first instant (default: of the first day of"
        " the files)")  # fmt: skip
    add("--until", dest="until_ns", type=time_ns, metavar="TIME", help="first instant behind (default: the end of the"
        " last day of the files)")  # fmt: skip
    add(
        "--known-at",
        type=known_at,
        default={},
        metavar="POSITION|TIME",
        help="what the ledger knew then (default: now)",
    )
    add("--source", type=_id, action="append", default=[], help="only what this source sent; may be given again")
    add("--account", type=_id, default="", metavar="ID", help="the files are of this account alone")
    add("--venue", type=_id, default="", help="the files are of this venue (default: as they say, else the only one)")
    add("--tolerance", type=_tolerance, action="append", default=[], metavar="CURRENCY=AMOUNT", help="fees and"
        " notionals in it may differ so much (default 0); may be given again")  # fmt: skip
    add("--time-unit", choices=UNITS_NS, help="the engine cuts its times to it (default: as their column says)")
    add("--negate-fees", action="store_true", help="the engine writes a charge below zero, and a rebate above")
    add("--no-legs", dest="legs", action="store_false", help="do not compare the two legs of a trade")
    add("--out", choices=("table", "csv", "json"), default="table", help="what is printed (default %(default)s)")
    add("--limit", type=number(0, 1_000_000), default=10, metavar="N", help="breaks of a kind in the table (default"
        " %(default)s)")  # fmt: skip
    add("--html", type=Path, metavar="FILE", help="write a page to look at, too")
    add("--state", type=Path, metavar="FILE", help="remember the breaks there, and say which are new, known, resolved")
    add("--memory", type=number(200, 1_000_000), default=1_500, metavar="MB", help="of the comparison; the rest goes to"
        " disk (default %(default)s)")  # fmt: skip
    add("--threads", type=number(1, 256), default=min(4, os.cpu_count() or 1), metavar="N", help="default %(default)s")
    add("--work", type=_folder, metavar="FOLDER", help="for the temporary file, which takes about as much room as both"
        " sides (default: $TMPDIR)")  # fmt: skip
    add_store_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
