"""Compare an engine's fills with the ledger's: what is missing, too many, or not the same, break by break."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import duckdb

from ledger import programmes
from ledger.cli import Options
from ledger.cli.errors import UnusableError, tell
from ledger.domain.events import ProgrammePublished, SymbolRegistered
from ledger.domain.instants import BEGINNING_NS, DAY_NS, LATEST_NS, SECOND_NS, instant_text
from ledger.store.log import Head, Log
from ledger.store.postgres.database import open_datastore
from ledger.tools.duck.database import Database, open_database
from ledger.tools.engine_files.columns import Mapped
from ledger.tools.engine_files.engine_table import EngineFiles
from ledger.tools.engine_files.source import check_file
from ledger.tools.progress import ProgressBar
from ledger.tools.reconcile.arguments import UNITS_NS
from ledger.tools.reconcile.breaks import find_breaks
from ledger.tools.reconcile.ledger_fills import load_ledger
from ledger.tools.reconcile.page import write_report
from ledger.tools.reconcile.printing import print_csv, print_json, print_table
from ledger.tools.reconcile.report import Comparison, Report
from ledger.tools.reconcile.state import compare, write
from ledger.tools.reconcile.terms import Terms
from ledger.tools.reconcile.totals import add_totals
from ledger.tools.store import open_store
from projections.answers.fill_columns import FillSpan

_MARGIN_NS: Final = 600 * SECOND_NS  # beyond the period, where a fill of the other side may have another instant


def reconcile(options: Options) -> int:
    """Compare, tell what differs, and remember it; the exit code is 1 unless they agree. Raises UnusableError."""
    try:
        with (
            open_store(options) as dsn,
            open_datastore(dsn, options.schema, connections=1) as datastore,
            _open(options) as database,
        ):
            report = _report(database, Log(datastore), options)
            _tell(report, options)
            if options.state:
                write(database, options.state, _scope(options))
            return 0 if report.agrees else 1
    except duckdb.OutOfMemoryException as error:
        remedy = "give --memory or --work"
        raise UnusableError(f"{options.memory} MB do not suffice, or the disk is full: {remedy}") from error
    except duckdb.Error as error:
        raise UnusableError(f"the comparison failed: {' '.join(str(error).split())[:300]}") from error


def _open(options: Options) -> AbstractContextManager[Database]:
    for path in options.files:
        check_file(path)
    return open_database(options.work, options.memory, options.threads, options.files)


def _report(database: Database, log: Log, options: Options) -> Report:
    known = _known(log, options.known_at)
    quotes = _quotes(log, known.position)
    files = _files(database, options, quotes)
    governed = _governed(log)
    only = next(iter(governed)) if len(governed) == 1 else ""
    venues = _venues(database, options.venue or only)
    from_ns, until_ns = _period(database, options)
    legs = options.legs and not options.account
    terms = Terms(from_ns, until_ns, dict(options.tolerance), legs, tuple(dict.fromkeys(options.without)))
    span = FillSpan(
        max(from_ns - _MARGIN_NS, BEGINNING_NS),
        min(until_ns + _MARGIN_NS, LATEST_NS),
        known.position,
        options.source,
        [options.account] if options.account else [],
        venues,
    )
    _load_ledger(database, log, span)
    with _step(database, "comparing"):
        find_breaks(database, terms)
    with _step(database, "adding up"):
        add_totals(database, terms, quotes)
    run_at = instant_text(time.time_ns() // SECOND_NS * SECOND_NS)
    compare(database, terms, options.state, run_at, _scope(options))
    run = Comparison(
        log.ledger_id(),
        known.position,
        instant_text(known.recorded_time_ns) if known.position else "",
        run_at,
        tuple(options.source),
        terms,
        str(options.state or ""),
        tuple(sorted(governed - set(venues))) if venues and not options.venue else (),
    )
    return Report(database, files, run)


def _files(database: Database, options: Options, symbols: Collection[str]) -> EngineFiles:
    """Read the engine's files into the table `engine`; `symbols` are those of the ledger."""
    constants = {name: value for name, value in (("account_id", options.account), ("venue", options.venue)) if value}
    files = EngineFiles(database, Mapped(options.columns), constants, symbols)
    for path in options.files:
        with _step(database, f"reading {path.name}"):
            files.load(path, options.format, UNITS_NS.get(options.time_unit, 0), negated=options.negate_fees)
    return files


def _load_ledger(database: Database, log: Log, span: FillSpan) -> None:
    """Read the ledger's fills into the table `ledger`."""
    progress = ProgressBar()
    try:
        load_ledger(database, log, span, lambda done, total: progress.show("days of the log", done, total))
    finally:
        progress.clear()


@contextmanager
def _step(database: Database, name: str) -> Iterator[None]:
    """Show how far a step is that duckdb does, and for how long; often it does not know, and says 0 %."""
    progress = ProgressBar()
    try:
        with database.watched(lambda percent: progress.show("%", percent, more=f", {name}")):
            yield
    finally:
        progress.clear()


def _tell(report: Report, options: Options) -> None:
    if options.html:
        write_report(report, options.html)
    if options.out == "csv":
        print_csv(report, sys.stdout, spreadsheet=options.spreadsheet)
        tell(0, f"fee-ledger: {report.verdict}")
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


def _governed(log: Log) -> set[str]:
    """The venues of all programmes."""
    published = (recorded.event for recorded in log.rulebook(log.head().position))
    return {
        venue
        for event in published
        if isinstance(event, ProgrammePublished)
        for venue in programmes.parse(event.content).venues
    }


def _venues(database: Database, venue: str) -> list[str]:
    """Fills that name no venue are of this one. The venues of all fills."""
    if database.one("SELECT count(*) FROM engine WHERE venue IS NULL"):
        if not venue:
            raise UnusableError("the files name no venue, and this ledger has several: give --venue")
        database.run("UPDATE engine SET venue = ? WHERE venue IS NULL", [venue])
    found = [name for (name,) in database.all("SELECT DISTINCT venue FROM engine ORDER BY venue")]
    return found or ([venue] if venue else [])


def _period(database: Database, options: Options) -> tuple[int, int]:
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


def _scope(options: Options) -> str:
    """Names what is compared: breaks of another scope are none of this run's."""
    return ";".join((options.venue, options.account, ",".join(sorted(options.source))))
