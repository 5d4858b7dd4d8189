"""R19 over gRPC: benefits end where the 30-day volume gives no tier: with the running grant, or at once (A10)."""

from __future__ import annotations

from ledger.domain.instants import DAY_NS
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, counts, evaluated, run, trade
from tests.samples import state, symbol
from tests.server.calls import refused, send
from tests.server.orders import publish, revoke, tier

NEXT_NS = DUE_NS + 10 * DAY_NS
LATER_NS = NEXT_NS + 20 * DAY_NS + DAY_NS  # 2024-11-08: the window has moved past the volume, the grant has ended


def two_evaluations(ledger: Ledger) -> None:
    """100,000 USDT before the 8th of October, of which 1 USDT is still in the window of the 8th of November."""
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    trade(ledger, "99999", DUE_NS - 30 * DAY_NS)
    ledger.clock.now_ns = DUE_NS - 1
    trade(ledger, "1", DUE_NS - 1)
    run(ledger)
    ledger.clock.now_ns = NEXT_NS
    assert counts(run(ledger)) == {"evaluated": 1, "lost": 1}


def tiers(ledger: Ledger, *instants_ns: int) -> list[str]:
    return [state(ledger, as_of=at(at_ns)).tier for at_ns in instants_ns]


def test_a_grant_runs_to_its_end_though_the_volume_is_gone(ledger: Ledger) -> None:
    two_evaluations(ledger)
    assert [(event.tier, event.ended_grant_ids) for event in evaluated(ledger)] == [("VIP1", ()), ("NONE", ())]
    assert tiers(ledger, DUE_NS, NEXT_NS, DUE_NS + 30 * DAY_NS - 1, DUE_NS + 30 * DAY_NS) == [*["VIP1"] * 3, "NONE"]


def test_a_programme_may_end_benefits_at_once(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ('deactivation = "at_grant_end"', 'deactivation = "immediate"')))
    two_evaluations(ledger)
    last = evaluated(ledger)[-1]
    assert (last.tier, last.ended_grant_ids, last.ended_time_ns) == ("NONE", ("g1",), NEXT_NS)
    assert tiers(ledger, NEXT_NS - 1, NEXT_NS) == ["VIP1", "NONE"]
    known = last.read_position
    assert state(ledger, as_of=at(NEXT_NS), known_at_position=known).tier == "VIP1"
    assert refused(ledger, revoke("alice", revoke_time=at(NEXT_NS))).reason == "GRANT_ENDED"


def test_grants_that_no_evaluation_gave_keep_their_promise(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ('deactivation = "at_grant_end"', 'deactivation = "immediate"')))
    send(ledger, tier("alice", "VIP2", valid_until=at(LATER_NS)))
    two_evaluations(ledger)
    assert tiers(ledger, NEXT_NS, LATER_NS - 1, LATER_NS) == ["VIP2", "VIP2", "NONE"]
