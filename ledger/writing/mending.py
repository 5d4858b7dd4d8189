"""Mends in the commit in the making: what a late fact does is recorded with it, and the lines that it restates."""

from __future__ import annotations

from ledger.domain.commands import Request
from ledger.domain.events import FactReleased, Recorded
from ledger.domain.streams import account_stream, day_key, subject_of
from ledger.fills.mend import Mending
from ledger.writing.draft import Draft


def mend(draft: Draft, recorded: Recorded, request: Request) -> None:
    """Record what an event of an account that was just recorded does to lines of before."""
    account_id = subject_of(recorded.stream)
    if isinstance(recorded.event, FactReleased):  # two persons release it
        restate(draft, recorded, request)
    for event in Mending(draft.states).outcome(recorded, account_id, draft.now_ns):
        outcome = draft.record(account_stream(account_id), draft.now_ns, event, request)
        if isinstance(event, FactReleased):
            restate(draft, outcome, request)


def restate(draft: Draft, release: Recorded, request: Request) -> None:
    """Record the lines that a FactReleased restates."""
    account_id, event = subject_of(release.stream), release.event
    assert isinstance(event, FactReleased), release
    cause = (event.cause, event.fact_position)
    for stream, restated in Mending(draft.states).restated(account_id, release):
        for adjusted in draft.states.adjust(day_key(stream), restated, cause, release.position):
            draft.record(stream, adjusted.time_min_ns, adjusted, request)
