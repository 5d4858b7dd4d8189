"""Fills in the commit in the making: requests wait here until something asks for their decisions, then all at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ledger.domain.commands import Request
from ledger.domain.events import AccountLinked, CommandRefused, Envelope, OwnerNamed
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.streams import account_stream, owner_stream
from ledger.fills.batch import BatchPart, FillBatch, by_account_day, merged
from ledger.fills.decide import BatchOutcome, decide_fills
from ledger.fills.decide_few import FEW, decide_few, group_few
from ledger.fills.fill_runs import FillRuns
from ledger.fills.listed_batch import listed
from ledger.fills.owners import newly_named_owners
from ledger.fills.standings import HeldStandings
from ledger.store.writer import rows_of
from ledger.writing.draft import Draft, PendingFills, Resend
from ledger.writing.messages import Answer, FillsTaken, RecordFills, Refused
from ledger.writing.resends import decide_resends
from ledger.writing.sources import advance_source, note_complete_until, note_conflicts


def take_fills(draft: Draft, job: RecordFills) -> Answer:
    """Let the fills of a request wait for `decide_pending`, which completes the answer that this returns.

    Those that its source had sent before are told apart. A gap in its numbers, or an unknown venue, refuses all.
    """
    states = draft.states
    last = states.source(job.source).last_sequence if job.source else 0
    if job.source and job.first_sequence > last + 1:
        return Refused(_gap(job, last))
    if not job.size:
        answer = FillsTaken(source_sequence=last)
        note_complete_until(draft, job, answer)
        return answer
    venue = states.book.venue(job.venue)
    if isinstance(venue, Refusal):
        return Refused(venue)
    answer, batch, resend, complete_ns = FillsTaken(), job.batch, None, 0
    if job.source and job.first_sequence <= last:
        size = min(job.size, last + 1 - job.first_sequence)
        resent, batch = _split(job, size)
        resend = Resend(job, venue, size, resent)
    if job.source:
        state = states.source(job.source)
        complete_ns = state.complete_until_ns
        answer.source_sequence = max(last, job.first_sequence + job.size - 1)
        states.sources[job.source] = replace(state, last_sequence=answer.source_sequence)
        note_complete_until(draft, job, answer)
    draft.pending.append(PendingFills(job, venue, batch, resend, answer, [], complete_ns))
    return answer


def decide_pending(draft: Draft) -> None:
    """Decide all fills that wait, those of one venue and actor together, then those that their sources sent again."""
    pending, draft.pending = draft.pending, []
    by_origin: dict[tuple[str, str], list[PendingFills]] = {}
    for waiting in pending:
        if waiting.batch is not None and len(waiting.batch):
            by_origin.setdefault((waiting.venue, waiting.batch.whole.actor), []).append(waiting)
    for (venue, _), together in by_origin.items():
        _decide_together(draft, venue, together)
    for waiting in pending:
        _complete_answer(draft, waiting)
    if any(waiting.resend for waiting in pending):
        _decide_resends(draft, pending)


def _decide_together(draft: Draft, venue: str, together: Sequence[PendingFills]) -> None:
    batch = merged([waiting.batch for waiting in together if waiting.batch is not None]).at_venue(venue)
    with_fees = any(waiting.job.with_fees for waiting in together)
    outcome = _decide_few(draft, batch, with_fees=with_fees) if len(batch) <= FEW else None
    _hand_out(outcome or _decide_many(draft, batch, with_fees=with_fees), together)


def _decide_few(draft: Draft, batch: FillBatch, *, with_fees: bool) -> BatchOutcome | None:
    """Decide few fills and record them; None, and nothing is recorded, where columns have to decide them."""
    few, states, position = listed(batch), draft.states, draft.next_position
    groups = group_few(few)
    places, accounts = states.load_batch(few.accounts, [group.key for group in groups])
    decided = decide_few(few, groups, accounts, places.tolist(), states.days, states.book, position)
    if decided is None:
        return None
    for key, event in decided.runs:
        draft.append_run(key, event, batch.actor)
    return BatchOutcome(fees=decided.fees if with_fees else {})


def _decide_many(draft: Draft, batch: FillBatch, *, with_fees: bool) -> BatchOutcome:
    """Decide fills and record them."""
    groups = by_account_day(batch)
    states, next_position = draft.states, draft.next_position
    places, accounts = states.load_batch(batch.accounts, groups.keys)
    suspects = states.days.suspects(batch, groups, places, next_position)
    asked = np.ones(len(batch), dtype=bool) if with_fees else None
    outcome = decide_fills(
        batch,
        groups,
        accounts,
        places,
        states.days,
        states.book,
        with_fees=with_fees,
        known=states.known(batch, suspects, draft.rows, next_position, asked),
        next_position=next_position,
    )
    if outcome.runs:
        envelope = Envelope(0, draft.recorded_time_ns, draft.term, batch.actor)
        draft.rows.extend(rows_of(outcome.runs, next_position, envelope))
        if len(batch.owner_id):
            _name_owners(draft, batch.actor, outcome.runs, accounts)
    return outcome


def _name_owners(draft: Draft, actor: str, runs: FillRuns, accounts: HeldStandings) -> None:
    """Record owners that fills name for the first time: with the account, and with the owner."""
    if named := newly_named_owners(runs, accounts.owned):
        request = Request("", b"", actor=actor)
        draft.states.owners.load(each.owner_id for each in named)
        for account_id, owner_id, time_ns in named:
            draft.record(account_stream(account_id), time_ns, OwnerNamed(owner_id), request)
            draft.record(owner_stream(owner_id), time_ns, AccountLinked(account_id), request)


def _hand_out(outcome: BatchOutcome, together: Sequence[PendingFills]) -> None:
    """Give each of the requests that were decided together its part of the outcome, by index in the request."""
    replayed, refused = sorted(outcome.replayed), [place for place, _ in outcome.refused]
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
            entries = outcome.refused[bisect_left(refused, start) : bisect_left(refused, end)]
            answer.refused = [(int(index[place - start]), why) for place, why in entries]
        answer.recorded = end - start - answer.replayed - len(answer.refused)
        if waiting.complete_until_ns and answer.recorded:
            others = [place - start for place in (*replayed, *refused) if start <= place < end]
            answer.late_from_ns = waiting.batch.earliest_ns(waiting.complete_until_ns, others)
        if waiting.job.with_fees:
            indexes = enumerate(waiting.batch.index.tolist(), start)
            answer.fees.update((index, outcome.fees[place]) for place, index in indexes if place in outcome.fees)
        start = end


def _complete_answer(draft: Draft, decided: PendingFills) -> None:
    """Add the malformed fills of a request to its answer, and take its numbers from its source."""
    job, answer = decided.job, decided.answer
    if job.malformed:
        answer.refused += [entry for entry in job.malformed if entry[0] >= decided.trimmed]
        answer.refused.sort(key=lambda entry: entry[0])
    if job.source:
        advance_source(draft, decided)
    elif answer.refused and decided.batch is not None:
        _record_conflicts(draft, job, decided.batch, answer)


def _record_conflicts(draft: Draft, job: RecordFills, batch: BatchPart, answer: FillsTaken) -> None:
    """Record that somebody sent a known fill with other content: that is worth a record even without a source."""
    for index, refusal in answer.refused:
        if refusal.reason == Reason.FILL_CONFLICT:
            account_id = batch.account_of(int(np.searchsorted(batch.index, index)))
            fill_sha256 = job.fill_sha256(index)
            event = CommandRefused("RecordFills", refusal.reason, refusal.field, refusal.detail, fill_sha256)
            request = Request("", b"", actor=batch.whole.actor)
            draft.record(account_stream(account_id), draft.now_ns, event, request)


def _decide_resends(draft: Draft, pending: Sequence[PendingFills]) -> None:
    """Answer fills that sources sent again by what their numbers had named, and note conflicts."""
    found = [(waiting.answer, waiting.resend) for waiting in pending if waiting.resend is not None]
    decide_resends(draft, [resend for _, resend in found])
    for answer, resend in found:
        answer.refused = [*sorted(resend.refused.items()), *answer.refused]
        answer.replayed += resend.size - len(resend.refused)
        answer.fees.update(resend.fees)
        note_conflicts(draft, resend.job.source, resend.conflicts)


def _split(job: RecordFills, size: int) -> tuple[BatchPart | None, BatchPart | None]:
    """Return the well-formed ones among the first `size` fills of a request, and those after them."""
    if job.batch is None:
        return None, None
    place = int(np.searchsorted(job.batch.index, size))
    return BatchPart(job.batch.whole, job.batch.start, job.batch.start + place), job.batch.after(place)


def _gap(job: RecordFills, last: int) -> Refusal:
    detail = f"source {job.source} goes on with {last + 1}, this batch starts at {job.first_sequence}"
    return Refusal(Reason.SEQUENCE_GAP, "first_sequence", detail, {"expected_sequence": str(last + 1)})
