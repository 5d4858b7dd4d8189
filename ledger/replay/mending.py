"""Decides again what became of late facts: which were released, and each line that they restate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from ledger.domain.decide.facts import fact_of
from ledger.domain.events import (
    AccountUnflagged,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    PairClassAssigned,
    PairRatesSet,
    Recorded,
    ReleaseAdvanced,
    RepriceAdvanced,
    RepriceCompleted,
    RepriceStarted,
    VolumeEvaluated,
)
from ledger.domain.state.repricings import BEGINNING, Cursor
from ledger.domain.state.volume_cells import add_totals, to_totals
from ledger.domain.streams import account_stream, day_key, kind_and_subject, repricing_stream, subject_of
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import adjustments
from ledger.fills.mend import Mending
from ledger.fills.reprice import completed, next_part
from ledger.fills.targets import Targets
from ledger.replay.compare import UNDECIDABLE, Deviation, compared, said
from ledger.replay.requests import RequestsAgain
from ledger.replay.states import States

Outcome = FactReleased | FactWithheld
SHARED_FACTS: Final = (PairClassAssigned, PairRatesSet)

RULES_WITH_RELEASES: Final = 4  # older rules adjusted fees by themselves, without a FactReleased


class _Due(NamedTuple):
    """The adjustments of an account-day that must still be posted."""

    follows: Recorded  # a release, or the beginning of a repricing
    cause: Recorded  # the event that says who asked: the fact, or `follows` itself
    events: list[FeeAdjusted]


class _Repriced(NamedTuple):
    """The beginning of a repricing, which comes unless the lines of the release follow at once; or its end."""

    follows: Recorded
    cause: Recorded
    event: RepriceStarted | RepriceCompleted


class MendedAgain:
    """Decides again what follows from facts of accounts, commit by commit."""

    def __init__(self, states: States, requests: RequestsAgain, given: Callable[[str], bool]) -> None:
        """`given` says of which fee streams the events are given."""
        self._states = states
        self._given = given
        self._mending = Mending(states)
        self._requests = requests
        # The last fact, or that a shared one was brought to accounts; and what must follow it, each with its stream.
        self._expected: tuple[Recorded, Iterator[tuple[str, Outcome]]] | None = None
        self._repriced: _Repriced | None = None
        self._days: dict[str, _Due] = {}  # by fee stream
        self._facts: dict[int, Recorded] = {}  # by position, of the commit at hand
        self._unflagged: dict[str, Recorded] = {}  # by account, likewise

    def note(self, recorded: Recorded) -> None:
        """Note an event that was taken in: what follows from a fact of an account must be recorded next."""
        if isinstance(recorded.event, FactReleased) and kind_and_subject(recorded.stream)[0] == "account":
            self._note_release(recorded)
        if isinstance(recorded.event, SHARED_FACTS):
            now_ns = self._states.decided_ns(recorded.envelope)
            outcomes = self._mending.shared_outcome(recorded, now_ns)
            self._expected = (recorded, ((recorded.stream, each) for each in outcomes))
        if fact_of(recorded, ()) is None:
            return
        account_id = subject_of(recorded.stream)
        self._facts[recorded.position] = recorded
        if isinstance(recorded.event, AccountUnflagged):
            self._unflagged[account_id] = recorded
        now_ns = self._states.decided_ns(recorded.envelope)
        outcomes = self._mending.outcome(recorded, account_id, now_ns)
        self._expected = (recorded, ((recorded.stream, each) for each in outcomes))

    def is_outcome(self, recorded: Recorded) -> bool:
        """Return True if an event says what became of the last fact: no command of its own records it.

        One that a command records keeps its request. So whose request either of both names does not matter. The
        beginning and the end of the restating of lines say it, too.
        """
        if self._repriced is not None and isinstance(recorded.event, RepriceStarted | RepriceCompleted):
            return recorded.stream == repricing_stream(subject_of(self._repriced.follows.stream))
        if self._expected is None or not isinstance(recorded.event, Outcome):
            return False
        fact, _ = self._expected
        if isinstance(fact.event, ReleaseAdvanced):
            if kind_and_subject(recorded.stream)[0] != "account":
                return False
        elif fact.stream != recorded.stream:
            return False
        return fact.envelope.request_id == recorded.envelope.request_id or self._requests.is_further(recorded.envelope)

    def outcome(self, recorded: Recorded, event: Outcome) -> list[Deviation]:
        """Compare what became of a late fact; what the release before it restates must have been posted."""
        fact, expected = self._expected or (recorded, iter(()))
        found, (stream, decided) = self._missing(), next(expected, ("", None))
        if decided is None:
            return [*found, said(recorded, "no late fact before it has this outcome", ruled=True)]
        if stream != recorded.stream:
            return [*found, said(recorded, f"{decided!r} was expected before it, in {stream}", ruled=True)]
        found += _by_request(self._requests, recorded, fact)
        if type(decided) is not type(event):
            return [*found, said(recorded, f"expected {type(decided).__name__}", ruled=True)]
        return found + compared(recorded, decided, self._states.decided_ns(recorded.envelope))

    def _note_release(self, recorded: Recorded) -> None:
        asked = self._expected[0] if self._expected is not None and self.is_outcome(recorded) else recorded
        started = self._mending.started(subject_of(recorded.stream), recorded)
        self._repriced = _Repriced(recorded, asked, started)

    def _begin(self) -> list[Deviation]:
        """Expect that the lines of a release follow at once, where no event begins to restate them part by part.

        Returns a deviation where these cannot be told.
        """
        if self._repriced is None or not isinstance(self._repriced.event, RepriceStarted):
            return []
        release, asked, started = self._repriced.follows, self._repriced.cause, self._repriced.event
        try:
            if self._mending.must_wait(started):
                return []
            self._repriced = None
            cause = (started.cause, started.fact_position)
            for stream, restated in self._mending.restated(started.account_id, started.release_position):
                self._expect(stream, restated, (release, asked), cause, started.release_position)
        except UNDECIDABLE as error:
            return [said(release, f"what follows from it cannot be decided: {error!r}")]
        return []

    def _expect(
        self,
        stream: str,
        restated: Targets,
        follows: tuple[Recorded, Recorded],
        cause: tuple[str, int],
        release_position: int,
    ) -> None:
        """Expect the lines of an account-day: `follows` are the event that they follow from, and the one that asked."""
        if not self._given(stream):
            return
        known, day = self._states.day(day_key(stream)), AccountDay()
        add_totals(day.sums, to_totals(known.sums))
        day.time_max_so_far_ns = known.time_max_so_far_ns
        self._days[stream] = _Due(*follows, list(adjustments(day, restated, cause, release_position)))

    def repriced(self, recorded: Recorded, event: RepriceStarted | RepriceCompleted) -> list[Deviation]:
        """Compare the beginning or the end of a repricing, which is open until then."""
        found = self._unposted() if isinstance(event, RepriceCompleted) else []
        due, self._repriced = self._repriced, None
        if due is None or type(due.event) is not type(event):
            return [*found, said(recorded, "nothing before it begins to restate lines, or ends it", ruled=True)]
        found += _by_request(self._requests, recorded, due.cause)
        return found + compared(recorded, due.event, self._states.decided_ns(recorded.envelope))

    def advanced(self, recorded: Recorded, event: RepriceAdvanced) -> list[Deviation]:
        """Compare a part of a repricing: how far it goes is its own; the lines up to there that change must follow."""
        underway = next(iter(self._states.repricings(subject_of(recorded.stream)).open), None)
        if underway is None or underway.next is None:
            return [said(recorded, "no lines of the account are to be restated", ruled=True)]
        until = Cursor(event.next_day, event.next_position, event.next_line)
        part = next_part(self._mending, underway, until=until if until != BEGINNING else None)
        began = underway.event
        for stream, restated in part.restated:
            cause = (began.cause, began.fact_position)
            self._expect(stream, restated, (underway.started, underway.started), cause, began.release_position)
        if (ended := completed(part.advanced)) is not None:
            self._repriced = _Repriced(underway.started, underway.started, ended)
        found = self._requests.further(recorded, underway.started)
        return found + compared(recorded, part.advanced, self._states.decided_ns(recorded.envelope))

    def brought(self, recorded: Recorded, event: ReleaseAdvanced) -> list[Deviation]:
        """Compare how far a shared fact was brought: up to which account is its own; what it becomes there must follow.

        Each process of an audit derives that for the accounts that are its own.
        """
        underway = next(iter(self._states.releases_underway()), None)
        if underway is None or underway.release.position != event.release_position:
            return [said(recorded, "no release of a fact of many accounts is to be brought to any", ruled=True)]
        now_ns, mine = self._states.decided_ns(recorded.envelope), self._states.is_given
        outcomes = self._mending.brought(underway, event.until_account_id, mine)
        self._expected = (recorded, ((account_stream(name), each) for name, each in outcomes))
        found = self._requests.further(recorded, underway.release)
        if event.until_account_id and event.until_account_id <= underway.after_account_id:
            found.append(said(recorded, f"accounts up to {underway.after_account_id} have it already", ruled=True))
        if (at_ns := recorded.envelope.effective_time_ns) != now_ns:
            found.append(said(recorded, f"effective_time_ns is {at_ns}, expected {now_ns}"))
        return found

    def adjusted(self, recorded: Recorded, event: FeeAdjusted) -> list[Deviation]:
        """Compare an adjustment with what the last release restates, but for what follows from its account-day."""
        found = self._begin()
        if not event.release_position and not self._releases(recorded):
            return found + self._from_what_was_posted(recorded, event)
        due = self._days.get(recorded.stream)
        if due is None:
            what = f"position {event.release_position} restates no more lines of this account-day"
            return [said(recorded, what, ruled=True), *found]
        found += _by_request(self._requests, recorded, due.cause)
        decided = replace(due.events.pop(0), totals=event.totals, previous_position=event.previous_position)
        if not due.events:
            del self._days[recorded.stream]
        return found + compared(recorded, decided, event.time_min_ns)

    def settle(self) -> list[Deviation]:
        """Return what should have been recorded after the last fact, and was not: something else comes now."""
        found = self._missing()
        pending, self._expected = self._expected, None
        if pending is None:
            return found
        fact, expected = pending
        if not self._releases(fact):
            return found
        try:
            return found + [
                said(fact, f"{each!r} should follow it" + _place(stream, fact), ruled=True) for stream, each in expected
            ]
        except UNDECIDABLE as error:
            return [*found, said(fact, f"what follows from it cannot be decided: {error!r}")]

    def _missing(self) -> list[Deviation]:
        """Return what should have been recorded by now of the last release: its lines, or that they are to come."""
        found = self._begin()
        due, self._repriced = self._repriced, None
        if due is not None and self._releases(due.follows):
            found.append(said(due.follows, f"{due.event!r} should follow it", ruled=True))
        return found + self._unposted()

    def _unposted(self) -> list[Deviation]:
        """Return the fees that should have been adjusted; they are told once."""
        due, self._days = self._days, {}
        return [
            said(each.follows, f"fees of {stream} should have been adjusted", ruled=True)
            for stream, each in due.items()
        ]

    def _releases(self, recorded: Recorded) -> bool:
        """Return True if an event lies in a term whose rules release facts."""
        return self._requests.rules_of(recorded.envelope.writer_term) >= RULES_WITH_RELEASES

    def end_commit(self) -> None:
        """Forget the facts of a commit."""
        self._facts.clear()
        self._unflagged.clear()

    @property
    def is_waiting(self) -> bool:
        """Return whether more must be recorded after the last fact, or may have to be."""
        return self._expected is not None or self._repriced is not None or bool(self._days)

    def _from_what_was_posted(self, recorded: Recorded, event: FeeAdjusted) -> list[Deviation]:
        """Compare what an older release adjusted with what was posted, and who asked: its amounts are its own."""
        account_id, _ = day_key(recorded.stream)
        cause = self._unflagged.get(account_id) or self._facts.get(event.cause_position)
        if cause is None or subject_of(cause.stream) != account_id:
            return [said(recorded, f"position {event.cause_position} changes no fee of this account", ruled=True)]
        found = _by_request(self._requests, recorded, cause)
        posted = {placed.ref: placed.known for placed in self._states.lines(recorded.stream)}
        for line in event.lines:
            known = posted.get((line.position, line.line))  # type: ignore[call-overload]
            before = (line.before.fee, event.bases[line.before.basis_index], event.symbols[line.before.symbol_index])
            if known is None or (known.line.fee, known.basis, known.terms) != before:
                return [*found, said(recorded, f"line {line.line} of position {line.position} was posted otherwise")]
        return found


def _place(stream: str, fact: Recorded) -> str:
    """Return in which stream something should follow, if it is another one than that of the fact."""
    return "" if stream == fact.stream else f", in {stream}"


def _by_request(requests: RequestsAgain, recorded: Recorded, cause: Recorded) -> list[Deviation]:
    """Compare who asked: of what an evaluation led to, with the run; of all else, with the cause."""
    if isinstance(cause.event, VolumeEvaluated):
        return requests.of_run(recorded, cause.event)
    return requests.further(recorded, cause)
