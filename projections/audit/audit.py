"""The whole audit: its stretches, what the processes find in them, and the sources, which span all accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.domain.events import Recorded
from ledger.domain.term_clock import TermClocks
from ledger.replay.compare import UNDECIDABLE, Deviation, said
from ledger.replay.sources import SourcesAgain
from ledger.store.log import Log
from projections.audit.frame import Frame
from projections.audit.processes import Shares
from projections.audit.rows import RECORDED_TIME, Rows
from projections.audit.scope import Scope
from projections.audit.share import Part
from projections.audit.terms import Otherwise, Terms

EVENTS_PER_STRETCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions up to `until`, since the stretch before: findings, and what older rules decided otherwise."""

    until: int
    deviations: list[Deviation]
    events: int
    fills: int
    otherwise: list[Otherwise]


class Audit:
    """Goes through a log in position order, from behind a position on."""

    def __init__(self, log: Log, schema: str, scope: Scope, *, after: int = 0) -> None:
        self._log = log
        self._scope = scope
        self._after = after
        self._frame = Frame(log, schema)
        rows = Rows(log, schema)
        self._terms = Terms(rows.ledger)
        self._sources = SourcesAgain(TermClocks(rows.ledger).decided_ns, rows.sources(after) if after else ())

    def accounts(self) -> int:
        """How many accounts are audited."""
        return len(self._scope.accounts) or self._frame.accounts(self._scope.known)

    def frame(self) -> list[Deviation]:
        """Positions, versions and commits of the whole log, and the rules of its terms."""
        return [*self._frame.check(self._scope.known), *self._terms.check(self._scope.known)]

    def run(self, shares: Shares) -> Iterator[Stretch]:
        """Every event decided again, stretch by stretch."""
        for until, parts in shares.parts(self._stretches()):
            found = [deviation for part in parts for deviation in part.deviations]
            if self._scope.is_whole:
                found += self._decide_sources(until, parts)
            findings, otherwise = self._terms.split(_once(found))
            events, fills = sum(part.events for part in parts), sum(part.fills for part in parts)
            yield Stretch(until, findings, events, fills, otherwise)

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """(after, until): each ends where a commit does, as far as the commits say."""
        after, known = self._after, self._scope.known
        while after < known:
            until = min(self._frame.end_of_commit(after + EVENTS_PER_STRETCH), known)
            yield after, until
            after = until

    def _decide_sources(self, until: int, parts: Sequence[Part]) -> list[Deviation]:
        for part in parts:
            self._sources.count(part.lines)
        found = [deviation for part in parts for recorded in part.advances for deviation in self._advance(recorded)]
        return found + self._sources.end(until)

    def _advance(self, recorded: Recorded) -> list[Deviation]:
        try:
            return self._sources.advance(recorded)
        except UNDECIDABLE as error:
            return [said(recorded, f"it cannot be decided: {error!r}")]


def _once(deviations: Sequence[Deviation]) -> list[Deviation]:
    """In the order of positions; that a commit has another time than its events is told by the first of these alone."""
    found, told = [], set[str]()
    for deviation in sorted(deviations, key=lambda each: each.position):
        differs = []
        for each in deviation.differs:
            if each.field != RECORDED_TIME or each.expected not in told:
                differs.append(each)
            if each.field == RECORDED_TIME:
                told.add(each.expected)
        if differs:
            found.append(Deviation(deviation.position, deviation.stream, tuple(differs)))
    return found
