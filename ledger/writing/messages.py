"""The jobs that the writer is given, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import TIMEOUT_MAX, Lock
from typing import Any, TypeAlias

from ledger.caller import Caller, caller
from ledger.domain.commands import Command, Request
from ledger.domain.decide.evaluation import AssessedAlike, Assessment, EvaluationRun
from ledger.domain.events import Basis, EvaluationCompleted, Recorded
from ledger.domain.refusal import Refusal
from ledger.domain.state.account import AccountState
from ledger.fills.batch import BatchPart
from ledger.store.log import Head
from ledger.store.rows import Row
from ledger.store.writer import Commit


@dataclass(frozen=True, slots=True)
class DecideCommand:
    """A command and who asks; `validate_only`: only a preview of it is."""

    request: Request
    command: Command
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class RecordFills:
    """A request of fills, which has been read.

    `batch` are its well-formed fills, None if it has none; the venue in it is the one asked for, which may be empty.
    `malformed` are fills of a source that are refused alone: (index in the request, refusal).
    `size` counts both; `fill_sha256` returns the SHA-256 of a fill's bytes by its index, and is called only for refused
    ones.
    A source may say that it has sent every fill that traded before `complete_until_ns` (0: it does not say); a request
    of size 0 says nothing else.
    """

    batch: BatchPart | None
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
    """A part of the accounts of a run that began with the event `started`; those evaluated already are left out.

    Most are `alike` others but for their amounts. `states` are what these were, of those with an event, as whoever
    assessed them has read it.
    """

    started: Recorded
    run: EvaluationRun
    assessments: Sequence[Assessment] = ()
    alike: Sequence[AssessedAlike] = ()
    states: Mapping[str, AccountState] = field(default_factory=dict)

    @property
    def accounts(self) -> int:
        """The number of accounts."""
        return len(self.assessments) + sum(map(len, self.alike))


@dataclass(frozen=True, slots=True)
class CompleteEvaluation:
    """The end of a run that began with the event `started`."""

    started: Recorded
    completed: EvaluationCompleted


@dataclass(frozen=True, slots=True)
class GoOnRepricing:
    """The next part of what takes several commits: a shared fact comes to accounts, then lines of some are restated.

    `account_ids` are those whose lines are restated commit by commit: the first one's, then those of the ones after it.
    """

    account_ids: Sequence[str]


# All that the writer decides.
Job: TypeAlias = DecideCommand | RecordFills | EvaluateAccounts | CompleteEvaluation | GoOnRepricing


@dataclass(frozen=True, slots=True)
class UnreadFills:
    """A request of about `size` fills that is still to be read, in the line of its source or of its caller.

    `read` reads requests that wait together, which costs less than one by one; it returns for each what is to be
    recorded, or why nothing is. `who` called. `hurries` is False on a stream, where nobody waits for one request alone.
    """

    size: int
    line: str
    request: object
    read: Callable[[Sequence[UnreadFills]], Sequence[RecordFills | Refused]]
    who: Caller
    hurries: bool = True


# All that handlers hand over.
QueuedJob: TypeAlias = DecideCommand | UnreadFills | EvaluateAccounts | CompleteEvaluation | GoOnRepricing


@dataclass(frozen=True, slots=True)
class Preview:
    """All that a command would record after the event at `known_at`, as rows of the log. Nothing of it is recorded."""

    known_at: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The command was recorded, or would be; its answer follows from its first event, `recorded`."""

    recorded: Recorded
    replayed: bool = False
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The job was refused. `position` is that of the event that records the refusal; 0: there is none.

    `others` are further faults of shape. A refusal is answered as a value: an exception in a future would be raised in
    a frame that holds the future, a ring that keeps the whole request until the garbage collector comes.
    """

    refusal: Refusal
    position: int = 0
    replayed: bool = False
    others: tuple[Refusal, ...] = ()


@dataclass(slots=True)
class FillsTaken:
    """The outcome of a request of fills: recorded + replayed + len(refused) is its size.

    `refused` are (index in the request, refusal), in its order; `fees` are (amount, basis) by index, amounts in units
    of the last of `basis.fee_decimals` decimals. `head` is the end of the log after the commit.
    `late_from_ns` is when the earliest fill recorded here traded that its source had said to have sent; 0: none.
    """

    recorded: int = 0
    replayed: int = 0
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    source_sequence: int = 0
    complete_until_ns: int = 0  # as the source last said
    late_from_ns: int = 0
    head: Head = field(default_factory=lambda: Head(0, 0))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """So many accounts of a run were evaluated, now or before."""

    accounts: int


@dataclass(slots=True)
class Repriced:
    """So many lines were looked at, and a shared fact was brought to so many accounts; 0: none were left."""

    lines: int = 0
    accounts: int = 0


Answer: TypeAlias = Accepted | Refused | FillsTaken | Evaluated | Repriced


class AnswerToCome:
    """The answer to a job, once the writer has it, and who waits for it.

    It is a lock that the answer opens: the condition and the lists of a library's future cost each call ten times that.
    """

    __slots__ = ("_answer", "_closed", "traced", "when_come", "who")

    def __init__(self) -> None:
        self._closed = Lock()
        self._closed.acquire()
        self._answer: Answer | None = None
        self.traced: Any = None  # a ledger.traces.Job, where the service traces this one
        self.when_come: Callable[[], object] | None = None  # called once the answer is there
        self.who = caller()

    def set_result(self, answer: Answer) -> None:
        """Give the answer, once."""
        self._answer = answer
        self._closed.release()
        if self.when_come is not None:
            self.when_come()

    def done(self) -> bool:
        """Return True if the answer is there."""
        return self._answer is not None

    def result(self, timeout_s: float) -> Answer | None:
        """Return the answer; None: it is not there after so many seconds. Several threads may ask."""
        if self._answer is None and self._closed.acquire(timeout=min(timeout_s, TIMEOUT_MAX)):
            self._closed.release()
        return self._answer


@dataclass(frozen=True, slots=True)
class CommitInFlight:
    """A commit that PostgreSQL has not acknowledged yet, and the answers to give if it was stored."""

    commit: Commit
    answers: Sequence[Answer]
