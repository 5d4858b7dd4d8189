"""The result of a reconciliation, ready to be told: the facts of the run, counts, and the breaks as they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.cli.screens import many
from ledger.domain.instants import DAY_NS, instant_text
from ledger.tools.duck.database import Database
from ledger.tools.engine_files.engine_table import EngineFiles
from ledger.tools.reconcile.breaks import count_breaks
from ledger.tools.reconcile.chart import Day
from ledger.tools.reconcile.kinds import FIELDS, KINDS
from ledger.tools.reconcile.state import count_status
from ledger.tools.reconcile.terms import Terms
from ledger.tools.reconcile.totals import count_totals, read_sums, read_totals

COLUMNS: Final = (  # of a break
    *("id", "kind", "status", "first_seen", "venue", "account_id", "day", "exec_id", "symbol", "trade_id", "currency"),
    *("engine", "ledger", "difference", "tolerance", "engine_place", "ledger_position", "ledger_line"),
)
_SELECT: Final = (
    "SELECT id, kind, status, first_seen, venue, account_id, day_text(day) AS day, exec_id, symbol, trade_id, currency,"
    " engine, ledger, difference, tolerance, place, position, line FROM breaks"
)


@dataclass(frozen=True)
class Comparison:
    """The two sides of a comparison, and its terms."""

    ledger_id: str
    position: int
    known_at: str  # when that was recorded
    run_at: str
    sources: tuple[str, ...]
    terms: Terms
    state: str  # file of earlier breaks, if any
    other_venues: tuple[str, ...] = ()  # that the ledger knows, and no file names


class Report:
    """Everything there is to tell."""

    def __init__(self, database: Database, files: EngineFiles, run: Comparison) -> None:
        self._database = database
        self.files = files
        self.run = run
        inside = run.terms.inside()
        silent = ", ".join(f"count(*) FILTER ({inside} AND {field.column} IS NULL)" for field in FIELDS.values())
        self.engine_fills, self.engine_outside, *counts = database.all(
            f"SELECT count(*) FILTER ({inside}), count(*) FILTER (NOT {inside}), {silent} FROM engine"
        )[0]
        self.silent = {name: count for name, count in zip(FIELDS, counts, strict=True) if count}
        self.ledger_fills = database.one(f"SELECT count(*) FROM ledger WHERE {inside}")
        self.counts = count_breaks(database)
        self.status = count_status(database)
        self.totals = count_totals(database)

    @property
    def agrees(self) -> bool:
        """True if there is something, all of it was compared, and neither a fill nor a control total differs."""
        return bool(self.engine_fills) and not self.counts and not self.differing_totals

    @property
    def verdict(self) -> str:
        """The outcome in one line without a full stop; that they agree is only said with what was not compared."""
        if self.counts:
            told = many(self.breaks, "break")
        elif self.differing_totals:
            told = f"control totals differ and no fill tells why: by {', '.join(self.differing_totals)}"
        elif not self.engine_fills:
            told = "nothing was compared: neither side has a fill in the period"
        else:
            left = [name for name, _ in self.left_out()]
            told = f"engine and ledger agree{f', {_listed(left)} not compared' if left else ''}"
        if self.run.state:
            status = self.status
            told += f": {status['NEW']:,} new, {status['KNOWN']:,} known, {status['RESOLVED']:,} resolved since"
        return told

    @property
    def agreement(self) -> str:
        """Return that all fills agree; it is true where `agrees` is."""
        return f"all {self.engine_fills:,} fills agree" if self.engine_fills != 1 else "the one fill agrees"

    @property
    def differing_totals(self) -> list[str]:
        """The dimensions in which a control total differs by more than the tolerances."""
        return [dimension for dimension, (_, differing) in self.totals.items() if differing]

    @property
    def breaks(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def period(self) -> str:
        """From and until, for a person."""
        return period_text(self.run.terms)

    def not_compared(self) -> list[str]:
        """Return what was not compared, and why; a line each."""
        return [f"{name}: {why}" for name, why in self.left_out()]

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Yield (what was not compared, why)."""
        for name in FIELDS:
            count = self.silent.get(name, 0)
            if not self.run.terms.compares(name):
                yield name, "left out by --without"
            elif count and count == self.engine_fills:
                yield name, "the engine never says it"
            elif count:
                yield f"{name} of {many(count, 'fill')}", "the engine says nothing there"
        if not self.run.terms.legs:
            yield "legs of trades", "only one account's fills are looked at, or --no-legs was given"
        for venue in self.run.other_venues:
            yield f"venue {venue}", "no file names it"
        if self.engine_outside:
            yield f"{many(self.engine_outside, 'fill')} of the engine", "outside the period"

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

    def differences(self, kind: str) -> list[tuple[str, str]]:
        """Sums of the differences of a kind's breaks that are amounts of a currency: (currency, sum)."""
        return self._database.all(
            f"SELECT currency, amount_text(sum(amount(difference))) FROM breaks WHERE kind = '{kind}'"
            " AND currency IS NOT NULL AND difference IS NOT NULL GROUP BY currency ORDER BY currency"
        )

    def sums_of(self, dimension: str) -> list[dict[str, Any]]:
        """See `totals.read_sums`."""
        return read_sums(self._database, dimension)

    def totals_of(self, dimension: str, **choice: Any) -> list[dict[str, Any]]:
        """See `totals.read_totals`."""
        return read_totals(self._database, dimension, **choice)

    def summary(self) -> Mapping[str, Any]:
        """The facts of the run as a document."""
        terms = self.run.terms
        return {
            "verdict": self.verdict,
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
            "without": list(terms.without),
            "not_compared": self.not_compared(),
        }


def _listed(names: list[str]) -> str:
    """Return some names as a person lists them: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def period_text(terms: Terms) -> str:
    """From and until, for a person."""
    whole = terms.from_ns % DAY_NS == terms.until_ns % DAY_NS == 0
    first, last = (instant_text(at_ns) for at_ns in (terms.from_ns, terms.until_ns - 1))
    if not whole:
        return f"{first} until {instant_text(terms.until_ns)}"
    return first[:10] if first[:10] == last[:10] else f"{first[:10]} to {last[:10]}"
