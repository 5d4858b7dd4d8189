"""The messages to the writer, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.domain.commands import Command, Request
from ledger.domain.decide.evaluation import Assessment, Run
from ledger.domain.events import Basis, EvaluationCompleted, Recorded
from ledger.domain.refusal import Refusal
from ledger.fills.batch import Part
from ledger.store.log import Head
from ledger.store.writer import Commit


@dataclass(frozen=True, slots=True)
class Ask:
    """A command and who asks."""

    request: Request
    command: Command


@dataclass(frozen=True, slots=True)
class RecordFills:
    """A batch of fills. `malformed` are fills of a source that are refused alone: (index, refusal).

    A source may say that it has sent every fill that traded before `complete_until_ns` (0: it does not); of size 0 it
    says nothing else.
    `batch` are the well-formed ones, none if there are none; what it says of the venue is as it was asked.
    `size` counts both; `fill_sha256` gives the hash of a fill's bytes by its index, asked only for refused ones.
    """

    batch: Part | None
    venue: str
    source: str
    first_sequence: int
    size: int
    fill_sha256: Callable[[int], bytes]
    malformed: Sequence[tuple[int, Refusal]] = ()
    with_fees: bool = False
    complete_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class EvaluateAccounts:
    """Some accounts of a run that began with an event; those that are evaluated already are left out."""

    started: Recorded
    run: Run
    assessments: Sequence[Assessment]


@dataclass(frozen=True, slots=True)
class CompleteEvaluation:
    """The end of a run that began with an event."""

    started: Recorded
    completed: EvaluationCompleted


Input: TypeAlias = Ask | RecordFills | EvaluateAccounts | CompleteEvaluation


@dataclass(frozen=True, slots=True)
class Unread:
    """A request of about `size` fills that is still to be read, taken in the turn of `line`: its source, or its caller.

    `read` takes all that wait, for what is read together costs less: it says of each what it asks, or why that is
    nothing.
    """

    size: int
    line: str
    request: object
    read: Callable[[Sequence[Unread]], Sequence[RecordFills | Refused]]


Sent: TypeAlias = Ask | Unread | EvaluateAccounts | CompleteEvaluation  # what handlers queue before the writer


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command was recorded; its answer follows from its first event."""

    recorded: Recorded
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was refused. `position` is that of the record of it; 0: it left none.

    `others` are further faults of shape. A refusal is answered as a value: an exception in a future would be raised in
    a frame that holds the future, a ring that keeps the whole request until the garbage collector comes.
    """

    refusal: Refusal
    position: int = 0
    replayed: bool = False
    others: tuple[Refusal, ...] = ()


@dataclass(slots=True)
class FillsTaken:
    """The outcome of a batch: refusals and fees (amount, basis) are by index in the request, in its order.

    recorded + replayed + len(refused) is the size of the batch.
    """

    recorded: int = 0
    replayed: int = 0
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    source_sequence: int = 0
    complete_until_ns: int = 0  # as the source last said
    late_from_ns: int = 0  # when the earliest fill recorded here traded that was said to be sent before; 0: none
    head: Head = field(default_factory=lambda: Head(0, 0))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Accounts of a run were evaluated, now or before."""

    accounts: int


Answer: TypeAlias = Accepted | Refused | FillsTaken | Evaluated


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A commit on its way, and what to answer if it arrived: for whoever must find out after the connection broke."""

    commit: Commit
    answers: Sequence[Answer]
