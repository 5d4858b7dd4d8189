"""The whole audit: its stretches, the findings of its processes, and the sources, which span all accounts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.domain.events import Recorded
from ledger.domain.term_clock import TermClocks
from ledger.replay.compare import UNDECIDABLE, Deviation, Difference, said
from ledger.replay.sources import SourcesAgain
from ledger.store.log import Log
from projections.audit.frame import Frame
from projections.audit.log_rows import chosen_rows
from projections.audit.migrations import check_migrations
from projections.audit.processes import Shares
from projections.audit.requests import REQUEST
from projections.audit.rows import RECORDED_TIME, AuditReader, ChosenRows
from projections.audit.scope import Scope
from projections.audit.seen import Seen
from projections.audit.share import StretchAnswer
from projections.audit.terms import Otherwise, Terms

EVENTS_PER_STRETCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """The outcome at positions up to `until`, since the stretch before: findings, and what older rules decided.

    `digest` is that of all that was read up to `until`, if it is kept.
    """

    until: int
    deviations: list[Deviation]
    events: int
    fills: int
    requests: int
    otherwise: list[Otherwise]
    unkept: int  # requests that were recorded before requests were kept
    digest: str


class Audit:
    """Goes through a log in position order, from after a position on."""

    def __init__(self, log: Log, scope: Scope, *, after: int = 0, seen: Seen | None = None) -> None:
        """`seen` keeps a digest of what is read; it has taken what lies up to `after`."""
        self._log = log
        self._scope = scope
        self._after = after
        self._seen = seen
        self._digests = deque[str]()  # of the stretches under way
        self._frame = Frame(log)
        self._chosen = chosen_rows(log, scope)
        rows = AuditReader(log)
        self._ledger = rows.ledger
        self._terms = Terms(rows.ledger)
        said_before = rows.sources(after) if after and scope.is_whole else ()
        self._sources = SourcesAgain(TermClocks(rows.ledger).decided_ns, said_before)

    def accounts(self) -> int:
        """Return how many accounts are audited."""
        return len(self._scope.accounts) or self._frame.accounts(self._scope.known)

    def frame(self) -> Iterator[Deviation]:
        """Yield what is wrong with positions, versions, the tables beside the log, rules of terms, and migrations.

        Where it is not asked for: of these only with versions of the streams that are read, and with terms.
        """
        known = self._scope.known
        if not self._scope.has_frame:
            yield from self._chosen.misplaced()
            yield from self._terms.check(known)
            return
        yield from self._frame.check(known)
        yield from self._terms.check(known)
        yield from check_migrations(self._log, self._ledger, known)

    def run(self, shares: Shares) -> Iterator[Stretch]:
        """Decide every event again; yield the outcome stretch by stretch."""
        for until, parts in shares.parts(self._stretches()):
            found = [deviation for part in parts for deviation in part.deviations]
            if self._scope.is_whole:
                found += self._decide_sources(until, parts)
            findings, otherwise = self._terms.split(_once(found))
            counts = zip(*((part.events, part.fills, part.requests, part.unkept) for part in parts), strict=True)
            events, fills, requests, unkept = map(sum, counts)
            digest = self._digests.popleft() if self._seen else ""
            yield Stretch(until, findings, events, fills, requests, otherwise, unkept, digest)

    def _stretches(self) -> Iterator[tuple[int, int]]:
        for after, until in stretches(self._frame, self._chosen, self._after, self._scope.known):
            if self._seen:  # before anybody decides it: what is changed meanwhile is another log than the digest's
                self._digests.append(self._seen.take(after, until))
            yield after, until

    def _decide_sources(self, until: int, parts: Sequence[StretchAnswer]) -> list[Deviation]:
        for part in parts:
            self._sources.count(part.lines)
        found = [deviation for part in parts for recorded in part.advances for deviation in self._advance(recorded)]
        return found + self._sources.end(until)

    def _advance(self, recorded: Recorded) -> list[Deviation]:
        try:
            return self._sources.advance(recorded)
        except UNDECIDABLE as error:
            return [said(recorded, f"it cannot be decided: {error!r}")]


def stretches(frame: Frame, chosen: ChosenRows, after: int, known: int) -> Iterator[tuple[int, int]]:
    """Yield (after, until) up to a position: each ends where a commit does, as far as the commits say."""
    while after < known:
        until = min(frame.end_of_commit(chosen.position_after(after, EVENTS_PER_STRETCH), after), known)
        yield after, until
        after = until


def _once(deviations: Sequence[Deviation]) -> list[Deviation]:
    """Return deviations in the order of positions, each once however many processes tell of it.

    Of a fault of a commit, or of a request, only the first.
    """
    found, told = [], set[str]()
    for deviation in sorted(dict.fromkeys(deviations), key=lambda each: each.position):
        differs = [each for each in deviation.differs if _of_several(each) not in told]
        told.update(filter(None, map(_of_several, differs)))
        if differs:
            found.append(Deviation(deviation.position, deviation.stream, tuple(differs)))
    return found


def _of_several(difference: Difference) -> str:
    """Return the commit or request that a difference is about, which other events may tell of too; empty: neither."""
    if difference.field.startswith(REQUEST):
        return difference.field
    return difference.expected if difference.field == RECORDED_TIME else ""
