"""R18: evaluations that are due and were not run, were run late, or left out accounts that lack a close."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.decide.evaluation_sources import Sign
from ledger.domain.events import PERIODIC, EvaluationStarted, Recorded
from ledger.domain.instants import DAY_NS, day_text, instant_text
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from ledger.domain.streams import evaluation_stream
from projections.controls.open_items import OpenItem, open_until_done
from projections.controls.scope import Control, Finding, Scope
from projections.evaluation.sources import signs, waiting_for
from projections.repricings import volume_on_the_move

LATE_NS: Final = DAY_NS  # from then on a run is late
LATE: Final = "LATE"


def _find(scope: Scope) -> Iterator[Finding]:
    """Find all evaluations that are not done, and of the days looked back also those that were done late."""
    known = scope.known_position
    sources, moving = signs(scope.log, known), list(volume_on_the_move(scope.log, known))
    found = [(at_ns, *_says(scope, at_ns, runs, sources, moving)) for at_ns, runs in _runs(scope, known)]
    told = [(at_ns, details, _finding(scope, at_ns, says, details)) for at_ns, says, details in found if says]
    yield from open_until_done(scope, (OpenItem(at, None, one) for at, says, one in told if says["status"] != LATE))
    yield from (one for at, says, one in told if says["status"] == LATE and at >= scope.since_ns)


def _finding(scope: Scope, at_ns: int, says: str, details: dict[str, str]) -> Finding:
    name = scope.programme.programme_id
    return Finding(
        subject=f"{name}/{instant_text(at_ns)}",
        message=f"the evaluation of {name} at {instant_text(at_ns)} {says}",
        time_ns=at_ns,
        details=details,
    )


def _runs(scope: Scope, known: int) -> Iterator[tuple[int, list[Recorded]]]:
    """Yield every evaluation that was due since ledger and programme began, with the events of its runs."""
    name = scope.programme.programme_id
    first_ns = max(scope.began_ns, scope.book.programmes[name][0][0])
    streams: dict[str, tuple[int, list[Recorded]]] = {}
    at_ns = next_evaluation_ns(scope.programme, first_ns - 1)
    while at_ns <= scope.as_of_ns:
        streams[evaluation_stream(name, PERIODIC, at_ns)] = (at_ns, [])
        at_ns = next_evaluation_ns(scope.programme, at_ns)
    for recorded in scope.log.streams(streams, known):
        streams[recorded.stream][1].append(recorded)
    yield from streams.values()


def _says(
    scope: Scope, at_ns: int, runs: Iterable[Recorded], sources: Sequence[Sign], moving: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """Say what is wrong with an evaluation, as far as its runs and the sources had come; empty: nothing.

    `moving` says which lines were being restated then.
    """
    state, began_ns = EvaluationState(), 0
    for recorded in runs:
        if isinstance(recorded.event, EvaluationStarted):
            began_ns = began_ns or recorded.envelope.recorded_time_ns
        state = evolve_evaluation(state, recorded)
    if state.started is None:
        lines = [*waiting_for(sources, scope.programme, at_ns, scope.as_of_ns), *moving]
        waits = {"waiting_for": "; ".join(lines)} if lines else {}
        return "; ".join(["was not run", *(f"it waits: {line}" for line in lines)]), {"status": "NOT_RUN", **waits}
    if state.completed is None:
        return "was interrupted: run it again", {"status": "INTERRUPTED"}
    if state.completed.blocked:
        closes = ", ".join(f"{one.asset} {day_text(one.day)}" for one in state.completed.missing)
        blocked = state.completed.blocked
        accounts = f"{blocked:,} {'account' if blocked == 1 else 'accounts'}"
        return f"left out {accounts} for want of closes: {closes}", {"status": "BLOCKED", "closes": closes}
    if began_ns >= at_ns + LATE_NS:
        days = (began_ns - at_ns) // DAY_NS
        return f"was run {days} {'day' if days == 1 else 'days'} late", {"status": LATE}
    return "", {}


CONTROL: Final = Control(
    "evaluations-open",
    "evaluations of volume not run, interrupted or blocked (R18), until they are done; late by a day: looks back",
    _find,
    oldest_first=True,
)
