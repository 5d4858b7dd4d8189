"""The readings of the log, of the tables, of sources and of evaluations: asked of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from psycopg.sql import SQL

from ledger.domain.decide.evaluation_run import evaluations_due
from ledger.domain.decide.evaluation_sources import Sign, is_silent
from ledger.domain.events import PERIODIC, SourceAdvanced
from ledger.domain.state.programme import Programme
from ledger.domain.streams import SOURCE_PREFIX, evaluation_stream, subject_of
from ledger.metrics.histogram import NS_PER_S
from ledger.metrics.page import Readings
from ledger.store.log import Log
from projections.as_of import Reader
from projections.live import Live
from projections.tables.position import lag_ns, rebuilding, tables_standing
from projections.tables.runner import Runner
from projections.tables.tables import TABLES_VERSION

_SOURCES_MAX: Final = 100
_PROGRAMMES_MAX: Final = 100

_Labels: TypeAlias = tuple[str, ...]


def log_readings(log: Log, schema: str, clock_ns: Callable[[], int]) -> Readings:
    """Return how far the log and the tables are, and what the database takes."""
    tables, version = tables_standing(log, schema)
    head, now_ns = log.head(), clock_ns()
    ((database_bytes,),) = log.query(SQL("SELECT pg_database_size(current_database())"), {})
    return {
        "fee_ledger_log_position": head.position,
        "fee_ledger_last_commit_age_seconds": max(now_ns - head.recorded_time_ns, 0) / NS_PER_S,
        "fee_ledger_tables_position": tables,
        "fee_ledger_tables_lag_positions": max(head.position - tables, 0),
        "fee_ledger_tables_lag_seconds": lag_ns(log, tables, head.position, now_ns) / NS_PER_S,
        "fee_ledger_tables_version": version,
        "fee_ledger_tables_version_wanted": TABLES_VERSION,
        "fee_ledger_tables_rebuilding": rebuilding(log, schema),
        "fee_ledger_database_bytes": database_bytes,
    }


def runner_readings(runner: Runner | None) -> Readings:
    """Return how often following the log began again; None: another process follows it."""
    return {"fee_ledger_tables_restarts_total": runner.restarts if runner else 0}


class PresentReadings:
    """Reads what a service knows beside that: of its sources, of evaluations, and how far its memory is."""

    def __init__(self, reader: Reader, schema: str, live: Live) -> None:
        self._reader = reader
        self._schema = schema
        self._live = live

    def readings(self) -> Readings:
        """Return all of it."""
        log, programmes = self._reader.log, self._programmes()
        return {
            **log_readings(log, self._schema, self._reader.now_ns),
            "fee_ledger_live_lag_positions": max(log.head().position - self._live.head.position, 0),
            **self._sources(programmes),
            **self._evaluations(programmes),
        }

    def _programmes(self) -> Sequence[Programme]:
        book, now_ns = self._reader.book(), self._reader.now_ns()
        found = (book.programme(name, now_ns) for name in book.programmes)
        return [programme for programme in found if isinstance(programme, Programme)][:_PROGRAMMES_MAX]

    def _sources(self, programmes: Sequence[Programme]) -> Readings:
        """Return the silence of those that somebody still waits for, the longest silent ones first."""
        now_ns, signs = self._reader.now_ns(), list[tuple[Sign, int]]()
        for last in self._reader.log.last_below(SOURCE_PREFIX, self._reader.log.head().position):
            assert isinstance(last.event, SourceAdvanced), last
            times = (last.event.latest_time_ns, last.event.complete_until_ns, last.envelope.effective_time_ns)
            signs.append((Sign(subject_of(last.stream), *times), last.event.last_sequence))
        waited = [one for one in signs if not all(is_silent(one[0], each, now_ns) for each in programmes)]
        told = sorted(waited, key=lambda one: one[0].signed_ns)[:_SOURCES_MAX]
        return {
            "fee_ledger_sources": len(signs),
            "fee_ledger_source_silent_seconds": {
                (sign.source,): max(now_ns - sign.signed_ns, 0) / NS_PER_S for sign, _ in told
            },
            "fee_ledger_source_sequence": {(sign.source,): sequence for sign, sequence in told},
        }

    def _evaluations(self, programmes: Sequence[Programme]) -> Readings:
        """Return how many evaluations of each programme are not done, since the ledger began."""
        book, now_ns = self._reader.book(), self._reader.now_ns()
        due, overdue_s, blocked = dict[_Labels, float](), dict[_Labels, float](), dict[_Labels, float]()
        for name in (programme.programme_id for programme in programmes):
            found = [at for at, _ in evaluations_due(book, name, self._reader.began_ns, now_ns)]
            states = {at: self._live.evaluation(evaluation_stream(name, PERIODIC, at)) for at in found}
            waiting = [at for at in found if not states[at].is_done]
            not_run = [at for at in waiting if states[at].completed is None]
            due[name,] = len(waiting)
            overdue_s[name,] = (now_ns - not_run[0]) / NS_PER_S if not_run else 0
            blocked[name,] = len(waiting) - len(not_run)
        return {
            "fee_ledger_evaluations_due": due,
            "fee_ledger_evaluation_overdue_seconds": overdue_s,
            "fee_ledger_evaluations_without_closes": blocked,
        }
