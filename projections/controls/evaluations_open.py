"""R18: evaluations that are due and were not run, were run late, or left out accounts that lack a close."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.evaluation import PERIODIC
from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.events import EvaluationStarted
from ledger.domain.instants import DAY_NS, day_text, instant_text
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from ledger.domain.streams import evaluation_stream
from projections.controls.scope import Control, Finding, Scope

LATE_NS: Final = DAY_NS  # from then on a run is late


def _find(scope: Scope) -> Iterator[Finding]:
    at_ns = next_evaluation_ns(scope.programme, scope.life_since_ns - 1)
    while at_ns <= scope.as_of_ns:
        says, details = _says(scope, at_ns)
        if says:
            name = scope.programme.programme_id
            yield Finding(
                subject=f"{name}/{instant_text(at_ns)}",
                message=f"the evaluation of {name} at {instant_text(at_ns)} {says}",
                time_ns=at_ns,
                details=details,
            )
        at_ns = next_evaluation_ns(scope.programme, at_ns)


def _says(scope: Scope, at_ns: int) -> tuple[str, dict[str, str]]:
    """What is wrong with an evaluation, as far as it had come at the instant asked about; empty: nothing."""
    state, began_ns = EvaluationState(), 0
    stream = evaluation_stream(scope.programme.programme_id, PERIODIC, at_ns)
    for recorded in scope.log.streams([stream], scope.log.head().position):
        if recorded.envelope.recorded_time_ns > scope.as_of_ns:
            break
        if isinstance(recorded.event, EvaluationStarted):
            began_ns = began_ns or recorded.envelope.recorded_time_ns
        state = evolve_evaluation(state, recorded)
    if state.started is None:
        return "was not run", {"status": "NOT_RUN"}
    if state.completed is None:
        return "was interrupted: run it again", {"status": "INTERRUPTED"}
    if state.completed.blocked:
        closes = ", ".join(f"{one.asset} {day_text(one.day)}" for one in state.completed.missing)
        blocked = state.completed.blocked
        accounts = f"{blocked:,} {'account' if blocked == 1 else 'accounts'}"
        return f"left out {accounts} for want of closes: {closes}", {"status": "BLOCKED", "closes": closes}
    if began_ns >= at_ns + LATE_NS:
        days = (began_ns - at_ns) // DAY_NS
        return f"was run {days} {'day' if days == 1 else 'days'} late", {"status": "LATE"}
    return "", {}


CONTROL: Final = Control(
    "evaluations-open", "evaluations of volume not run, interrupted, blocked, or late by a day (R18); looks back", _find
)
