"""Evaluations in a random life: planned, waited for, run on time or days late, and compared with a reckoner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import at
from tests.properties.life_orders import Scene, instant
from tests.properties.notebook import DAY_NS, FOR_EVER, next_evaluation_ns
from tests.properties.reckoner import PERIODIC, POST_TRIAL, Case
from tests.samples import FOUR_EYES, request_id
from tests.server.calls import CALL_S_MAX

KINDS = {PERIODIC: pb.EVALUATION_KIND_PERIODIC, POST_TRIAL: pb.EVALUATION_KIND_POST_TRIAL}


class Planned(NamedTuple):
    """A plan that was asked for, with what the service said."""

    kind: str
    at_ns: int
    known: int
    said: list[bytes]


class Evaluations:
    """Those that are due, oldest first, and what became of them."""

    def __init__(self, scene: Scene, began_ns: int) -> None:
        self.scene = scene
        self.open: list[tuple[int, int]] = []  # PERIODIC: instant, and from when on it is run
        self.next_ns = next_evaluation_ns(began_ns - 1)
        self.plans: list[Planned] = []

    def instants(self) -> list[int]:
        """The last ones that were due."""
        return [at_ns for at_ns in range(self.next_ns - 12 * DAY_NS, self.next_ns, DAY_NS) if _is_due_at(at_ns)]

    def is_due(self, account_id: str) -> bool:
        """Whether an account may still be evaluated for a time that is over."""
        self._come()
        account, now_ns = self.scene.reckoner.accounts[account_id], self.scene.now_ns
        trials = account.finished_trials(now_ns)
        return bool(self.open) or not all(account.is_evaluated(POST_TRIAL, until_ns) for _, until_ns in trials)

    def run_due(self, between: Callable[[], None]) -> None:
        """Run what it is time for; `between` a plan and its run something else may happen."""
        self._come()
        for at_ns, run_ns in list(self.open):
            if run_ns > self.scene.now_ns or self.scene.differences:
                break
            if not self._run(PERIODIC, at_ns, between):
                return
        at_ns = self.scene.now_ns - self.scene.random.randrange(DAY_NS)
        ended = self.scene.reckoner.plan(POST_TRIAL, at_ns, FOR_EVER)
        if self.scene.chance(30 if ended else 3) and not self.scene.differences:
            self._run(POST_TRIAL, at_ns, between)

    def _come(self) -> None:
        while self.next_ns <= self.scene.now_ns:
            late = self.scene.random.choice((0, 0, 0, 1, 2, 3, 6, 13))
            self.open.append((self.next_ns, self.next_ns + late * DAY_NS))
            self.next_ns = next_evaluation_ns(self.next_ns)

    def _run(self, kind: str, at_ns: int, between: Callable[[], None]) -> bool:
        """Whether the way is free for the next one."""
        scene = self.scene
        known, waiting = self.plan(kind, at_ns)
        if scene.differences or (waiting and scene.chance(30)):
            return False
        for source in waiting if scene.chance(50) else ():
            scene.heartbeat(source)
        between()
        self._read_at(kind, at_ns, known if scene.recorded_ns[known] >= at_ns and scene.chance(60) else 0)
        return True

    def _read_at(self, kind: str, at_ns: int, read: int) -> None:
        """Run an evaluation that reads at a position, or at the last one if that is 0."""
        scene, head = self.scene, self.scene.head()
        known, known_ns = (read, scene.recorded_ns[read]) if read and read != head else (head, scene.now_ns)
        request = pb.RunEvaluationRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            kind=KINDS[kind],
            instant=at(at_ns),
            read_position=read,
            complete_sources=scene.reckoner.waited_for(at_ns, known, known_ns),
        )
        *_, last = scene.ledger.evaluations.RunEvaluation(request, timeout=CALL_S_MAX)
        cases = scene.reckoner.plan(kind, at_ns, known)
        position = scene.acknowledged(scene.head())
        self._compare_run(kind, at_ns, known, cases, last)
        scene.reckoner.evaluated(position, kind, cases)
        for case in cases:
            name = f"{position}: {kind} of {instant(case.at_ns)} read at {known}"
            scene.tell(case.account_id, f"{name}: {told(case)}")
        if kind == PERIODIC:
            self._ran(at_ns, blocked=any(case.volume is None for case in cases))

    def _ran(self, at_ns: int, *, blocked: bool) -> None:
        """One that waits for closes is run again some days later."""
        self.open = [(due_ns, run_ns) for due_ns, run_ns in self.open if due_ns != at_ns]
        if blocked:
            self.open.append((at_ns, self.scene.now_ns + self.scene.random.randint(2, 6) * DAY_NS))
            self.open.sort()

    def plan(self, kind: str, at_ns: int) -> tuple[int, list[str]]:
        """(position, sources that are waited for) of a plan that is compared account by account."""
        scene = self.scene
        said = self.said(kind, at_ns, ReadAt())
        known = said[0].basis.known_at_position
        waits = [line.split()[1] for line in said[0].waiting_for]
        self.plans.append(Planned(kind, at_ns, known, lasting(said)))
        found = {(one.account_id, _ns(one.evaluated_time)): one for message in said for one in message.accounts}
        cases = {(case.account_id, case.at_ns): case for case in scene.reckoner.plan(kind, at_ns, known)}
        name = f"{kind} of {instant(at_ns)} planned at {known}"
        for key in sorted(found.keys() | cases.keys()):
            expected = _expected(cases[key]) if key in cases else None
            scene.compare(key[0], f"{name}: ", expected, _found(found[key]) if key in found else None)
        waiting = scene.reckoner.waited_for(at_ns, known, scene.now_ns)
        scene.compare("", f"{name}: waits for", waiting, sorted(waits))
        return known, waiting

    def said(self, kind: str, at_ns: int, read_at: ReadAt) -> list[pb.PlanEvaluationResponse]:
        """What the service says that an evaluation would give."""
        request = pb.PlanEvaluationRequest(kind=KINDS[kind], instant=at(at_ns), at=read_at)
        return list(self.scene.ledger.evaluations.PlanEvaluation(request, timeout=CALL_S_MAX))

    def _compare_run(self, kind: str, at_ns: int, known: int, cases: list[Case], last: Any) -> None:
        scene, name = self.scene, f"run of {kind} of {instant(at_ns)}"
        ran = last.evaluation
        version = scene.reckoner.terms_at(at_ns, known).version
        scene.compare("", f"{name}: version and position", (version, known), (ran.programme_version, ran.read_position))
        counts = scene.reckoner.counts(cases)
        found = {what: getattr(last.counts, what.lower()) for what in counts}
        scene.compare("", f"{name}: counts", counts, found)
        missing = sorted({close for case in cases for close in case.missing}, key=lambda close: close[::-1])
        scene.compare("", f"{name}: missing closes", _days(missing), _told_days(last.counts.missing_closes))


def told(case: Case) -> str:
    """A case in words."""
    return f"{case.movement} {case.before} -> {case.after}, volume {case.volume}"


def _is_due_at(at_ns: int) -> bool:
    return next_evaluation_ns(at_ns - 1) == at_ns


def _expected(case: Case) -> dict[str, Any]:
    return {
        "window": (case.from_ns, case.at_ns),
        "volume": case.volume,
        "volumes": dict(case.volumes),
        "before": case.before,
        "after": case.after,
        "movement": case.movement,
        "missing": _days(case.missing),
    }


def _found(one: pb.PlannedAccount) -> dict[str, Any]:
    return {
        "window": (_ns(one.window_from), _ns(one.window_until)),
        "volume": Decimal(one.volume) if one.volume else None,
        "volumes": {(part.reason, part.quote_currency): Decimal(part.notional) for part in one.volumes},
        "before": one.tier_before,
        "after": one.tier_after,
        "movement": one.movement,
        "missing": _told_days(one.missing_closes),
    }


def _days(closes: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    return [(asset, instant(day * DAY_NS)[:10]) for asset, day in closes]


def _told_days(closes: Iterable[Any]) -> list[tuple[str, str]]:
    return [(close.asset, close.day) for close in closes]


def _ns(time: Timestamp) -> int:
    return time.seconds * 10**9 + time.nanos


def lasting(said: list[pb.PlanEvaluationResponse]) -> list[bytes]:
    """The accounts and the counts of a plan: what does not hang on when it is asked for."""
    parts = [*(one for message in said for one in message.accounts), said[-1].counts]
    return [part.SerializeToString(deterministic=True) for part in parts]
