"""Prepares what a run of an evaluation reads: whether all of it is there, what it gives, and which runs are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from psycopg.sql import SQL, Identifier

from ledger import programmes
from ledger.domain.commands import RunEvaluation
from ledger.domain.decide.evaluation_run import (
    EvaluationState,
    completed,
    fold_evaluation,
    instant_of,
    not_due,
    programme_evaluated,
    read_too_early,
)
from ledger.domain.decide.evaluation_sources import passed_by_all
from ledger.domain.events import PERIODIC, POSITION_MAX, POST_TRIAL, EvaluationCompleted, EvaluationStarted, Recorded
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.end_day_close import Close, Missing
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import evaluation_stream
from ledger.wire.status import RefusedError, refuse
from projections.as_of import Reader
from projections.evaluation.missed import Missed
from projections.evaluation.plan import BLOCKED, Chunk, EvaluationPlan
from projections.evaluation.sources import signs, waiting_for
from projections.repricings import volume_on_the_move
from projections.tables.position import tables_position, wait_for_tables
from projections.tables.tables import read_schema


class Tally:
    """Counts what a plan gives, as it goes by."""

    def __init__(self) -> None:
        self._moves: Counter[str] = Counter()
        self._granted = 0
        self._missing: set[Close] = set()

    def add(self, chunk: Chunk) -> None:
        """Count more accounts."""
        for alike in chunk.alike:
            self._moves.update(alike.movements)
            tiers = Counter(alike.found.tiers)
            self._granted += sum(count for tier, count in tiers.items() if alike.run.programme.rank(tier))
        for planned in chunk.others:
            self._moves[planned.movement] += 1
            if isinstance(planned.found, Missing):
                self._missing.update(planned.found.closes)
            else:
                self._granted += planned.run.programme.rank(planned.found.tier) > 0

    def completed(self, read_position: int) -> EvaluationCompleted:
        """Return the event that says all of it."""
        return completed(read_position, self._moves, self._granted, self._missing)


class EvaluationRuns:
    """The runs of evaluations, as far as they read."""

    def __init__(self, reader: Reader, schema: str) -> None:
        self._reader = reader
        self._schema = schema

    def ready(self, command: RunEvaluation) -> RunEvaluation:
        """Return the command with its instant, once all that it reads is there. Refuses with EVALUATION_WAITING.

        What the writer will refuse, or has been begun already, is handed on.
        """
        reader = self._reader
        head, book, now_ns = reader.log.head(), reader.book(), reader.now_ns()
        known = command.read_position or head.position
        if known > head.position:
            detail = f"the ledger is at position {head.position}"
            refuse(Reason.POSITION_AHEAD, "read_position", detail, position=str(head.position))
        programme = programme_evaluated(book, command, now_ns)
        if isinstance(programme, Refusal):
            return command
        self._check_known(command, known, now_ns)
        known_ns = now_ns
        if known < head.position:
            known_ns = min(reader.log.head_at_position(known).recorded_time_ns, now_ns)
        sources = signs(reader.log, known)
        if command.kind == POST_TRIAL and command.instant_ns is None:
            passed_ns = passed_by_all(sources, programme, known_ns, command.complete_sources)
            command = replace(command, instant_ns=passed_ns or None)
        elif command.instant_ns is None:
            missed_ns = self._missed.first(book, programme.programme_id, now_ns, head.position)
            command = replace(command, instant_ns=missed_ns)
            if missed_ns is not None:
                programme = book.programme(programme.programme_id, missed_ns)
                assert isinstance(programme, Programme), programme
        at_ns = instant_of(programme, command, now_ns)
        command = replace(command, instant_ns=at_ns)
        state = self._state(evaluation_stream(programme.programme_id, command.kind, at_ns))
        if state.started is not None or not_due(programme, command.kind, at_ns, now_ns):
            return command
        if read_too_early(known, known_ns, at_ns):
            return command
        moving = volume_on_the_move(self._reader.log, known)
        if lines := [*waiting_for(sources, programme, at_ns, known_ns, command.complete_sources), *moving]:
            refuse(Reason.EVALUATION_WAITING, "instant", "; ".join(lines))
        self._await_tables(known)
        return command

    def plan(self, started: EvaluationStarted) -> EvaluationPlan:
        """Return what a run does, once the tables have reached the position that it reads at."""
        wait_for_tables(self._reader, self._schema, started.read_position)
        return EvaluationPlan(
            self._reader.log,
            self._schema,
            programme_id=started.programme_id,
            kind=started.kind,
            instant_ns=started.instant_ns,
            known=started.read_position,
        )

    def tally(self) -> Tally:
        """Return counts of nothing so far."""
        return Tally()

    def outcome(self, started: Recorded) -> Recorded | None:
        """Return the event that ended the run that `started` began; None: it has not ended."""
        for recorded in self._reader.log.streams([started.stream], POSITION_MAX):
            if recorded.version > started.version and isinstance(recorded.event, EvaluationCompleted):
                return recorded
        return None

    def due(self) -> Iterator[RunEvaluation]:
        """Yield what the ledger should run by itself, oldest first: due and not done, unless it waits for closes."""
        book, now_ns = self._reader.book(), self._reader.now_ns()
        for programme_id in book.programmes:
            programme = book.programme(programme_id, now_ns)
            if isinstance(programme, Programme):
                yield from self._due_periodic(book, programme_id, now_ns)
                yield from self._due_trials(programme, now_ns)

    def _due_periodic(self, book: Rulebook, programme_id: str, now_ns: int) -> Iterator[RunEvaluation]:
        """Yield those since the ledger began: what was due before is for somebody to ask for."""
        for at_ns in self._missed.instants(book, programme_id, now_ns, self._reader.log.head().position):
            yield RunEvaluation(programme_id, PERIODIC, at_ns, automatic=True)

    @cached_property
    def _missed(self) -> Missed:
        return Missed(self._reader.log, self._reader.began_ns)

    def _due_trials(self, programme: Programme, now_ns: int) -> Iterator[RunEvaluation]:
        log, name = self._reader.log, programme.programme_id
        known = min(log.head().position, tables_position(self._reader, self._schema))
        at_ns = passed_by_all(signs(log, known), programme, now_ns)
        if not known or not at_ns or not self._has_trials(name, at_ns):
            return
        plan = EvaluationPlan(log, self._schema, programme_id=name, kind=POST_TRIAL, instant_ns=at_ns, known=known)
        if any(one.movement != BLOCKED for chunk in plan.chunks() for one in chunk.planned):
            yield RunEvaluation(name, POST_TRIAL, at_ns, automatic=True)

    def _has_trials(self, programme_id: str, at_ns: int) -> bool:
        statement = (
            "SELECT EXISTS (SELECT FROM {read}.trials WHERE programme_id = %(programme)s AND ends_ns <= %(at)s"
            " AND evaluated_position IS NULL)"
        )
        sql = SQL(statement).format(read=Identifier(read_schema(self._schema)))
        return bool(self._reader.log.query(sql, {"programme": programme_id, "at": at_ns})[0][0])

    def _state(self, stream: str) -> EvaluationState:
        return fold_evaluation(self._reader.log.streams([stream], POSITION_MAX))

    def _check_known(self, command: RunEvaluation, known: int, now_ns: int) -> None:
        """Refuse to read where there was no programme yet."""
        if command.read_position:
            book = fold_rulebook(programmes.parse, self._reader.log.rulebook(known))
            programme = programme_evaluated(book, command, now_ns)
            if isinstance(programme, Refusal):
                refuse(programme.reason, "read_position", f"at position {known}: {programme.detail}")

    def _await_tables(self, position: int) -> None:
        try:
            wait_for_tables(self._reader, self._schema, position)
        except RefusedError as error:
            refuse(Reason.EVALUATION_WAITING, "instant", error.refusal.detail)
