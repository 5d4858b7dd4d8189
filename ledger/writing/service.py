"""The write side without threads, clocks or a wire: jobs in, one commit out, an answer for each.

`step` holds the states of accounts, account-days and sources in memory, loads what is missing with one query of each
kind, lets the domain decide, and hands the events to the writer. If a commit fails, every state is dropped and read
again: nothing that was decided on it survives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from eventsourcing.persistence import PersistenceError

from ledger.domain.events import Event
from ledger.domain.term_clock import TermClock
from ledger.store.log import Head, Log
from ledger.store.writer import Commit, RequestRow, Writer, WriterLost
from ledger.writing.commands import answer_command
from ledger.writing.commit_pipeline import CommitPipeline, Deliver, Publish
from ledger.writing.draft import Draft
from ledger.writing.evaluations import evaluate_accounts
from ledger.writing.fills import decide_pending, take_fills
from ledger.writing.mending import go_on_repricing, take_repricing
from ledger.writing.messages import (
    Accepted,
    Answer,
    CompleteEvaluation,
    DecideCommand,
    EvaluateAccounts,
    FillsTaken,
    GoOnRepricing,
    Job,
    RecordFills,
)
from ledger.writing.preview import preview_command
from ledger.writing.sources import append_advances
from ledger.writing.states import States


class Service:
    """All states of one writer's term. It is called by one thread; its pipeline stores one commit at a time."""

    def __init__(
        self,
        log: Log,
        writer: Writer,
        *,
        term: int,
        day_bytes_max: int,
        account_bytes_max: int,
        publish: Publish = lambda _, __, ___: None,
    ) -> None:
        """`publish` is told of each commit before anybody is answered."""
        self._log_as_stored = log
        self._writer = writer
        self.term = term
        self._day_bytes_max = day_bytes_max
        self._account_bytes_max = account_bytes_max
        self.head = Head(0, 0)
        self._clock = TermClock()
        self.pipeline = CommitPipeline(writer, publish)
        self.lines_restated = 0  # for commands, in the commit that was decided last
        self.snapshots_damaged = 0  # in the same, of those that it read
        self._forget()

    def start(self, events: Sequence[tuple[str, Event]], now_ns: int) -> None:
        """Record what a new term begins with: events of streams `ledger` and `programme/<id>`."""
        recorded_ns = max(now_ns, self.head.recorded_time_ns + 1)
        self._clock = TermClock(now_ns, recorded_ns)
        draft = self._begin(now_ns)
        for stream, event in events:
            last = self._log.last_of(stream)
            version = last.version if last else 0
            version += sum(row.stream == stream for row in draft.rows)
            draft.append(stream, version + 1, draft.now_ns, event)
        commit = self._finish(draft, [])
        assert commit is not None, events
        self.pipeline.store(commit, self.head, (), lambda _: None, at_once=True)
        self._forget()

    def step(self, jobs: Sequence[Job], now_ns: int) -> list[Answer]:
        """Decide and record jobs in order, in one commit. Raises WriterLost; then this service is over."""
        answers: list[Answer] = []
        self.send(jobs, now_ns, answers.extend)
        self.pipeline.wait_for_commit()
        return answers

    def send(self, jobs: Sequence[Job], now_ns: int, deliver: Deliver, *, at_once: bool = False) -> None:
        """Decide jobs in order and hand their commit to the pipeline; `deliver` gets the answers once it is durable.

        Deciding goes on while the commit before is in flight, one at most. If that one is lost, so is all that was
        decided on it: raises WriterLost, and this service is over. A commit that is stored `at_once` is no longer in
        flight when this returns.
        """
        try:
            draft = self._begin(now_ns)
            self._states.load(jobs)
            previews = self._previews(jobs, now_ns)
            answers = [previews.get(place) or self._answer(draft, job) for place, job in enumerate(jobs)]
            decide_pending(draft)
            go_on_repricing(draft)
            append_advances(draft)
            self.lines_restated = draft.lines_restated
            self.snapshots_damaged = self._states.snapshots_damaged()
            commit = self._finish(draft, answers)
            self.pipeline.wait_for_commit()
        except (WriterLost, PersistenceError):
            raise  # this term is over
        except Exception:
            self._forget()  # a defect half way through: what it left in memory is worth nothing
            raise
        self._states.shrink()
        if commit is not None:
            self.pipeline.store(commit, self.head, answers, deliver, at_once=at_once)
            return
        if not self._writer.lease.runs:  # refusals and replays: true of the present, if nobody else has written
            self._writer.check()
        deliver(answers)

    def _begin(self, now_ns: int) -> Draft:
        return self._draft(self._states, now_ns)

    def _draft(self, states: States, now_ns: int) -> Draft:
        """Return the commit that would come next."""
        recorded_ns = max(self._clock.recorded_at(now_ns), self.head.recorded_time_ns + 1)
        decided_ns = self._clock.decided_at(recorded_ns)
        return Draft(states, self.term, self.head.position + 1, recorded_ns, decided_ns)

    def _previews(self, jobs: Sequence[Job], now_ns: int) -> dict[int, Answer]:
        """Return the answers to the jobs that are previews, by their places: each as if it came next, and alone."""
        return {
            place: preview_command(self._draft(self._states.aside(), now_ns), job)
            for place, job in enumerate(jobs)
            if isinstance(job, DecideCommand) and job.validate_only
        }

    def _answer(self, draft: Draft, job: Job) -> Answer:
        match job:
            case RecordFills():
                return take_fills(draft, job)
            case EvaluateAccounts():
                decide_pending(draft)  # fills before it are priced without it, then adjusted
                return evaluate_accounts(draft, job)
            case GoOnRepricing():
                return take_repricing(draft, job)
            case CompleteEvaluation():
                request = draft.asked_by(job.started)
                return Accepted(draft.record(job.started.stream, draft.now_ns, job.completed, request))
            case DecideCommand():
                return answer_command(draft, job)
            case _:
                assert_never(job)

    def _finish(self, draft: Draft, answers: Sequence[Answer]) -> Commit | None:
        """Move the head to the end of the commit, which the answers name; return it if there is anything to record."""
        if draft.rows:
            self.head = Head(draft.next_position - 1, draft.recorded_time_ns)
        for answer in answers:
            if isinstance(answer, FillsTaken):
                answer.head = self.head
        if not draft.rows:
            return None
        requests = [RequestRow(name, sha256, first.position) for name, (sha256, first) in draft.requests.items()]
        texts, snapshots = list(draft.texts.values()), draft.states.new_snapshots()
        return Commit(draft.recorded_time_ns, draft.rows, draft.decisions, draft.evaluated, requests, texts, snapshots)

    @property
    def _log(self) -> Log:
        """The log, which holds all that was decided: reading waits for the commit in flight."""
        self.pipeline.wait_for_commit()
        return self._log_as_stored

    def _forget(self) -> None:
        """Drop every state; those that are needed are read again from the log."""
        self.head = self._log.head()
        self._states = States(
            lambda: self._log, day_bytes_max=self._day_bytes_max, account_bytes_max=self._account_bytes_max
        )
