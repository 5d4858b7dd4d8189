"""Records evaluations: the tier that volume gives to each account, and the fees that it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ledger.domain.commands import Request
from ledger.domain.decide.evaluation import (
    AssessedAlike,
    Assessment,
    Case,
    EvaluationRun,
    decide_evaluated,
    is_followed,
)
from ledger.domain.events import VolumeEvaluated
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState
from ledger.domain.streams import account_stream, fee_stream
from ledger.fills import mend as mending
from ledger.writing.draft import Draft
from ledger.writing.mending import mend
from ledger.writing.messages import EvaluateAccounts, Evaluated


def evaluate_accounts(draft: Draft, job: EvaluateAccounts) -> Evaluated:
    """Record what volume gives to some accounts, but for those that the run has evaluated already."""
    request, others = draft.asked_by(job.started), list(job.assessments)
    if names := sorted(name for found in job.alike for name in found.account_ids):
        late = _with_fills_since(draft, names, job.alike[0].case)
        accounts = draft.states.accounts_read(names, job.states)
        for found in job.alike:
            others += (found[place] for place, name in enumerate(found.account_ids) if name in late)
            _evaluate_alike(draft, job.run, found, accounts, late, request)
    _evaluate_one_by_one(draft, job.run, others, request)
    return Evaluated(job.accounts)


def _evaluate_alike(
    draft: Draft,
    run: EvaluationRun,
    found: AssessedAlike,
    accounts: Mapping[str, AccountState],
    without: Collection[str],
    request: Request,
) -> None:
    """Record what volume gives to accounts that are alike, but for some: one decision for all that get the same.

    `accounts` are those that have an event.
    """
    key = (run.programme.programme_id, run.kind, found.case.evaluated_ns)
    of_tier: dict[str, list[int]] = {}  # places of accounts without an event
    of_event: dict[VolumeEvaluated, list[int]] = {}
    for place, (name, tier) in enumerate(zip(found.account_ids, found.tiers, strict=True)):
        account = accounts.get(name)
        if name in without or (account is not None and key in account.evaluated):
            continue
        if account is None:
            of_tier.setdefault(tier, []).append(place)
        else:
            event = decide_evaluated(account, run, found.without_amounts(tier), draft.now_ns)
            of_event.setdefault(event, []).append(place)
    for tier, places in of_tier.items():
        event = decide_evaluated(AccountState(""), run, found.without_amounts(tier), draft.now_ns)
        of_event.setdefault(event, []).extend(places)
    for event, places in of_event.items():
        draft.record_evaluated(found.some(sorted(places)), event, accounts, request)


def _evaluate_one_by_one(draft: Draft, run: EvaluationRun, assessments: Sequence[Assessment], request: Request) -> None:
    """Record what volume gives to accounts, and what it changes of lines that were recorded before it."""
    states, now_ns = draft.states, draft.now_ns
    states.load_accounts(found.case.account_id for found in assessments)
    name, late, left = run.programme.programme_id, _with_later_fills(draft, assessments), mending.LINES_AT_ONCE
    for found in assessments:
        case = found.case
        account = states.account(case.account_id)
        if (name, run.kind, case.evaluated_ns) in account.evaluated or not is_followed(account, run, case):
            continue
        event = decide_evaluated(account, run, found, now_ns)
        recorded = draft.record(account_stream(case.account_id), case.evaluated_ns, event, request)
        if case.account_id in late:
            left -= mend(draft, recorded, request, left)


def _with_fills_since(draft: Draft, account_ids: Sequence[str], case: Case) -> set[str]:
    """Return the accounts, of those from the first to the last one, that have fills which a grant may change."""
    first, last = account_ids[0], account_ids[-1]
    span = mending.AccountSpan(first[:-1], last)  # the beginning of a name comes before it, and hardly any in between
    return set(draft.states.accounts_trading(span, case.evaluated_ns, draft.next_position, limit=2**31))


def _with_later_fills(draft: Draft, assessments: Iterable[Assessment]) -> set[str]:
    """Return the accounts that have fills which a grant of the run may change, found by one query."""
    until_day = (draft.now_ns + DAY_NS) // DAY_NS  # a fill may say it happened a little later than now
    days = {
        fee_stream(found.case.account_id, day): found.case.account_id
        for found in assessments
        for day in range(found.case.evaluated_ns // DAY_NS, until_day + 1)
    }
    return {days[stream] for stream in draft.states.fee_days(days, draft.rows)}
