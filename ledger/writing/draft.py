"""The commit in the making: the rows that it has so far, and the fills that are still to be decided in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ledger.domain.commands import Request
from ledger.domain.decide.evaluation import AssessedAlike
from ledger.domain.events import (
    Basis,
    CreditEvent,
    Envelope,
    Event,
    FeeEvent,
    Recorded,
    RefusedSequence,
    SequenceConflict,
    SourceAdvanced,
    VolumeEvaluated,
    VolumeRecorded,
)
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import RANGES_MAX, AccountState, SourceState
from ledger.domain.streams import DayKey, day_key, fee_stream, is_fee_stream
from ledger.fills.batch import BatchPart
from ledger.store.codec.events import decode_row
from ledger.store.rows import LogRows
from ledger.store.writer import ErasableText, row_of, rows_of_evaluated, take_apart
from ledger.writing.messages import FillsTaken, GoOnRepricing, RecordFills, Repriced
from ledger.writing.states import States


@dataclass(slots=True)
class Resend:
    """The first `size` fills of a request, which its source had sent before, and their answers once they are decided.

    `part` are the well-formed ones. All answers are by index in the request.
    """

    job: RecordFills
    venue: str
    size: int
    part: BatchPart | None
    refused: dict[int, Refusal] = field(default_factory=dict)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    conflicts: list[SequenceConflict] = field(default_factory=list)

    def refuse_as_conflict(self, index: int, detail: str) -> None:
        """Refuse a fill whose number had named another fill."""
        number = self.job.first_sequence + index
        self.refused[index] = Refusal(Reason.FILL_CONFLICT, "exec_id", detail)
        self.conflicts.append(SequenceConflict(number, self.job.fill_sha256(index)))


class PendingFills(NamedTuple):
    """A request of fills that waits to be decided: its new fills, those that its source had sent before, its answer.

    `replays` are the indexes of new fills that are replays, once they are decided. `complete_until_ns` is what the
    source had said before this request.
    """

    job: RecordFills
    venue: str
    batch: BatchPart | None
    resend: Resend | None
    answer: FillsTaken
    replays: list[int]
    complete_until_ns: int = 0

    @property
    def trimmed(self) -> int:
        """The number of its first fills that its source had sent before."""
        return self.resend.size if self.resend is not None else 0


@dataclass(slots=True)
class SourceAdvance:
    """The numbers that one commit takes from one source, and the outcome of their fills."""

    first_sequence: int
    last_sequence: int
    recorded: int = 0
    replayed: int = 0
    refused: list[RefusedSequence] = field(default_factory=list)
    latest_time_ns: int = 0
    late_from_ns: int = 0
    replays: list[int] = field(default_factory=list)  # their numbers
    conflicts: dict[SequenceConflict, None] = field(default_factory=dict)
    conflicts_left_out: int = 0

    def event(self, before: SourceState) -> SourceAdvanced:
        """Return the event that records it; `before` is the state of the source before this commit."""
        return SourceAdvanced(
            first_sequence=self.first_sequence,
            last_sequence=self.last_sequence,
            recorded=self.recorded,
            replayed=self.replayed,
            refused=tuple(self.refused),
            latest_time_ns=max(self.latest_time_ns, before.latest_time_ns),
            conflicts=tuple(self.conflicts),
            conflicts_left_out=self.conflicts_left_out,
            replayed_sequences=_ranges(self.replays, RANGES_MAX),
            conflicts_before=before.conflicts_version,
            complete_until_ns=before.complete_until_ns,
            late_from_ns=self.late_from_ns,
            late_version_before=before.late_version,
        )


def _ranges(numbers: Sequence[int], ranges_max: int) -> tuple[int, ...]:
    """Return the first and the last number of each range of ascending numbers, of the first `ranges_max` ranges.

    For example (1, 3, 7, 7) for [1, 2, 3, 7].
    """
    breaks = [at for at, (before, number) in enumerate(pairwise(numbers), 1) if number != before + 1]
    bounds = list(pairwise([0, *breaks, len(numbers)])) if numbers else []
    return tuple(number for begin, end in bounds[:ranges_max] for number in (numbers[begin], numbers[end - 1]))


class Draft:
    """The commit in the making, with the states that it is decided on."""

    def __init__(self, states: States, term: int, first_position: int, recorded_time_ns: int, now_ns: int) -> None:
        """`now_ns` is when it is decided: before `recorded_time_ns` where the log is ahead of the clock."""
        self.states = states
        self.term = term
        self.first_position = first_position
        self.recorded_time_ns = recorded_time_ns
        self.now_ns = now_ns
        self.rows = states.making = LogRows()
        self.decisions: list[Recorded] = []  # all events but those of fee streams and of `record_evaluated`
        self.evaluated: list[str] = []  # the accounts of these
        self.requests: dict[str, tuple[bytes, Recorded]] = {}  # by request_id: the hash, and the first event
        self.texts: dict[bytes, ErasableText] = {}  # by their hash
        self.sources: dict[str, SourceAdvance] = {}
        self.heartbeats: set[str] = set()  # sources that said how far they are
        self.pending: list[PendingFills] = []
        self.lines_restated = 0  # for commands
        self.repricing: list[tuple[GoOnRepricing, Repriced]] = []

    @property
    def next_position(self) -> int:
        return self.first_position + len(self.rows)

    def parts(self) -> Iterator[BatchPart]:
        """Yield the fills that wait to be decided."""
        return (waiting.batch for waiting in self.pending if waiting.batch is not None)

    def record(self, stream: str, effective_ns: int, event: Event, request: Request) -> Recorded:
        """Append an event of a decision, and take it into the state of its stream."""
        if is_fee_stream(stream):  # its version is its position
            if isinstance(event, CreditEvent):  # with an adjustment the account-day has moved on already
                event = self.states.credit(day_key(stream), event, self.next_position)
            return self.append(stream, self.next_position, effective_ns, event, request)
        recorded = self.append(stream, self.states.version(stream) + 1, effective_ns, event, request)
        self.states.evolve(recorded)
        return recorded

    def append(
        self, stream: str, version: int, effective_ns: int, event: Event, request: Request | None = None
    ) -> Recorded:
        """Append an event; what `request` says of who asked is kept with it. Return it without what may be erased."""
        if request is None:
            envelope = Envelope(effective_ns, self.recorded_time_ns, self.term)
        else:
            envelope = self._envelope_of(effective_ns, request)
        recorded, part = take_apart(Recorded(self.next_position, stream, version, envelope, event))
        self.rows.append(row_of(recorded, part))
        if not isinstance(event, FeeEvent):
            self.decisions.append(recorded)
        return recorded

    def append_run(self, key: DayKey, event: VolumeRecorded, actor: str) -> None:
        """Append a fill run of an account-day."""
        envelope = Envelope(event.time_min_ns, self.recorded_time_ns, self.term, actor)
        position = self.next_position
        recorded = Recorded(position, fee_stream(*key), position, envelope, event)
        self.rows.append(row_of(*take_apart(recorded)) if event.columns.cl_ord_id else row_of(recorded))

    def record_evaluated(
        self, found: AssessedAlike, event: VolumeEvaluated, accounts: Mapping[str, AccountState], request: Request
    ) -> None:
        """Append an event of each of many accounts that says what `event` says, and take it into their states.

        `accounts` are those of them that have an event.
        """
        envelope, first_position = self._envelope_of(event.evaluated_time_ns, request), self.next_position
        versions = [accounts[name].version + 1 if name in accounts else 1 for name in found.account_ids]
        self.rows.extend(rows_of_evaluated(found, versions, event, first_position, envelope))
        self.evaluated += found.account_ids
        self.states.evolve_many(found.account_ids, accounts, Recorded(first_position, "", 0, envelope, event))

    def asked_by(self, started: Recorded) -> Request:
        """Return who asked for what began with an event, as all that it records says it."""
        if started.envelope.erasable_sha256:
            place = started.position - self.first_position
            (started,) = self.states.log.with_erasable([started]) if place < 0 else [decode_row(self.rows[place])]
        envelope = started.envelope
        return Request(envelope.request_id, envelope.request_sha256, envelope.actor, envelope.approver, envelope.ticket)

    def _envelope_of(self, effective_ns: int, request: Request) -> Envelope:
        reason_sha256 = b""
        if request.reason:
            text = ErasableText(request.reason_salt, request.reason)
            reason_sha256 = text.sha256
            self.texts[reason_sha256] = text
        return Envelope(
            effective_time_ns=effective_ns,
            recorded_time_ns=self.recorded_time_ns,
            writer_term=self.term,
            actor=request.actor,
            approver=request.approver,
            ticket=request.ticket,
            reason_sha256=reason_sha256,
            request_id=request.request_id,
            request_sha256=request.sha256,
            request_message=request.message,
            request_body=request.body,
        )
