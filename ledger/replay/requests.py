"""Holds the requests of a log against the events that they recorded: nobody asked but who is said to have asked.

The first event of a request keeps it, so that its hash is worked out again, who asked and approved is compared, and
the command is read from it. Its further events say the same of who asked. No hash is of a ticket or of a reason, which
may be erased: of the ticket it is known only that all events of a request have the same one, where they have it still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ledger.domain.commands import KeptRequest, request_sha256
from ledger.domain.events import (
    CommandRefused,
    Envelope,
    EvaluationCompleted,
    EvaluationStarted,
    LedgerCreated,
    MigrationApplied,
    OwnerNamed,
    ProgrammePublished,
    Recorded,
    VolumeEvaluated,
    WriterStarted,
)
from ledger.domain.state.held import Held
from ledger.replay.compare import Deviation, Difference, said

Read = Callable[[str, bytes], KeptRequest]  # a kept request, by message and bytes; ValueError: it is none
FirstOf = Callable[[str], Recorded | None]  # the first event of a request, by its name

_UNASKED: Final = (LedgerCreated, WriterStarted, MigrationApplied, OwnerNamed)  # no command records them
_ASKER: Final = ("request_id", "request_sha256", "actor", "actor_verified", "approver", "ticket")  # `Envelope.asker`
_RUNS_MAX: Final = 1_000  # evaluations whose beginning is remembered


class RequestsAgain:
    """Compares events with the requests that led to them, in position order. `unkept` counts those that nobody kept.

    Terms and beginnings of evaluations are taken in first, by `begin`.
    """

    def __init__(self, read: Read, first_of: FirstOf) -> None:
        self._read = read
        self._first_of = first_of
        self._keeping: dict[int, bool] = {}  # by term: does it keep requests?
        self._started_ns: dict[int, int] = {}  # by term: when its first commit was recorded
        self._rules: dict[int, int] = {}  # by term
        self._runs: Held[str, Recorded] = Held()  # by request: the beginning of an evaluation
        self.unkept = 0

    def begin(self, recorded: Recorded) -> list[Deviation]:
        """Take in a term or a run of an evaluation; return what is wrong with a term."""
        event, envelope = recorded.event, recorded.envelope
        if isinstance(event, EvaluationStarted):
            self._remember(recorded)
        if not isinstance(event, WriterStarted):
            return []
        kept_before = any(kept for term, kept in self._keeping.items() if term < event.term)
        self._keeping[event.term] = event.keeps_requests
        self._started_ns[event.term] = envelope.recorded_time_ns
        self._rules[event.term] = event.rules
        lost = kept_before and not event.keeps_requests
        return [said(recorded, "keeps_requests is False, and a term before it kept them")] if lost else []

    def rules_of(self, term: int) -> int:
        """Return the number of the rules that a term is decided by."""
        return self._rules.get(term, 0)

    def is_further(self, envelope: Envelope) -> bool:
        """Return True if an event that somebody asked for is not the first of its request, as far as terms tell."""
        return self._keeping.get(envelope.writer_term, False) and not envelope.request_message

    def first(self, recorded: Recorded) -> tuple[list[Deviation], KeptRequest | None]:
        """Return (what is wrong with the request that an event begins or lacks; the request, if it is kept)."""
        envelope = recorded.envelope
        keeps = self._keeping.get(envelope.writer_term, False)
        wrong = ""
        if not envelope.request_id:
            wrong = "" if self._unasked(recorded) else "it has no request, and somebody must have asked for it"
        elif not envelope.request_message:
            self.unkept += not keeps
            wrong = "its request is not kept" if keeps else ""
        elif not keeps:
            wrong = "its request is kept, in a term that kept none"
        else:
            try:
                request = self.kept(recorded)
            except ValueError as error:
                wrong = f"its request cannot be read: {error}"
            else:
                differs = tuple(_differing(recorded, request))
                return ([Deviation(recorded.position, recorded.stream, differs)] if differs else []), request
        return ([said(recorded, wrong)] if wrong else []), None

    def kept(self, recorded: Recorded) -> KeptRequest:
        """Return the request that an event keeps. Raises ValueError if it cannot be read."""
        return self._read(recorded.envelope.request_message, recorded.envelope.request_body)

    def further(self, recorded: Recorded, first: Recorded | None) -> list[Deviation]:
        """Say how an event differs from the one that it follows, in who asked; None: there is none."""
        envelope = recorded.envelope
        if first is None:
            return [said(recorded, f"nothing before it was recorded for request {envelope.request_id!r}")]
        differs = [
            Difference(name, _shown(was), _shown(now))
            for name, was, now in zip(_ASKER, envelope.asker, first.envelope.asker, strict=True)
            if was != now and not (name == "ticket" and (_is_erased(envelope) or _is_erased(first.envelope)))
        ]
        if envelope.request_message or envelope.request_body:
            differs.append(Difference("it keeps a request, and is not the first event of one"))
        return [Deviation(recorded.position, recorded.stream, tuple(differs))] if differs else []

    def of_run(self, recorded: Recorded, event: VolumeEvaluated | EvaluationCompleted) -> list[Deviation]:
        """Say how an event of an evaluation, or what follows from it, differs from the run's beginning in who asked."""
        name = recorded.envelope.request_id
        first = self._runs.get(name) or (self._first_of(name) if name else None)
        if first is None or first.position > recorded.position or not _is_of(recorded, event, first):
            return self.further(recorded, None)
        self._remember(first)
        return self.further(recorded, first)

    def _remember(self, started: Recorded) -> None:
        self._runs.hold(started.envelope.request_id, started)
        self._runs.shrink(_RUNS_MAX)

    def _unasked(self, recorded: Recorded) -> bool:
        """Return whether an event needs no request: it follows from fills, or a term begins with it."""
        event, envelope = recorded.event, recorded.envelope
        if isinstance(event, ProgrammePublished):
            return self._started_ns.get(envelope.writer_term) == envelope.recorded_time_ns
        return isinstance(event, _UNASKED) or (isinstance(event, CommandRefused) and event.command == "RecordFills")


def _differing(recorded: Recorded, request: KeptRequest) -> Iterator[Difference]:
    envelope = recorded.envelope
    sha256 = request_sha256(envelope.request_message, envelope.request_body)
    expected = (request.request_id, sha256, request.actor, False, request.approver)
    for name, was, now in zip(_ASKER, envelope.asker, expected, strict=False):
        if was != now:
            yield Difference(name, _shown(was), _shown(now))


def _is_erased(envelope: Envelope) -> bool:
    """Return whether an event of a request had a ticket that is no longer known."""
    return bool(envelope.erasable_sha256) and not envelope.ticket


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _is_of(recorded: Recorded, event: VolumeEvaluated | EvaluationCompleted, first: Recorded) -> bool:
    """Return whether a run that began with an event is that of another."""
    began = first.event
    if not isinstance(began, EvaluationStarted) or began.read_position != event.read_position:
        return False
    if isinstance(event, EvaluationCompleted):
        return recorded.stream == first.stream
    return (began.programme_id, began.kind) == (event.programme_id, event.kind)
