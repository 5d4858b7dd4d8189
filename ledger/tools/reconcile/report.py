"""What a reconciliation found, ready to be told: the facts of the run, counts, and the breaks as they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.domain.instants import instant_text
from ledger.tools.reconcile.breaks import Terms, count_breaks
from ledger.tools.reconcile.chart import Day
from ledger.tools.reconcile.database import Database
from ledger.tools.reconcile.engine_file import EngineFiles
from ledger.tools.reconcile.kinds import KINDS
from ledger.tools.reconcile.state import count_status
from ledger.tools.reconcile.totals import count_totals, read_totals

COLUMNS: Final = (  # of a break
    *("id", "kind", "status", "first_seen", "venue", "account_id", "day", "exec_id", "symbol", "trade_id", "currency"),
    *("engine", "ledger", "difference", "tolerance", "engine_place", "ledger_position", "ledger_line"),
)
_SELECT: Final = (
    "SELECT id, kind, status, first_seen, venue, account_id, day_text(day) AS day, exec_id, symbol, trade_id, currency,"
    " engine, ledger, difference, tolerance, place, position, line FROM breaks"
)


@dataclass(frozen=True)
class Run:
    """What was compared with what."""

    ledger_id: str
    position: int
    known_at: str  # when that was recorded
    run_at: str
    sources: tuple[str, ...]
    terms: Terms
    state: str  # file of earlier breaks, if any


class Report:
    """Everything there is to tell."""

    def __init__(self, database: Database, files: EngineFiles, run: Run) -> None:
        self._database = database
        self.files = files
        self.run = run
        inside = f"time_ns >= {run.terms.from_ns} AND time_ns < {run.terms.until_ns}"
        self.engine_fills, self.engine_outside = database.all(
            f"SELECT count(*) FILTER ({inside}), count(*) FILTER (NOT ({inside})) FROM engine"
        )[0]
        self.ledger_fills = database.one(f"SELECT count(*) FROM ledger WHERE {inside}")
        self.counts = count_breaks(database)
        self.status = count_status(database)
        self.totals = count_totals(database)
        self.without = files.without()
        self.silent = files.silent()

    @property
    def agrees(self) -> bool:
        """Whether there is no break."""
        return not self.counts

    @property
    def breaks(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def period(self) -> str:
        """From and until, for a person."""
        return period_text(self.run.terms)

    def not_compared(self) -> list[str]:
        """What was not, and why; a line each."""
        told = []
        if self.without:
            told.append(f"{', '.join(self.without)}: the engine's file has no such column")
        told += [f"{name} of {count:,} fills: the engine says nothing there" for name, count in self.silent.items()]
        if not self.run.terms.legs:
            told.append("legs of trades: only one account's fills are looked at, or --no-legs was given")
        if self.engine_outside:
            told.append(f"{self.engine_outside:,} of the engine's fills: they lie outside the period")
        return told

    def rows(self, kind: str = "", limit: int = -1) -> Iterator[dict[str, Any]]:
        """Breaks by kind, new ones first, then by key; of one kind or all."""
        where = f" WHERE kind = '{kind}'" if kind else ""
        ranks = " ".join(f"WHEN '{name}' THEN {rank}" for rank, name in enumerate(KINDS))
        order = f" ORDER BY CASE kind {ranks} END, status DESC, day, venue, account_id, exec_id, trade_id, id"
        bound = f" LIMIT {limit}" if limit >= 0 else ""
        for row in self._database.records(f"{_SELECT}{where}{order}{bound}"):
            place = row.pop("place")
            row["ledger_position"], row["ledger_line"] = row.pop("position"), row.pop("line")
            row["engine_place"] = None if place is None else self.files.where(place)
            yield {name: row[name] for name in COLUMNS}

    def resolved(self, limit: int = -1) -> list[dict[str, Any]]:
        """Breaks that were open at an earlier run, and are not now."""
        bound = f" LIMIT {limit}" if limit >= 0 else ""
        statement = "SELECT id, kind, venue, account_id, day, exec_id, first_seen FROM resolved ORDER BY id"
        return list(self._database.records(f"{statement}{bound}"))

    def by_day(self) -> list[Day]:
        """Fills and breaks of each day that has any."""
        rows = self._database.all(
            "SELECT day, coalesce(engine, 0)::BIGINT, coalesce(ledger, 0)::BIGINT, coalesce(breaks, 0)::BIGINT FROM"
            " (SELECT key AS day, sum(engine_fills) AS engine, sum(ledger_fills) AS ledger FROM totals"
            "  WHERE dimension = 'day' GROUP BY key)"
            " FULL JOIN (SELECT day_text(day) AS day, count(*) AS breaks FROM breaks GROUP BY day) USING (day)"
            " ORDER BY day"
        )
        return [Day(*row) for row in rows]

    def totals_of(self, dimension: str, **choice: Any) -> list[dict[str, Any]]:
        """See `totals.read_totals`."""
        return read_totals(self._database, dimension, **choice)

    def summary(self) -> Mapping[str, Any]:
        """The facts of the run as a document."""
        terms = self.run.terms
        return {
            "agrees": self.agrees,
            "breaks": self.breaks,
            "by_kind": self.counts,
            "by_status": {name.lower(): count for name, count in self.status.items()},
            "engine_files": dict(zip(self.files.names, self.files.fills, strict=True)),
            "engine_fills": self.engine_fills,
            "engine_fills_outside_period": self.engine_outside,
            "ledger_fills": self.ledger_fills,
            "ledger_id": self.run.ledger_id,
            "known_at_position": self.run.position,
            "known_at_time": self.run.known_at,
            "run_at": self.run.run_at,
            "from": instant_text(terms.from_ns),
            "until": instant_text(terms.until_ns),
            "sources": list(self.run.sources),
            "tolerances": dict(terms.tolerances),
            "not_compared": self.not_compared(),
        }


def period_text(terms: Terms) -> str:
    """From and until, for a person."""
    whole = terms.from_ns % 86_400_000_000_000 == terms.until_ns % 86_400_000_000_000 == 0
    first, last = (instant_text(at_ns) for at_ns in (terms.from_ns, terms.until_ns - 1))
    if not whole:
        return f"{first} until {instant_text(terms.until_ns)}"
    return first[:10] if first[:10] == last[:10] else f"{first[:10]} to {last[:10]}"
