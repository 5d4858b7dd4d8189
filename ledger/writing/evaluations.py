"""What the writer records of an evaluation: what volume gives to each account, and the fees that it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ledger.domain.commands import Request
from ledger.domain.decide.evaluation import changes_from_ns, decide_evaluated, is_followed, owed_after_flag
from ledger.domain.events import Event, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.state.account import FOREVER_NS, AccountState
from ledger.domain.streams import account_stream, fee_stream
from ledger.fills.adjust import lines_before, restated_by_grants
from ledger.store.rows import Rows
from ledger.writing.messages import EvaluateAccounts, Evaluated
from ledger.writing.states import States

Record = Callable[[str, int, Event, Request], Recorded]  # append an event to a stream, with the instant it takes effect


class _Late(NamedTuple):
    """An account as it was before an event at a position, which says what it pays from an instant in the past on."""

    before: AccountState
    from_ns: int
    position: int
    until_ns: int = FOREVER_NS  # lines from then on stay as they are


def evaluate_accounts(
    job: EvaluateAccounts, states: States, of_this_commit: Rows, record: Record, now_ns: int
) -> Evaluated:
    """Record what volume gives to some accounts; a run that goes on finds those that it had evaluated."""
    states.load_accounts(found.case.account_id for found in job.assessments)
    request, name = asked_by(job.started), job.run.programme.programme_id
    late: list[_Late] = []
    for found in job.assessments:
        case = found.case
        account = states.account(case.account_id)
        if (name, job.run.kind, case.evaluated_ns) in account.evaluated or not is_followed(account, job.run, case):
            continue
        event = decide_evaluated(account, job.run, found, now_ns)
        recorded = record(account_stream(case.account_id), case.evaluated_ns, event, request)
        if changes_from_ns(event) <= now_ns and flagged_at(account.flags, now_ns) is None:
            late.append(_Late(account, changes_from_ns(event), recorded.position))
    if late and job.run.programme.late_grant == "adjust":
        _adjust(late, states, of_this_commit, record, request, now_ns)
    return Evaluated(len(job.assessments))


def pay_after_flag(
    before: AccountState, states: States, of_this_commit: Rows, record: Record, request: Request, now_ns: int
) -> None:
    """Adjust what evaluations changed of an account's fees while its flag ran, which ends with this commit (R21)."""
    owed = owed_after_flag(before, states.account(before.account_id), states.book)
    if owed is not None:
        late = _Late(owed.before, owed.from_ns, owed.cause_position, owed.until_ns)
        _adjust([late], states, of_this_commit, record, request, now_ns)


def asked_by(started: Recorded) -> Request:
    """Who stands behind all that a run records."""
    envelope = started.envelope
    return Request(envelope.request_id, envelope.request_sha256, envelope.actor, envelope.approver, envelope.ticket)


def _adjust(
    late: Sequence[_Late],
    states: States,
    of_this_commit: Rows,
    record: Record,
    request: Request,
    now_ns: int,
) -> None:
    """Fees of fills that were recorded before the evaluation, and happened after it (A31)."""
    until_day = (now_ns + DAY_NS) // DAY_NS  # a fill may say it happened a little later than now
    days = {
        fee_stream(one.before.account_id, day): (one, day)
        for one in late
        for day in range(one.from_ns // DAY_NS, min(until_day, one.until_ns // DAY_NS) + 1)
    }
    for stream in sorted(states.fee_days(days, of_this_commit)):
        one, number = days[stream]
        after = states.account(one.before.account_id)
        lines = lines_before(states.lines_now(stream, of_this_commit).values(), one.until_ns)
        restated = list(restated_by_grants(lines, one.before, after, states.book))
        if restated:
            key = (one.before.account_id, number)
            event = states.adjust(key, restated, one.position)
            record(stream, event.time_min_ns, event, request)
