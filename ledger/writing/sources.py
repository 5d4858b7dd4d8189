"""The sources in the commit in the making: how far they say they are, their numbers that it takes, their conflicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger.domain.events import RefusedSequence, SequenceConflict
from ledger.domain.state.account import CONFLICTS_MAX
from ledger.domain.streams import source_stream
from ledger.writing.draft import Draft, PendingFills, SourceAdvance
from ledger.writing.messages import FillsTaken, RecordFills


def note_complete_until(draft: Draft, job: RecordFills, answer: FillsTaken) -> None:
    """Note how far a source says that it is: it never goes back. The same once more is a sign that it is alive."""
    state = draft.states.source(job.source)
    if job.complete_until_ns and job.complete_until_ns >= state.complete_until_ns:
        state = draft.states.sources[job.source] = replace(state, complete_until_ns=job.complete_until_ns)
        draft.heartbeats.add(job.source)
    answer.complete_until_ns = state.complete_until_ns


def advance_source(draft: Draft, decided: PendingFills) -> None:
    """Take the numbers of a request, all of whose new fills are decided, from its source."""
    job, batch, trimmed, answer = decided.job, decided.batch, decided.trimmed, decided.answer
    if trimmed == job.size:
        return
    first, last = job.first_sequence + trimmed, job.first_sequence + job.size - 1
    source = draft.sources.setdefault(job.source, SourceAdvance(first, last))
    source.last_sequence = last
    source.recorded += answer.recorded
    source.replayed += answer.replayed
    source.replays += [job.first_sequence + index for index in decided.replays]
    if batch is not None and len(batch):
        source.latest_time_ns = max(source.latest_time_ns, batch.latest_ns())
    if answer.late_from_ns:
        source.late_from_ns = min(source.late_from_ns or answer.late_from_ns, answer.late_from_ns)
    source.refused += [
        RefusedSequence(job.first_sequence + index, refusal.reason, job.fill_sha256(index), refusal.field)
        for index, refusal in answer.refused
    ]


def note_conflicts(draft: Draft, source: str, conflicts: Sequence[SequenceConflict]) -> None:
    """Have conflicts recorded in the stream of their source, but for those that are recorded already."""
    known = draft.states.conflicts(source) if conflicts else ()
    new = [conflict for conflict in conflicts if conflict not in known]
    if not new:
        return
    last = draft.states.source(source).last_sequence
    advance = draft.sources.setdefault(source, SourceAdvance(last + 1, last))
    for conflict in new:
        if conflict in advance.conflicts or len(advance.conflicts) < CONFLICTS_MAX:
            advance.conflicts[conflict] = None
        else:
            advance.conflicts_left_out += 1


def append_advances(draft: Draft) -> None:
    """Append SourceAdvanced for each source that a commit takes numbers from, or that said how far it is."""
    for name in dict.fromkeys((*draft.sources, *sorted(draft.heartbeats))):
        state = draft.states.source(name)
        advance = draft.sources.get(name) or SourceAdvance(state.last_sequence + 1, state.last_sequence)
        recorded = draft.append(source_stream(name), state.version + 1, draft.now_ns, advance.event(state))
        draft.states.evolve_source(recorded)
