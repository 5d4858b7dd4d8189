"""Makes every decision of a log again, from the states before it: the audit of the ledger's rules.

It cannot tell what only the sender of a fill knows, its price, quantity, time and ids; nor, where nobody kept the
request, whether all that was asked was recorded (refused commands left only their name). Without `volume_of` the volume
of an evaluation is taken as recorded where closes were needed to value it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from ledger.domain.events import (
    AccountLinked,
    CommandRefused,
    CreditEvent,
    CreditWithdrawn,
    EvaluationCompleted,
    Event,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    FeeCredited,
    FeeEvent,
    LedgerCreated,
    MigrationApplied,
    OwnerNamed,
    Recorded,
    ReleaseAdvanced,
    RepriceAdvanced,
    RepriceCompleted,
    RepriceStarted,
    SourceAdvanced,
    VolumeEvaluated,
    VolumeRecorded,
    WriterStarted,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.streams import LEDGER, account_of, day_key, is_account_day, kind_and_subject
from ledger.replay.commands import decide_command, registered_with
from ledger.replay.compare import UNDECIDABLE, Deviation, differing_totals, said
from ledger.replay.evaluations import EvaluatedAgain, VolumeOf
from ledger.replay.fills import decide_runs
from ledger.replay.mending import MendedAgain
from ledger.replay.owners import OwnersAgain
from ledger.replay.requests import RequestsAgain
from ledger.replay.sources import LinesBySource
from ledger.replay.states import States
from ledger.replay.stored_runs import StoredRun
from ledger.replay.totals import recounted

NOT_DECIDED: Final[dict[type[Event], str]] = {
    LedgerCreated: "it names the ledger: the operator chose the name",
    WriterStarted: "a process took the pen: no rule is asked",
    MigrationApplied: "the schema was brought on: its digests are compared with the log",
    EvaluationCompleted: "a count of what a run found, which a new plan of the same evaluation gives again",
}

LINES_TOGETHER: Final = 65_536  # more lines at once save nothing, and take memory;
RUNS_TOGETHER: Final = 8_192  # nor do more runs

_OF_ALL: Final = ("registers", "programme", "release")  # kinds of streams that every decision rests on
_FOLLOWING: Final = (FactReleased, FactWithheld, RepriceStarted, RepriceCompleted)  # they may follow from a fact


class Replay:
    """Decides the events it is given again, in position order; `end` returns what deviated since the last one.

    Fill runs wait until many can be decided together: until an event changes what they rest on. An account's
    events are all given or none, and `decides` says which of them are decided; those of registers and programmes always
    are given. `given` says of which fee streams of such an account.
    Sources are `SourcesAgain`'s.
    """

    def __init__(
        self,
        states: States,
        requests: RequestsAgain,
        volume_of: VolumeOf | None = None,
        decides: Callable[[Recorded], bool] = lambda _: True,
        given: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._states = states
        self._evaluated = EvaluatedAgain(states, volume_of)
        self._mended = MendedAgain(states, requests, given)
        self._owners = OwnersAgain(states)
        self._requests = requests
        self._decides = decides
        self._runs: list[Recorded | StoredRun] = []
        self._waiting: set[str] = set()  # accounts of these runs
        self._lines_waiting = 0
        self._time_ns = 0  # of the commit at hand
        self._linked: tuple[Recorded, tuple[str, Event]] | None = None  # what must follow at once
        self._found: list[Deviation] = []
        self._lines: LinesBySource = {}

    def take_runs(self, runs: Sequence[StoredRun]) -> None:
        """Take in runs of fills of one commit that follow each other, as they lie in the log."""
        self._begin_commit(runs[0].recorded_time_ns)
        self._settle()
        self._link(runs[0])
        self._wait_with(runs, [run.key[0] for run in runs], sum([run.lines for run in runs]))

    def take(self, recorded: Recorded) -> None:
        """Take in one more event."""
        self._begin_commit(recorded.envelope.recorded_time_ns)
        # The link to an owner follows the registration at once, before what that does to lines.
        if not isinstance(recorded.event, FeeAdjusted | AccountLinked) and not self._mended.is_outcome(recorded):
            self._settle()
        if isinstance(recorded.event, VolumeRecorded) and not is_account_day(recorded.stream):
            self._link(recorded)
            self._found.append(said(recorded, "it cannot be decided: fills lie in the stream of an account-day alone"))
        elif isinstance(recorded.event, VolumeRecorded):
            self._link(recorded)
            self._wait_with([recorded], [account_of(recorded.stream)], len(recorded.event))
        elif not isinstance(recorded.event, SourceAdvanced):
            kind, _ = kind_and_subject(recorded.stream)
            if kind in _OF_ALL or kind == LEDGER or account_of(recorded.stream) in self._waiting:
                self._decide_runs()
            self._take_one(recorded)

    def end(self) -> tuple[list[Deviation], LinesBySource]:
        """End the last commit; return (what deviated since the last end, by position; the lines of each source)."""
        self._decide_runs()
        self._found += self._owners.overdue(NEVER_NS)
        self._settle()
        if self._linked:
            self._found.append(said(self._linked[0], f"{self._linked[1]!r} was expected after it"))
            self._linked = None
        found, lines = self._found, self._lines
        self._found, self._lines = [], {}
        return sorted(found, key=lambda deviation: deviation.position), lines

    def _begin_commit(self, time_ns: int) -> None:
        """End the commit at hand where an event was recorded at another time."""
        if time_ns != self._time_ns:
            self._settle()
            self._mended.end_commit()
            self._time_ns = time_ns
            self._found += self._owners.overdue(time_ns)

    def _wait_with(self, runs: Sequence[Recorded | StoredRun], account_ids: Sequence[str], lines: int) -> None:
        """Let runs wait until many can be decided together."""
        self._runs += runs
        self._waiting.update(account_ids)
        self._lines_waiting += lines
        if self._lines_waiting >= LINES_TOGETHER or len(self._runs) >= RUNS_TOGETHER:
            self._decide_runs()

    def _settle(self) -> None:
        """Compare what follows from the last fact, as of the last event: runs of days that are not given come later."""
        if self._mended.is_waiting:
            after_last = self._states.next
            self._decide_runs()
            self._states.next = max(after_last, self._states.next)
            self._found += self._mended.settle()

    def _take_one(self, recorded: Recorded) -> None:
        self._states.next = recorded.position
        self._link(recorded)
        of_term = self._requests.begin(recorded)
        try:
            if isinstance(recorded.event, WriterStarted):
                self._owners.new_term()
            decides = self._decides(recorded)
            if isinstance(recorded.event, OwnerNamed):
                self._meet(recorded, recorded.event, decides=decides)
            elif decides:
                self._found += [*of_term, *self._decide(recorded)]
            else:
                self._follow(recorded)
            came_with_symbol = registered_with(recorded, self._states) is not None
            self._states.evolve(recorded)
            self._states.next = recorded.position + 1
            if not came_with_symbol:
                self._mended.note(recorded)
        except UNDECIDABLE as error:
            self._found.append(said(recorded, f"it cannot be decided: {error!r}"))
            if isinstance(recorded.event, FeeEvent):  # its account-day goes on from what it says
                with suppress(*UNDECIDABLE):
                    self._states.evolve(recorded)
        self._states.next = recorded.position + 1

    def _follow(self, recorded: Recorded) -> None:
        """Go along with an event that is not decided, so that what is decided after it is compared in order."""
        event = recorded.event
        if isinstance(event, RepriceAdvanced):
            self._mended.advanced(recorded, event)
        elif isinstance(event, ReleaseAdvanced):
            self._mended.brought(recorded, event)
        elif isinstance(event, _FOLLOWING) and self._mended.is_outcome(recorded):
            self._decide(recorded)

    def _decide(self, recorded: Recorded) -> list[Deviation]:
        event = recorded.event
        match event:
            case FeeAdjusted():
                return self._mended.adjusted(recorded, event) + self._of_day(recorded, event)
            case FeeCredited() | CreditWithdrawn():
                return self._of_day(recorded, event) + self._decide_command(recorded)
            case FactReleased() | FactWithheld() if self._mended.is_outcome(recorded):
                return self._mended.outcome(recorded, event)
            case RepriceStarted() | RepriceCompleted():
                return self._mended.repriced(recorded, event)
            case RepriceAdvanced():
                return self._mended.advanced(recorded, event)
            case ReleaseAdvanced():
                return self._mended.brought(recorded, event)
            case VolumeEvaluated():
                return self._requests.of_run(recorded, event) + self._evaluated.evaluated(recorded, event)
            case EvaluationCompleted():
                return self._requests.of_run(recorded, event)
            case AccountLinked():
                return []  # `_link` compares it
        return self._decide_command(recorded)

    def _of_day(self, recorded: Recorded, event: FeeAdjusted | CreditEvent) -> list[Deviation]:
        """Compare what follows from the account-day as it was: the totals, and the position of the event before."""
        day = self._states.day(day_key(recorded.stream))
        differs = [
            *differing_totals(event.totals, recounted(day.sums, event)),
            *self._states.back_links.differing(recorded.envelope, event, day),
        ]
        return [Deviation(recorded.position, recorded.stream, tuple(differs))] if differs else []

    def _decide_command(self, recorded: Recorded) -> list[Deviation]:
        """Decide an event that is the first of a request, or of none; or the class of a pair that came with it."""
        registered, requests = registered_with(recorded, self._states), self._requests
        if registered is None:
            found, kept = requests.first(recorded)
        else:
            symbol = registered[0]
            found = requests.further(recorded, symbol)
            kept = requests.kept(symbol) if symbol.envelope.request_message else None
        if type(recorded.event) in NOT_DECIDED or (isinstance(recorded.event, CommandRefused) and kept is None):
            return found
        decided, linked = decide_command(recorded, self._states, kept)
        self._linked = (recorded, linked) if linked else None
        return found + decided

    def _meet(self, recorded: Recorded, event: OwnerNamed, *, decides: bool) -> None:
        """Note that the owner whom fills of the commit name is recorded: it is due no longer."""
        found, linked = self._owners.named(recorded, event)
        if decides:
            self._found += found
            self._linked = (recorded, linked)

    def _link(self, recorded: Recorded | StoredRun) -> None:
        """Compare links: the event after the registration or naming of an account links it, and no other does."""
        pending, self._linked = self._linked, None
        expected, found = pending[1] if pending else None, None
        if isinstance(recorded, Recorded) and isinstance(recorded.event, AccountLinked) and self._decides(recorded):
            found = (recorded.stream, recorded.event)
        if found != expected:
            what = f"{expected!r} was expected here: an account is linked as it registers, or as fills name an owner"
            self._found.append(said(recorded, what))
        elif pending and isinstance(recorded, Recorded):
            self._found += self._requests.further(recorded, pending[0])

    def _decide_runs(self) -> None:
        runs, self._runs = self._runs, []
        self._waiting.clear()
        self._lines_waiting = 0
        if runs:
            self._states.next = runs[0].position
            found, naming = decide_runs(runs, self._states, self._lines)
            self._found += found
            self._found += self._owners.expect(naming)
            self._found += self._owners.overdue(self._time_ns)
            self._states.next = runs[-1].position + 1
            self._states.shrink()
