"""Evaluations that are due and have not evaluated an account yet (A31)."""

from __future__ import annotations

from ledger.domain.decide.evaluation import tier_before, trials_to_evaluate
from ledger.domain.events import PERIODIC, POST_TRIAL
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.cumulative_trading_volume import event_period
from ledger.domain.rules.evaluation_days import evaluation_window, last_evaluation_ns
from ledger.domain.state.programme import Programme
from ledger.domain.streams import evaluation_stream
from projections.as_of import Reader, View


def pending_evaluation_ns(reader: Reader, view: View, programme: Programme) -> int | None:
    """Return the instant of the evaluation, or the end of the trial, that an account waits for; None: it does not wait.

    What was due before the ledger began is nobody's to wait for, though it may be run.
    """
    account, as_of_ns, name = view.account, view.instant.as_of_ns, programme.programme_id
    for trial in trials_to_evaluate(account, name, as_of_ns):
        if (name, POST_TRIAL, trial.valid_until_ns) not in account.evaluated:
            return trial.valid_until_ns
    due_ns = last_evaluation_ns(programme, as_of_ns)
    if due_ns < reader.began_ns or (name, PERIODIC, due_ns) in account.evaluated:
        return None
    if reader.evaluation(view.instant, evaluation_stream(name, PERIODIC, due_ns)).is_done:
        return None
    return due_ns if _is_concerned(reader, view, programme, due_ns) else None


def _is_concerned(reader: Reader, view: View, programme: Programme, due_ns: int) -> bool:
    """Return True if an evaluation is about the account: it has a tier, or volume in its window."""
    if programme.rank(tier_before(view.account, programme, due_ns)):
        return True
    from_ns, until_ns = event_period(programme, evaluation_window(programme, due_ns))
    days = (from_ns // DAY_NS, -(-until_ns // DAY_NS))
    return reader.log.has_fees(view.account.account_id, *days, view.instant.known.position)
