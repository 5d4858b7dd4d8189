"""Records evaluations: the tier that volume gives to each account, and the fees that it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain.commands import Request
from ledger.domain.decide.evaluation import changes_from_ns, decide_evaluated, is_followed, owed_after_flag
from ledger.domain.events import Recorded
from ledger.domain.instants import DAY_NS, NEVER_NS
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.state.account import AccountState
from ledger.domain.streams import account_stream, fee_stream
from ledger.fills.adjust import lines_before, restated_by_grants
from ledger.writing.draft import Draft
from ledger.writing.messages import EvaluateAccounts, Evaluated


class _Late(NamedTuple):
    """An account whose fees change for fills from `from_ns` to before `until_ns`, by the event at `position`.

    `before` is its state before that event.
    """

    before: AccountState
    from_ns: int
    position: int
    until_ns: int = NEVER_NS


def evaluate_accounts(draft: Draft, job: EvaluateAccounts) -> Evaluated:
    """Record what volume gives to some accounts, but for those that the run has evaluated already."""
    states, now_ns = draft.states, draft.now_ns
    states.load_accounts(found.case.account_id for found in job.assessments)
    request, name = asked_by(job.started), job.run.programme.programme_id
    late: list[_Late] = []
    for found in job.assessments:
        case = found.case
        account = states.account(case.account_id)
        if (name, job.run.kind, case.evaluated_ns) in account.evaluated or not is_followed(account, job.run, case):
            continue
        event = decide_evaluated(account, job.run, found, now_ns)
        recorded = draft.record(account_stream(case.account_id), case.evaluated_ns, event, request)
        if changes_from_ns(event) <= now_ns and flagged_at(account.flags, now_ns) is None:
            late.append(_Late(account, changes_from_ns(event), recorded.position))
    if late and job.run.programme.late_grant == "adjust":
        _adjust(draft, late, request)
    return Evaluated(len(job.assessments))


def pay_after_flag(draft: Draft, before: AccountState, request: Request) -> None:
    """Adjust the fees that evaluations changed while an account was flagged; its flag ends with this commit (R21).

    `before` is the account while it was flagged.
    """
    owed = owed_after_flag(before, draft.states.account(before.account_id), draft.states.book)
    if owed is not None:
        late = _Late(owed.before, owed.from_ns, owed.cause_position, owed.until_ns)
        _adjust(draft, [late], request)


def asked_by(started: Recorded) -> Request:
    """Return who asked for a run, as all that it records says it."""
    envelope = started.envelope
    return Request(envelope.request_id, envelope.request_sha256, envelope.actor, envelope.approver, envelope.ticket)


def _adjust(draft: Draft, late: Sequence[_Late], request: Request) -> None:
    """Adjust the fees of fills that were recorded before the evaluation, and happened after it (A31)."""
    states = draft.states
    until_day = (draft.now_ns + DAY_NS) // DAY_NS  # a fill may say it happened a little later than now
    days = {
        fee_stream(one.before.account_id, day): (one, day)
        for one in late
        for day in range(one.from_ns // DAY_NS, min(until_day, one.until_ns // DAY_NS) + 1)
    }
    for stream in sorted(states.fee_days(days, draft.rows)):
        one, number = days[stream]
        after = states.account(one.before.account_id)
        lines = lines_before(states.lines_now(stream, draft.rows).values(), one.until_ns)
        restated = list(restated_by_grants(lines, one.before, after, states.book))
        if restated:
            key = (one.before.account_id, number)
            event = states.adjust(key, restated, one.position)
            draft.record(stream, event.time_min_ns, event, request)
