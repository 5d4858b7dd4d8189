"""R5 over gRPC: every account gets the tier of its past 30-day volume, for 30 days from the evaluation on."""

from __future__ import annotations

import pytest

from ledger.domain.events import CellVolume
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, FROM_NS, counts, evaluated, plan, run, trade
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, request_id, state, symbol
from tests.server.calls import refused, send
from tests.server.orders import publish, register, tier


@pytest.fixture(autouse=True)
def _market(ledger: Ledger) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))


def test_volume_gives_a_tier_for_30_days_from_the_evaluation_on(ledger: Ledger) -> None:
    trade(ledger, "500000")
    assert state(ledger).tier == "NONE"
    messages = run(ledger)
    assert counts(messages) == {"evaluated": 1, "gained": 1, "granted": 1}
    assert state(ledger).tier == "VIP2", "what is in memory follows"
    (event,) = evaluated(ledger)
    assert (event.volume, event.tier, event.grant_id) == ("500000", "VIP2", "g1")
    assert event.cells == (CellVolume("USDT", 1, 1, False, False, "500000"),)
    assert (event.window_from_ns, event.window_until_ns) == (FROM_NS, DUE_NS)
    ends_ns = DUE_NS + 30 * DAY_NS
    instants = (DUE_NS - 1, DUE_NS, ends_ns - 1, ends_ns)
    assert [state(ledger, as_of=at(at_ns)).tier for at_ns in instants] == ["NONE", "VIP2", "VIP2", "NONE"]
    assert state(ledger, as_of=at(DUE_NS)).grant.source == "EVALUATION"
    before = messages[0].receipt.position - 1
    assert state(ledger, as_of=at(DUE_NS), known_at_position=before).tier == "NONE"


def test_the_window_is_half_open(ledger: Ledger) -> None:
    ledger.clock.now_ns = DUE_NS
    trade(ledger, "100000", FROM_NS, "first")
    trade(ledger, "100000", FROM_NS - 1, "before")
    trade(ledger, "100000", DUE_NS - 1, "last")
    trade(ledger, "100000", DUE_NS, "after")
    run(ledger)
    assert [len(evaluated(ledger, name)) for name in ("first", "before", "last", "after")] == [1, 0, 1, 0]


def test_an_account_is_evaluated_once_however_often_a_run_is_asked_for(ledger: Ledger) -> None:
    trade(ledger, "500000")
    name = request_id()
    first = run(ledger, request_id=name)
    again = run(ledger, request_id=name)
    assert (again[-1].counts, again[-1].receipt.replayed) == (first[-1].counts, True)
    request = pb.RunEvaluationRequest(request_id=request_id(), authority=FOUR_EYES)
    assert refused(ledger, request).reason == "EVALUATION_ALREADY_COMPLETED"
    assert len(evaluated(ledger)) == 1


def test_a_plan_says_who_moves_where_and_records_nothing(ledger: Ledger) -> None:
    for name, held, volume in (
        ("up", "VIP1", "500000"),
        ("same", "VIP2", "500000"),
        ("down", "VIP3", "500000"),
        ("lost", "VIP1", "99999.99"),
        ("new", "", "100000"),
        ("none", "", "1"),
    ):
        trade(ledger, volume, account_id=name)
        if held:
            send(ledger, tier(name, held, valid_until=at(DUE_NS + DAY_NS)))
    head = ledger.log.head().position
    found = {
        one.account_id: (one.tier_before, one.tier_after, one.movement) for one in plan(ledger, instant=at(DUE_NS))
    }
    assert found == {
        "up": ("VIP1", "VIP2", "UP"),
        "same": ("VIP2", "VIP2", "STAYED"),
        "down": ("VIP3", "VIP2", "DOWN"),
        "lost": ("VIP1", "NONE", "LOST"),
        "new": ("NONE", "VIP1", "GAINED"),
        "none": ("NONE", "NONE", "NONE"),
    }
    assert ledger.log.head().position == head
    moves = counts(run(ledger))
    assert moves == {
        **dict.fromkeys(("gained", "up", "stayed", "down", "lost", "none"), 1),
        "evaluated": 6,
        "granted": 4,
    }


def test_what_was_planned_is_what_is_done(ledger: Ledger) -> None:
    ledger.clock.now_ns = DUE_NS + SECOND_NS
    trade(ledger, "500000")
    planned_at = ledger.log.head().position
    trade(ledger, "1500000")
    run(ledger, read_position=planned_at)
    assert [event.volume for event in evaluated(ledger)] == ["500000"]


def test_an_evaluation_is_read_as_it_was_known(ledger: Ledger) -> None:
    trade(ledger, "500000")
    began = run(ledger)[0].receipt.position
    found = ledger.evaluations.GetEvaluation(pb.GetEvaluationRequest(instant=at(DUE_NS)))
    assert (found.status, found.runs[0].counts.gained, found.runs[0].actor) == ("COMPLETED", 1, "ops-1")
    at_start = pb.GetEvaluationRequest(instant=at(DUE_NS), at=ReadAt(known_at_position=began))
    assert ledger.evaluations.GetEvaluation(at_start).status == "RUNNING"
    before = pb.GetEvaluationRequest(instant=at(DUE_NS), at=ReadAt(known_at_position=began - 1))
    assert refused(ledger, before).reason == "EVALUATION_UNKNOWN"
    assert NOON_NS < DUE_NS


def test_volume_of_sub_accounts_counts_for_their_parent_where_the_programme_says_so(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    """A14."""
    for name in ("sub-1", "sub-2"):
        send(ledger, register(name, "alice", parent_account_id="alice"))
        trade(ledger, "250000", account_id=name)
    assert [one.account_id for one in plan(ledger, instant=at(DUE_NS))] == ["sub-1", "sub-2"], "on their own"
    trade(ledger, "1")
    send(ledger, publish("3.1", ("aggregate_subaccounts = false", "aggregate_subaccounts = true")))
    assert counts(run(ledger)) == {"evaluated": 1, "gained": 1, "granted": 1}
    assert [(event.volume, event.tier) for event in evaluated(ledger)] == [("500001", "VIP2")]
    assert (evaluated(ledger, "sub-1"), evaluated(ledger, "sub-2")) == ([], [])
    assert audit(dsn, schema, accounts=frozenset(["alice"]))[0] == []
