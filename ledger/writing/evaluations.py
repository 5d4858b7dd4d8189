"""Records evaluations: the tier that volume gives to each account, and the fees that it changes."""

from __future__ import annotations

from ledger.domain.decide.evaluation import decide_evaluated, is_followed
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_stream, fee_stream
from ledger.fills import mend as mending
from ledger.writing.draft import Draft
from ledger.writing.mending import mend
from ledger.writing.messages import EvaluateAccounts, Evaluated


def evaluate_accounts(draft: Draft, job: EvaluateAccounts) -> Evaluated:
    """Record what volume gives to some accounts, but for those that the run has evaluated already."""
    states, now_ns = draft.states, draft.now_ns
    states.load_accounts(found.case.account_id for found in job.assessments)
    request, name = draft.asked_by(job.started), job.run.programme.programme_id
    late, left = _with_later_fills(draft, job), mending.LINES_AT_ONCE
    for found in job.assessments:
        case = found.case
        account = states.account(case.account_id)
        if (name, job.run.kind, case.evaluated_ns) in account.evaluated or not is_followed(account, job.run, case):
            continue
        event = decide_evaluated(account, job.run, found, now_ns)
        recorded = draft.record(account_stream(case.account_id), case.evaluated_ns, event, request)
        if case.account_id in late:
            left -= mend(draft, recorded, request, left)
    return Evaluated(len(job.assessments))


def _with_later_fills(draft: Draft, job: EvaluateAccounts) -> set[str]:
    """Return the accounts that have fills which a grant of the run may change, found by one query."""
    until_day = (draft.now_ns + DAY_NS) // DAY_NS  # a fill may say it happened a little later than now
    days = {
        fee_stream(found.case.account_id, day): found.case.account_id
        for found in job.assessments
        for day in range(found.case.evaluated_ns // DAY_NS, until_day + 1)
    }
    return {days[stream] for stream in draft.states.fee_days(days, draft.rows)}
