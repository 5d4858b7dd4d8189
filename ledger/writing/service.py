"""The write side without threads, clocks or a wire: commands in, one commit out, an answer for each.

`step` holds the states of accounts, account-days and sources in memory, loads what is missing with one query of each
kind, lets the domain decide, and hands the events to the writer. If a commit fails, every state is dropped and read
again: nothing that was decided on it survives.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, NamedTuple, assert_never

import numpy as np
from eventsourcing.persistence import PersistenceError

from ledger import programmes
from ledger.domain.commands import (
    BountyCommand,
    Command,
    ProgrammeCommand,
    PromotionCommand,
    RecordDailyClose,
    RegisterCommand,
    Request,
    RunEvaluation,
    UnflagAccount,
)
from ledger.domain.decide.account import asks_family, decide_account
from ledger.domain.decide.approval import check_approval, if_approved
from ledger.domain.decide.bounty import decide_bounty, week_of
from ledger.domain.decide.daily_close import decide_close
from ledger.domain.decide.decided import Decided, as_recorded
from ledger.domain.decide.evaluation_run import decide_run
from ledger.domain.decide.programme import decide_programme, programme_stream_of
from ledger.domain.decide.promotion import decide_promotion
from ledger.domain.decide.register import decide_register
from ledger.domain.events import (
    CommandRefused,
    Envelope,
    Event,
    FeeEvent,
    Recorded,
    RefusedSequence,
    SequenceConflict,
    SourceAdvanced,
)
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.account import CONFLICTS_MAX, RANGES_MAX, SourceState
from ledger.domain.state.rulebook import evolve_rulebook, fold_rulebook
from ledger.domain.streams import (
    PROMOTIONS,
    REGISTERS,
    account_stream,
    bounty_stream,
    closes_stream,
    source_stream,
)
from ledger.domain.term_clock import TermClock
from ledger.fills.batch import Part, by_account_day, merged
from ledger.fills.decide import BatchOutcome, decide_fills
from ledger.fills.owners import named_in
from ledger.fills.runs import Runs
from ledger.store.log import Head, Log
from ledger.store.rows import Rows
from ledger.store.writer import Commit, ErasableText, RequestRow, Writer, WriterLost, row_of, rows_of
from ledger.writing.evaluations import asked_by, evaluate_accounts, pay_after_flag
from ledger.writing.messages import (
    Accepted,
    Answer,
    Ask,
    CompleteEvaluation,
    EvaluateAccounts,
    Evaluated,
    FillsTaken,
    Input,
    RecordFills,
    Refused,
    Unsettled,
)
from ledger.writing.owners import name_owners
from ledger.writing.resends import Resend, decide_resends, ranges
from ledger.writing.states import States

_ALL: Final = 2**63 - 1
_STATE_REFUSALS_START: Final = 100  # reasons below are about shape: such a command leaves no trace


@dataclass(slots=True)
class _SourceWork:
    """The part of one commit that comes from one source."""

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

    def advanced(self, before: SourceState) -> SourceAdvanced:
        """Return the event of it, from what the source was before it."""
        return SourceAdvanced(
            first_sequence=self.first_sequence,
            last_sequence=self.last_sequence,
            recorded=self.recorded,
            replayed=self.replayed,
            refused=tuple(self.refused),
            latest_time_ns=max(self.latest_time_ns, before.latest_time_ns),
            conflicts=tuple(self.conflicts),
            conflicts_left_out=self.conflicts_left_out,
            replayed_sequences=ranges(self.replays, RANGES_MAX),
            conflicts_before=before.conflicts_version,
            complete_until_ns=before.complete_until_ns,
            late_from_ns=self.late_from_ns,
            late_version_before=before.late_version,
        )


class _Pending(NamedTuple):
    """A batch that waits to be decided: its new fills, those that its source had sent before, and its answer.

    `replays` are the indexes of new fills that are replays, once they are decided.
    """

    item: RecordFills
    venue: str
    batch: Part | None
    resend: Resend | None
    answer: FillsTaken
    replays: list[int]
    complete_until_ns: int = 0  # what its source had said before it

    @property
    def trimmed(self) -> int:
        """How many of its first fills its source had sent before."""
        return self.resend.size if self.resend is not None else 0


class _Work:
    """One commit in the making."""

    def __init__(self, first_position: int, recorded_time_ns: int, now_ns: int) -> None:
        """`now_ns` is when it is decided: before `recorded_time_ns` where the log is ahead of the clock."""
        self.first_position = first_position
        self.recorded_time_ns = recorded_time_ns
        self.now_ns = now_ns
        self.rows = Rows()
        self.decisions: list[Recorded] = []
        self.requests: dict[str, tuple[bytes, Recorded]] = {}
        self.texts: dict[bytes, ErasableText] = {}
        self.sources: dict[str, _SourceWork] = {}
        self.heartbeats: set[str] = set()  # sources that said how far they are
        self.pending: list[_Pending] = []

    @property
    def next_position(self) -> int:
        return self.first_position + len(self.rows)

    def parts(self) -> Iterator[Part]:
        """The fills that wait to be decided."""
        return (waiting.batch for waiting in self.pending if waiting.batch is not None)


class Service:
    """All states of one writer's term. It is called by one thread; commits are stored by another, one at a time."""

    def __init__(
        self,
        log: Log,
        writer: Writer,
        *,
        term: int,
        day_bytes_max: int,
        account_bytes_max: int,
        publish: Callable[[Head, Sequence[Recorded]], None] = lambda _, __: None,
    ) -> None:
        """`publish` is told of each commit, with its events but for runs of fills, before anybody is answered.

        `landed` may be set to what is called whenever a commit is no longer on its way.
        """
        self._log_as_stored = log
        self._writer = writer
        self._term = term
        self._publish = publish
        self._day_bytes_max = day_bytes_max
        self._account_bytes_max = account_bytes_max
        self.head = Head(0, 0)
        self._clock = TermClock()
        self.unsettled: Unsettled | None = None
        self.landed: Callable[[], None] = lambda: None
        self._pool = ThreadPoolExecutor(1, "commit")
        self._flight: Future[None] | None = None
        self._forget()

    def start(self, events: Sequence[tuple[str, Event]], now_ns: int) -> None:
        """Record what a new term begins with: events of streams `ledger` and `programme/<id>`."""
        recorded_ns = max(now_ns, self.head.recorded_time_ns + 1)
        self._clock = TermClock(now_ns, recorded_ns)
        work = self._begin(now_ns)
        for stream, event in events:
            last = self._log.last_of(stream)
            version = last.version if last else 0
            version += sum(row.stream == stream for row in work.rows)
            self._append(work, stream, version + 1, work.now_ns, event, None)
        commit, head, _ = self._finish(work, [])
        assert commit is not None, events
        self._store(commit, head, (), lambda _: None)
        self._forget()

    def step(self, inputs: Sequence[Input], now_ns: int) -> list[Answer]:
        """Decide and record commands in order, in one commit. Raises WriterLost; then this service is over."""
        answers: list[Answer] = []
        self.send(inputs, now_ns, answers.extend)
        self.settle()
        return answers

    def send(
        self,
        inputs: Sequence[Input],
        now_ns: int,
        deliver: Callable[[Sequence[Answer]], None],
        *,
        at_once: bool = False,
    ) -> None:
        """Decide commands in order and put their commit on its way; `deliver` gets the answers once it is durable.

        Deciding goes on while the commit before is still on its way, one at most. If that one is lost, so is all that
        was decided on it: raises WriterLost, and this service is over. A commit that is stored `at_once` has landed, or
        is lost, when this ends: without a thread for it an answer comes sooner.
        """
        try:
            commit, head, answers = self._decided(inputs, now_ns)
            self.settle()
        except (WriterLost, PersistenceError):
            raise  # this term is over
        except Exception:
            self._forget()  # a defect half way through: what it left in memory is worth nothing
            raise
        self._states.shrink()
        if commit is None:  # refusals and replays: true of the present, if nobody else has written
            if not self._writer.lease.runs:
                self._writer.check()
            deliver(answers)
        else:
            submit = _do if at_once else self._pool.submit
            self._flight = submit(self._store, commit, head, answers, deliver)
            self._flight.add_done_callback(lambda _: self.landed())

    @property
    def on_its_way(self) -> bool:
        """Return whether a commit is on its way."""
        return self._flight is not None and not self._flight.done()

    @property
    def lost(self) -> bool:
        """Return whether the last commit did not arrive, as far as is known: `settle` will say so."""
        return self._flight is not None and self._flight.done() and self._flight.exception() is not None

    def settle(self) -> None:
        """Wait until nothing is on its way. Raises WriterLost if it did not arrive."""
        if self._flight is not None:
            self._flight.result()
            self._flight = None

    def close(self) -> None:
        """End the thread of commits, when the one on its way has arrived or is lost."""
        self._pool.shutdown()

    def _decided(self, inputs: Sequence[Input], now_ns: int) -> tuple[Commit | None, Head, list[Answer]]:
        work = self._begin(now_ns)
        self._states.load(inputs)
        answers = [self._answer(work, item) for item in inputs]
        self._decide_fills(work)
        self._append_sources(work)
        return self._finish(work, answers)

    def _answer(self, work: _Work, item: Input) -> Answer:
        match item:
            case RecordFills():
                return self._take_fills(work, item)
            case EvaluateAccounts():
                return self._evaluate(work, item)
            case CompleteEvaluation():
                stream, request = item.started.stream, asked_by(item.started)
                return Accepted(self._record(work, stream, work.now_ns, item.completed, request))
            case Ask():
                return self._ask(work, item)
            case _:
                assert_never(item)

    # -- one commit ---------------------------------------------------------------------------------------------------

    def _begin(self, now_ns: int) -> _Work:
        recorded_ns = max(self._clock.recorded_at(now_ns), self.head.recorded_time_ns + 1)
        return _Work(self.head.position + 1, recorded_ns, self._clock.decided_at(recorded_ns))

    def _finish(self, work: _Work, answers: list[Answer]) -> tuple[Commit | None, Head, list[Answer]]:
        """The commit, if there is anything to record, and the head of the log after it."""
        if work.rows:
            self.head = Head(work.next_position - 1, work.recorded_time_ns)
        for answer in answers:
            if isinstance(answer, FillsTaken):
                answer.head = self.head
        if not work.rows:
            return None, self.head, answers
        requests = [RequestRow(name, sha256, first.position) for name, (sha256, first) in work.requests.items()]
        commit = Commit(work.recorded_time_ns, work.rows, work.decisions, requests, list(work.texts.values()))
        return commit, self.head, answers

    def _store(
        self, commit: Commit, head: Head, answers: Sequence[Answer], deliver: Callable[[Sequence[Answer]], None]
    ) -> None:
        """In the thread of commits: store one, tell of it, answer."""
        self.unsettled = Unsettled(commit, answers)
        self._writer.lease.suspend()
        try:
            self._writer.commit(commit)
            self._publish(head, commit.decisions)
        except (WriterLost, PersistenceError):
            raise
        except Exception as defect:  # whatever it was, what was decided on this commit is worth nothing now
            raise WriterLost(f"a commit ended in a defect: {defect!r}") from defect
        self._writer.lease.resume()
        self.unsettled = None
        deliver(answers)

    def _append(
        self, work: _Work, stream: str, version: int, effective_ns: int, event: Event, request: Request | None
    ) -> Recorded:
        envelope = Envelope(effective_ns, work.recorded_time_ns, self._term)
        if request is not None:
            envelope = self._envelope_of(work, effective_ns, request)
        recorded = Recorded(work.next_position, stream, version, envelope, event)
        work.rows.append(row_of(recorded))
        if not isinstance(event, FeeEvent):
            work.decisions.append(recorded)
        return recorded

    def _envelope_of(self, work: _Work, effective_ns: int, request: Request) -> Envelope:
        reason_sha256 = b""
        if request.reason:
            text = ErasableText(request.reason_salt, request.reason)
            reason_sha256 = text.sha256
            work.texts[reason_sha256] = text
        return Envelope(
            effective_time_ns=effective_ns,
            recorded_time_ns=work.recorded_time_ns,
            writer_term=self._term,
            actor=request.actor,
            approver=request.approver,
            ticket=request.ticket,
            reason_sha256=reason_sha256,
            request_id=request.request_id,
            request_sha256=request.sha256,
            request_message=request.message,
            request_body=request.body,
        )

    # -- commands -----------------------------------------------------------------------------------------------------

    def _ask(self, work: _Work, ask: Ask) -> Answer:
        known = self._known_request(work, ask.request)
        if isinstance(known, Accepted) or (known is not None and known.replayed):
            return known
        stream, decided = self._decide(work, ask.command)
        decided = if_approved(decided, check_approval(self._states.book, ask.command, ask.request, work.now_ns))
        if isinstance(decided, Refusal) and decided.reason < _STATE_REFUSALS_START:
            return Refused(decided)
        return known if known is not None else self._record_decision(work, ask, stream, decided)

    def _known_request(self, work: _Work, request: Request) -> Accepted | Refused | None:
        """The first answer again, or a refusal if the name was used for something else."""
        if request.request_id in work.requests:
            sha256, first = work.requests[request.request_id]
        elif request.request_id in self._states.requests:
            sha256, position = self._states.requests[request.request_id]
            first = self._log.at(position)
        else:
            return None
        if sha256 not in (request.sha256, request.sha256_of_all):
            detail = f"{request.request_id} was used for another request at position {first.position}"
            return Refused(Refusal(Reason.REQUEST_ID_REUSED, "request_id", detail), first.position)
        if isinstance(first.event, CommandRefused):
            refusal = Refusal(Reason(first.event.reason), first.event.field, first.event.detail)
            return Refused(refusal, first.position, replayed=True)
        return Accepted(first, replayed=True)

    def _decide(self, work: _Work, command: Command) -> tuple[str, Decided | Refusal]:
        """The stream a command is for, and what is decided. Fills that it might touch are decided before it."""
        if isinstance(command, RegisterCommand):
            self._decide_fills(work)
            return REGISTERS, decide_register(self._states.book, command, work.now_ns)
        if isinstance(command, ProgrammeCommand):
            self._decide_fills(work)
            return programme_stream_of(command), decide_programme(self._states.book, command, work.now_ns)
        if isinstance(command, PromotionCommand | BountyCommand):
            return self._decide_reward(command, work.now_ns)
        if isinstance(command, RunEvaluation):
            self._decide_fills(work)  # what comes before it in this commit is read too
            return decide_run(
                command,
                self._states.book,
                self._states.evaluation,
                now_ns=work.now_ns,
                last_position=work.next_position - 1,
                recorded_at=lambda position: self._log.head_at_position(position).recorded_time_ns,
                book_at=lambda position: fold_rulebook(programmes.parse, self._log.rulebook(position)),
            )
        if isinstance(command, RecordDailyClose):
            closes = self._states.closes(command.asset)
            return closes_stream(command.asset), decide_close(closes, command, self._states.book, work.now_ns)
        of_family = asks_family(command)
        if any(part.is_about(command.account_id) or (of_family and part.names_owners) for part in work.parts()):
            self._decide_fills(work)
        account = self._states.account(command.account_id)
        family = self._states.family(account) if of_family else ()
        decided = decide_account(account, command, family=family, book=self._states.book, now_ns=work.now_ns)
        return account_stream(command.account_id), decided

    def _decide_reward(self, command: PromotionCommand | BountyCommand, now_ns: int) -> tuple[str, Decided | Refusal]:
        """Rewards change no price: runs of fills go on."""
        states = self._states
        if isinstance(command, PromotionCommand):
            return PROMOTIONS, decide_promotion(states.promotions(), command, states.account, states.book, now_ns)
        week = week_of(command, now_ns)
        decided = decide_bounty(states.round(week), command, states.account, states.book, now_ns)
        return bounty_stream(week), decided

    def _record_decision(self, work: _Work, ask: Ask, stream: str, decided: Decided | Refusal) -> Answer:
        told = as_recorded(stream, ask.command, decided, work.now_ns) if isinstance(decided, Refusal) else decided
        effective_ns, further = told.effective_time_ns, ask.request.kept_before
        flagged = self._states.account(ask.command.account_id) if isinstance(ask.command, UnflagAccount) else None
        (name, event), *others = told.events
        first = self._record(work, name, effective_ns, event, ask.request)
        for name, event in others:
            self._record(work, name, effective_ns, event, further)
        if flagged is not None:
            record = partial(self._record, work)
            pay_after_flag(flagged, self._states, work.rows, record, further, work.now_ns)
        work.requests[ask.request.request_id] = (ask.request.sha256, first)
        return Refused(decided, first.position) if isinstance(decided, Refusal) else Accepted(first)

    def _record(self, work: _Work, stream: str, effective_ns: int, event: Event, request: Request | None) -> Recorded:
        """Append an event of a decision, and evolve the state it is about."""
        kind, _, name = stream.partition("/")
        if kind == "account":
            recorded = self._append(work, stream, self._states.account(name).version + 1, effective_ns, event, request)
            self._states.evolve_account(recorded)
        elif kind == "fees":
            recorded = self._append(work, stream, work.next_position, effective_ns, event, request)
        elif kind == "owner":
            recorded = self._append(work, stream, self._states.owners.version(name) + 1, effective_ns, event, request)
            self._states.owners.take(recorded)
        elif kind in ("promotions", "bounty"):
            recorded = self._append(
                work, stream, self._states.rewards_version(stream) + 1, effective_ns, event, request
            )
            self._states.evolve_rewards(recorded)
        elif kind == "evaluation":
            version = self._states.evaluation(stream).version + 1
            recorded = self._append(work, stream, version, effective_ns, event, request)
            self._states.evolve_evaluation(recorded)
        elif kind == "closes":
            recorded = self._append(work, stream, self._states.closes(name).version + 1, effective_ns, event, request)
            self._states.evolve_closes(recorded)
        else:
            version = self._states.book.versions.get(stream, 0) + 1
            recorded = self._append(work, stream, version, effective_ns, event, request)
            self._states.book = evolve_rulebook(self._states.book, recorded)
        return recorded

    # -- evaluations --------------------------------------------------------------------------------------------------

    def _evaluate(self, work: _Work, job: EvaluateAccounts) -> Evaluated:
        """Fills before it are priced without it, then adjusted."""
        self._decide_fills(work)
        record = partial(self._record, work)
        return evaluate_accounts(job, self._states, work.rows, record, work.now_ns)

    # -- fills --------------------------------------------------------------------------------------------------------

    def _take_fills(self, work: _Work, item: RecordFills) -> Answer:
        """All of it waits for `_decide_fills`, which completes the answer; what a source sent before is told apart."""
        last = self._states.source(item.source).last_sequence if item.source else 0
        if item.source and item.first_sequence > last + 1:
            return Refused(_gap(item, last))
        if not item.size:
            answer = FillsTaken(source_sequence=last)
            self._hear(work, item, answer)
            return answer
        venue = self._states.book.venue(item.venue)
        if isinstance(venue, Refusal):
            return Refused(venue)
        answer, batch, resend = FillsTaken(), item.batch, None
        if item.source and item.first_sequence <= last:
            again, batch = _split(item, min(item.size, last + 1 - item.first_sequence))
            resend = Resend(item, venue, min(item.size, last + 1 - item.first_sequence), again)
        complete_ns = 0
        if item.source:
            state = self._states.source(item.source)
            complete_ns = state.complete_until_ns
            answer.source_sequence = max(last, item.first_sequence + item.size - 1)
            self._states.sources[item.source] = replace(state, last_sequence=answer.source_sequence)
            self._hear(work, item, answer)
        work.pending.append(_Pending(item, venue, batch, resend, answer, [], complete_ns))
        return answer

    def _hear(self, work: _Work, item: RecordFills, answer: FillsTaken) -> None:
        """Note how far a source says that it is: it never goes back. The same once more is a sign that it is alive."""
        state = self._states.source(item.source)
        if item.complete_until_ns and item.complete_until_ns >= state.complete_until_ns:
            state = self._states.sources[item.source] = replace(state, complete_until_ns=item.complete_until_ns)
            work.heartbeats.add(item.source)
        answer.complete_until_ns = state.complete_until_ns

    def _decide_fills(self, work: _Work) -> None:
        """Decide all batches that wait, those of one venue and actor together, then what their sources sent again."""
        pending, work.pending = work.pending, []
        by_origin: dict[tuple[str, str], list[_Pending]] = {}
        for waiting in pending:
            if waiting.batch is not None and len(waiting.batch):
                by_origin.setdefault((waiting.venue, waiting.batch.whole.actor), []).append(waiting)
        for (venue, _), together in by_origin.items():
            self._decide_together(work, venue, together)
        for waiting in pending:
            self._settle(work, waiting)
        if any(waiting.resend for waiting in pending):
            self._decide_resends(work, pending)

    def _decide_together(self, work: _Work, venue: str, together: Sequence[_Pending]) -> None:
        batch = merged([waiting.batch for waiting in together if waiting.batch is not None]).of_venue(venue)
        groups = by_account_day(batch)
        states, next_position = self._states, work.next_position
        places = states.load_batch(batch, groups)
        with_fees = any(waiting.item.with_fees for waiting in together)
        suspects = states.days.suspects(batch, groups, places, next_position)
        asked = np.ones(len(batch), dtype=bool) if with_fees else None
        taken = decide_fills(
            batch,
            groups,
            states.accounts,
            places,
            states.days,
            states.book,
            with_fees=with_fees,
            known=states.known(batch, suspects, work.rows, next_position, asked),
            next_position=next_position,
        )
        if taken.runs:
            self._append_runs(work, batch.actor, taken.runs)
            self._name_owners(work, batch.actor, taken.runs)
        _hand_out(taken, together)

    def _settle(self, work: _Work, waiting: _Pending) -> None:
        """With the fills of a batch decided: its malformed ones, its source, its conflicts, and what came before."""
        item, answer = waiting.item, waiting.answer
        if item.malformed:
            answer.refused += [entry for entry in item.malformed if entry[0] >= waiting.trimmed]
            answer.refused.sort(key=lambda entry: entry[0])
        if item.source:
            self._advance(work, waiting)
        elif answer.refused and waiting.batch is not None:
            self._record_conflicts(work, item, waiting.batch, answer)

    def _decide_resends(self, work: _Work, pending: Sequence[_Pending]) -> None:
        """Compare what sources sent again with what the numbers named, and record conflicts."""
        resends = [waiting.resend for waiting in pending if waiting.resend is not None]
        making = {name: taken.advanced(SourceState(name)) for name, taken in work.sources.items()}
        decide_resends(resends, self._log, self._states, work.rows, work.next_position, making)
        for waiting in pending:
            if (resend := waiting.resend) is None:
                continue
            answer = waiting.answer
            answer.refused = [*sorted(resend.refused.items()), *answer.refused]
            answer.replayed += resend.size - len(resend.refused)
            answer.fees.update(resend.fees)
            self._note_conflicts(work, waiting.item.source, resend.conflicts)

    def _note_conflicts(self, work: _Work, source: str, conflicts: Sequence[SequenceConflict]) -> None:
        """Have conflicts recorded with the source, but for those that are recorded already."""
        known = self._states.conflicts(source) if conflicts else ()
        new = [conflict for conflict in conflicts if conflict not in known]
        if not new:
            return
        last = self._states.source(source).last_sequence
        taken = work.sources.setdefault(source, _SourceWork(last + 1, last))
        for conflict in new:
            if conflict in taken.conflicts or len(taken.conflicts) < CONFLICTS_MAX:
                taken.conflicts[conflict] = None
            else:
                taken.conflicts_left_out += 1

    def _advance(self, work: _Work, waiting: _Pending) -> None:
        item, batch, trimmed, answer = waiting.item, waiting.batch, waiting.trimmed, waiting.answer
        if trimmed == item.size:
            return
        first, last = item.first_sequence + trimmed, item.first_sequence + item.size - 1
        source = work.sources.setdefault(item.source, _SourceWork(first, last))
        source.last_sequence = last
        source.recorded += answer.recorded
        source.replayed += answer.replayed
        source.replays += [item.first_sequence + index for index in waiting.replays]
        if batch is not None and len(batch):
            source.latest_time_ns = max(source.latest_time_ns, batch.latest_ns())
        if answer.late_from_ns:
            source.late_from_ns = min(source.late_from_ns or answer.late_from_ns, answer.late_from_ns)
        source.refused += [
            RefusedSequence(item.first_sequence + index, refusal.reason, item.fill_sha256(index), refusal.field)
            for index, refusal in answer.refused
        ]

    def _record_conflicts(self, work: _Work, item: RecordFills, batch: Part, answer: FillsTaken) -> None:
        """Somebody sent a known fill with other content: that is worth a record even without a source."""
        for index, refusal in answer.refused:
            if refusal.reason == Reason.FILL_CONFLICT:
                account_id = batch.account_of(int(np.searchsorted(batch.index, index)))
                event = CommandRefused(
                    "RecordFills", refusal.reason, refusal.field, refusal.detail, item.fill_sha256(index)
                )
                request = Request("", b"", actor=batch.whole.actor)
                self._record(work, account_stream(account_id), work.now_ns, event, request)

    def _append_runs(self, work: _Work, actor: str, runs: Runs) -> None:
        work.rows.extend(rows_of(runs, work.next_position, Envelope(0, work.recorded_time_ns, self._term, actor)))

    def _name_owners(self, work: _Work, actor: str, runs: Runs) -> None:
        if named := named_in(runs, self._states.accounts):
            self._states.owners.load(each.owner_id for each in named)
            name_owners(named, partial(self._record, work), Request("", b"", actor=actor))

    def _append_sources(self, work: _Work) -> None:
        for name in dict.fromkeys((*work.sources, *sorted(work.heartbeats))):
            state = self._states.source(name)
            taken = work.sources.get(name) or _SourceWork(state.last_sequence + 1, state.last_sequence)
            event = taken.advanced(state)
            recorded = self._append(work, source_stream(name), state.version + 1, work.now_ns, event, None)
            self._states.evolve_source(recorded)

    @property
    def _log(self) -> Log:
        """The log, which holds all that was decided: reading waits for the commit on its way."""
        self.settle()
        return self._log_as_stored

    def _forget(self) -> None:
        """Drop every state; what is needed is read again from the log."""
        self.head = self._log.head()
        self._states = States(
            lambda: self._log, day_bytes_max=self._day_bytes_max, account_bytes_max=self._account_bytes_max
        )


def _do(function: Callable[..., None], *arguments: Any) -> Future[None]:
    """As an executor does it, but in this thread."""
    done: Future[None] = Future()
    try:
        function(*arguments)
        done.set_result(None)
    except Exception as error:
        done.set_exception(error)
    return done


def _hand_out(taken: BatchOutcome, together: Sequence[_Pending]) -> None:
    """Give each of the batches decided together its part of the decision, by index in its request."""
    replayed, refused = sorted(taken.replayed), [place for place, _ in taken.refused]
    start = 0
    for waiting in together:
        assert waiting.batch is not None, waiting
        answer, end = waiting.answer, start + len(waiting.batch)
        if replayed:
            places = replayed[bisect_left(replayed, start) : bisect_left(replayed, end)]
            answer.replayed = len(places)
            waiting.replays.extend(int(waiting.batch.index[place - start]) for place in places)
        if refused:
            index = waiting.batch.index
            entries = taken.refused[bisect_left(refused, start) : bisect_left(refused, end)]
            answer.refused = [(int(index[place - start]), why) for place, why in entries]
        answer.recorded = end - start - answer.replayed - len(answer.refused)
        if waiting.complete_until_ns and answer.recorded:
            others = [place - start for place in (*replayed, *refused) if start <= place < end]
            answer.late_from_ns = waiting.batch.earliest_ns(waiting.complete_until_ns, others)
        if waiting.item.with_fees:
            indexes = enumerate(waiting.batch.index.tolist(), start)
            answer.fees.update((index, taken.fees[place]) for place, index in indexes if place in taken.fees)
        start = end


def _split(item: RecordFills, size: int) -> tuple[Part | None, Part | None]:
    """The well-formed ones among the first `size` fills of a request, and those after them."""
    if item.batch is None:
        return None, None
    place = int(np.searchsorted(item.batch.index, size))
    return Part(item.batch.whole, item.batch.start, item.batch.start + place), item.batch.behind(place)


def _gap(item: RecordFills, last: int) -> Refusal:
    detail = f"source {item.source} goes on with {last + 1}, this batch starts at {item.first_sequence}"
    return Refusal(Reason.SEQUENCE_GAP, "first_sequence", detail, {"expected_sequence": str(last + 1)})
