"""Runs of an evaluation over all accounts: when one may begin, and at which position it reads the log (R18, R14)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from ledger.domain.commands import RunEvaluation
from ledger.domain.decide.decided import Decided
from ledger.domain.events import PERIODIC, CloseMissing, EvaluationCompleted, EvaluationStarted, Recorded
from ledger.domain.instants import NEVER_NS, instant_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.end_day_close import Close
from ledger.domain.rules.evaluation_days import evaluation_window, last_evaluation_ns, next_evaluation_ns
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import REGISTERS, evaluation_stream


@dataclass(frozen=True, slots=True)
class EvaluationState:
    """The fold of `evaluation/<programme>/<instant>`: the last run, and how it ended; None: it is under way."""

    version: int = 0
    started: EvaluationStarted | None = None
    completed: EvaluationCompleted | None = None

    @property
    def is_open(self) -> bool:
        """Return True if a run has begun and not ended."""
        return self.started is not None and self.completed is None

    @property
    def is_done(self) -> bool:
        """Return True if every account is evaluated: nobody waits for a close."""
        return self.completed is not None and not self.completed.blocked


NOT_BEGUN: Final = EvaluationState()


def evolve_evaluation(state: EvaluationState, recorded: Recorded) -> EvaluationState:
    """Return the evaluation after one more event of its stream."""
    event = recorded.event
    if isinstance(event, EvaluationStarted):
        return EvaluationState(recorded.version, event)
    if isinstance(event, EvaluationCompleted):
        return EvaluationState(recorded.version, state.started, event)
    return replace(state, version=recorded.version)


def fold_evaluation(events: Iterable[Recorded], state: EvaluationState = NOT_BEGUN) -> EvaluationState:
    """Return the evaluation after more events of its stream."""
    return reduce(evolve_evaluation, events, state)


def decide_run(
    command: RunEvaluation,
    book: Rulebook,
    state_of: Callable[[str], EvaluationState],
    *,
    now_ns: int,
    last_position: int,
    recorded_at: Callable[[int], int],
    book_at: Callable[[int], Rulebook],
) -> tuple[str, Decided | Refusal]:
    """Return the stream of an evaluation, and the decision to begin a run of it or to go on with one.

    A run that was interrupted goes on as it began. `recorded_at` says when a position was recorded, `book_at` the rules
    that were known up to it: accounts are evaluated by these.
    Refusals in order: EVALUATION_ALREADY_COMPLETED, EVALUATION_NOT_DUE, NOT_AN_EVALUATION_DAY,
    READ_POSITION_TOO_EARLY.
    """
    programme = programme_evaluated(book, command, now_ns)
    if isinstance(programme, Refusal):
        return REGISTERS, programme
    at_ns = instant_of(programme, command, now_ns)
    stream = evaluation_stream(programme.programme_id, command.kind, at_ns)
    state = state_of(stream)
    if state.is_done:
        detail = f"{stream} is completed: every account is evaluated"
        return stream, Refusal(Reason.EVALUATION_ALREADY_COMPLETED, "instant", detail)
    refused = not_due(programme, command.kind, at_ns, now_ns)
    if refused is None and command.read_position not in (0, last_position) and not state.is_open:
        refused = read_too_early(command.read_position, recorded_at(command.read_position), at_ns)
    if refused is not None:
        return stream, refused
    if state.started is not None and state.is_open:
        return stream, Decided(at_ns, ((stream, replace(state.started, complete_sources=command.complete_sources)),))
    read_position = command.read_position or last_position
    if read_position != last_position:
        known = book_at(read_position).programme(programme.programme_id, at_ns)
        if isinstance(known, Refusal):
            return stream, replace(known, field="read_position")
        programme = known
    periodic = command.kind == PERIODIC
    from_ns, until_ns = evaluation_window(programme, at_ns) if periodic else (0, 0)
    started = EvaluationStarted(
        programme_id=programme.programme_id,
        programme_version=programme.version,
        kind=command.kind,
        instant_ns=at_ns,
        window_from_ns=from_ns,
        window_until_ns=until_ns,
        read_position=read_position,
        complete_sources=command.complete_sources,
    )
    return stream, Decided(at_ns, ((stream, started),))


def programme_evaluated(book: Rulebook, command: RunEvaluation, now_ns: int) -> Programme | Refusal:
    """Return the version in force at the instant of the evaluation, which is the last one due unless it is given."""
    programme = book.programme(command.programme_id, now_ns if command.instant_ns is None else command.instant_ns)
    if isinstance(programme, Refusal) or command.instant_ns is not None:
        return programme
    return book.programme(programme.programme_id, instant_of(programme, command, now_ns))


def instant_of(programme: Programme, command: RunEvaluation, now_ns: int) -> int:
    """Return the instant asked for; by default the last one due."""
    if command.instant_ns is not None:
        return command.instant_ns
    return last_evaluation_ns(programme, now_ns) if command.kind == PERIODIC else now_ns


def evaluations_due(book: Rulebook, programme_id: str, since_ns: int, until_ns: int) -> Iterator[tuple[int, Programme]]:
    """Yield evaluations of volume in [since, until], oldest first, with the version in force, which says their days."""
    versions = book.programmes.get(programme_id, ())
    ends = [*(from_ns for from_ns, _ in versions[1:]), NEVER_NS]
    for (from_ns, programme), end_ns in zip(versions, ends, strict=True):
        at_ns = max(from_ns, since_ns) - 1
        while (at_ns := next_evaluation_ns(programme, at_ns)) < min(end_ns, until_ns + 1):
            yield at_ns, programme


def not_due(programme: Programme, kind: str, at_ns: int, now_ns: int) -> Refusal | None:
    """Refuse an evaluation at an instant that has none, or whose evaluation is not due yet."""
    if at_ns > now_ns:
        return Refusal(Reason.EVALUATION_NOT_DUE, "instant", f"{instant_text(at_ns)} has not come")
    if kind == PERIODIC and next_evaluation_ns(programme, at_ns - 1) != at_ns:
        last = instant_text(last_evaluation_ns(programme, at_ns))
        detail = f"{programme.programme_id} does not evaluate volume at {instant_text(at_ns)}, but at {last}"
        return Refusal(Reason.NOT_AN_EVALUATION_DAY, "instant", detail)
    return None


def read_too_early(read_position: int, recorded_ns: int, at_ns: int) -> Refusal | None:
    """Refuse to read the log up to a position only, where more was recorded up to the instant of the evaluation.

    The last position of the log is never too early: there is nothing after it.
    """
    if recorded_ns >= at_ns:
        return None
    detail = (
        f"position {read_position} was recorded at {instant_text(recorded_ns)}, before {instant_text(at_ns)}: volume of"
        " the window may lie after it; plan again once the instant has come, and give the position of that plan, or"
        " leave read_position out"
    )
    return Refusal(Reason.READ_POSITION_TOO_EARLY, "read_position", detail)


def completed(read_position: int, moves: Counter[str], granted: int, missing: Iterable[Close]) -> EvaluationCompleted:
    """Return the event that ends a run: `moves` counts the accounts by `evaluation.movement`, and those BLOCKED."""
    closes = sorted(set(missing), key=lambda close: (close[1], close[0]))
    return EvaluationCompleted(
        read_position=read_position,
        evaluated=moves.total() - moves["BLOCKED"],
        granted=granted,
        gained=moves["GAINED"],
        up=moves["UP"],
        stayed=moves["STAYED"],
        down=moves["DOWN"],
        lost=moves["LOST"],
        none=moves["NONE"],
        blocked=moves["BLOCKED"],
        missing=tuple(CloseMissing(*close) for close in closes),
        review=moves["REVIEW"],
    )
