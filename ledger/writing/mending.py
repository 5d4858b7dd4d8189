"""Mends in the commit in the making: what a late fact does is recorded with it, and the lines that it restates.

Of lines that are too many only the beginning is recorded: commits that come after it, beside ingest, restate them.
"""

from __future__ import annotations

from ledger.domain.commands import Request
from ledger.domain.events import FactReleased, Recorded, ReleaseAdvanced
from ledger.domain.state.shared_facts import Underway
from ledger.domain.streams import account_stream, day_key, release_stream, repricing_stream, subject_of
from ledger.fills import mend as mending
from ledger.fills.reprice import completed, next_part
from ledger.fills.targets import Targets
from ledger.writing.draft import Draft
from ledger.writing.messages import GoOnRepricing, Repriced


def mend(draft: Draft, recorded: Recorded, request: Request, lines_max: int | None = None) -> int:
    """Record what an event of an account that was just recorded does to lines of before.

    At most so many lines are restated here (default: as many as one commit takes); return how many were looked at.
    """
    left = most = mending.LINES_AT_ONCE if lines_max is None else lines_max
    account_id = subject_of(recorded.stream)
    if isinstance(recorded.event, FactReleased):  # two persons release it
        left -= _restate(draft, recorded, request, left)
    for event in _mending(draft).outcome(recorded, account_id, draft.now_ns):
        outcome = draft.record(account_stream(account_id), draft.now_ns, event, request)
        if isinstance(event, FactReleased):
            left -= _restate(draft, outcome, request, left)
    return most - left


def _restate(draft: Draft, release: Recorded, request: Request, lines_max: int) -> int:
    """Record the lines that a FactReleased restates, or that commits to come will restate them."""
    account_id, event, mends = subject_of(release.stream), release.event, _mending(draft)
    assert isinstance(event, FactReleased), release
    started = mends.started(account_id, release)
    if started.lines_reached > lines_max or mends.must_wait(started):
        draft.record(repricing_stream(account_id), draft.now_ns, started, request)
        return 0
    for stream, found in mends.restated(account_id, release.position):
        _adjust(draft, stream, found, (event.cause, event.fact_position), release.position, request)
    draft.states.releases.clear()
    return started.lines_reached


def take_repricing(draft: Draft, job: GoOnRepricing) -> Repriced:
    """Let parts of repricings wait for `go_on_repricing`, which completes the answer that this returns."""
    answer = Repriced()
    draft.repricing.append((job, answer))
    return answer


def go_on_repricing(draft: Draft) -> None:
    """Record the parts that wait, as many lines of them as one commit takes.

    They read the log, for which the commit in flight must be stored: so all else of this one is decided before.
    """
    left = mending.LINES_AT_ONCE
    for _, answer in draft.repricing[:1]:
        lines, answer.accounts = _bring_shared_fact(draft, left)
        answer.lines += lines
        left -= lines
    for job, answer in draft.repricing:
        for account_id in job.account_ids:
            if left > 0:
                looked_at = _next_part(draft, account_id, left)
                answer.lines += looked_at
                left -= looked_at


def _next_part(draft: Draft, account_id: str, lines_max: int) -> int:
    """Record the next part of the first repricing of an account, if any is open; return how many lines it looked at."""
    states, stream = draft.states, repricing_stream(account_id)
    underway = next(iter(states.repricings(account_id).open), None)
    if underway is None:
        return 0
    event, request = underway.event, draft.asked_by(underway.started)
    part = next_part(_mending(draft), underway, lines_max=lines_max)
    draft.record(stream, draft.now_ns, part.advanced, request)
    for fees, found in part.restated:
        _adjust(draft, fees, found, (event.cause, event.fact_position), event.release_position, request)
    if (ended := completed(part.advanced)) is not None:
        draft.record(stream, draft.now_ns, ended, request)
        states.releases.clear()
    return part.advanced.looked_at - underway.looked_at


def mend_shared(draft: Draft, recorded: Recorded, request: Request) -> None:
    """Record what a shared fact that was just recorded does to lines of before: later commits bring it to accounts."""
    for event in _mending(draft).shared_outcome(recorded, draft.now_ns):
        draft.record(recorded.stream, draft.now_ns, event, request)


def _bring_shared_fact(draft: Draft, lines_max: int) -> tuple[int, int]:
    """Bring the first shared fact that is released to the next accounts; return (lines looked at, accounts)."""
    underway = next(iter(draft.states.releases_underway()), None)
    if underway is None or underway.release.position >= draft.first_position:
        return 0, 0
    shared = underway.fact
    accounts, until = _next_accounts(draft, underway, lines_max)
    advanced = ReleaseAdvanced(underway.release.position, until)
    request = draft.asked_by(underway.release)
    draft.record(release_stream(shared.event.programme_id), draft.now_ns, advanced, request)
    left = lines_max
    for account_id, event in _mending(draft).brought(underway, until):
        outcome = draft.record(account_stream(account_id), draft.now_ns, event, request)
        if isinstance(event, FactReleased):
            left -= _restate(draft, outcome, request, left)
    return lines_max - left, max(accounts, 1)


def _next_accounts(draft: Draft, underway: Underway, lines_max: int) -> tuple[int, str]:
    """Return how many accounts one commit brings a shared fact to, and up to which one; empty: no other is left."""
    states, fact, after = draft.states, underway.fact, underway.after_account_id
    from_ns = fact.event.valid_from_ns
    accounts, until = states.accounts_next(after, from_ns, fact.recorded.position, mending.ACCOUNTS_AT_ONCE)
    states.load_reached(accounts, from_ns)
    reached, count = dict[str, int](), 0
    for account_id in accounts:
        more = reached | states.fee_lines(account_id, from_ns)
        if count and (len(more) > mending.DAYS_AT_ONCE or sum(more.values()) > lines_max):
            until = accounts[count - 1]
            break
        reached, count = more, count + 1
    states.load_fees(reached)
    return count, until


def _mending(draft: Draft) -> mending.Mending:
    return mending.Mending(draft.states, draft.states.releases)


def _adjust(
    draft: Draft, stream: str, found: Targets, cause: tuple[str, int], release_position: int, request: Request
) -> None:
    for adjusted in draft.states.adjust(day_key(stream), found, cause, release_position, draft.next_position):
        draft.record(stream, adjusted.time_min_ns, adjusted, request)
