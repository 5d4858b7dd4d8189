"""A4 over gRPC: above the table a person decides, and until then the account keeps the tier that it has."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.query_service_pb2 import GetRatesRequest, ListAccountsRequest
from ledger.v1.read_pb2 import ReadAt
from projections.check import Check
from projections.check.findings import Finding
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, FROM_NS, evaluated, run, trade
from tests.projections.audited import audit
from tests.samples import history, state, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.orders import publish, revoke, tier

ENDS_NS = DUE_NS + DAY_NS  # the end of the grant that ran when the volume was evaluated
NEXT_NS = DUE_NS + 10 * DAY_NS  # 2024-10-18: the volume above the table has left the window
LATER_NS = DUE_NS + 100 * DAY_NS


@pytest.fixture(autouse=True)
def _above_the_table(ledger: Ledger, dsn: str, schema: str) -> Iterator[None]:
    """Alice has VIP4 for one more day when a person must look at her volume; audit and check agree on it."""
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    send(ledger, publish("3.1", ('above_top = "keep"', 'above_top = "manual_review"')))
    trade(ledger, "50000000", FROM_NS)
    send(ledger, tier("alice", "VIP4", valid_until=at(ENDS_NS)))
    yield
    assert [str(each) for each in audit(dsn, schema)[0]] == []
    await_tables(ledger)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert [str(one) for one in Check(connection, schema).findings() if isinstance(one, Finding)] == []


def tiers(ledger: Ledger, *instants_ns: int) -> list[str]:
    return [state(ledger, as_of=at(at_ns)).tier for at_ns in instants_ns]


def later(ledger: Ledger, days: int) -> None:
    ledger.clock.now_ns = DUE_NS + days * DAY_NS


def test_a_member_keeps_its_tier_after_the_end_of_its_grant(ledger: Ledger) -> None:
    run(ledger)
    (event,) = evaluated(ledger)
    assert (event.tier, event.kept_tier, event.grant_id) == ("MANUAL_REVIEW", "VIP4", "g2")
    assert (event.valid_from_ns, event.valid_until_ns) == (DUE_NS, 0), "without an end"
    assert tiers(ledger, ENDS_NS, LATER_NS) == ["VIP4", "VIP4"]
    assert state(ledger, as_of=at(ENDS_NS), known_at_position=event.read_position).tier == "NONE"
    found = state(ledger, as_of=at(LATER_NS))
    assert (found.grant.source, found.grant.HasField("valid_until"), found.HasField("tier_until")) == (
        "EVALUATION", False, False,
    )  # fmt: skip
    trade(ledger, "100", ENDS_NS)
    assert history(ledger)[-1].basis.tier == "VIP4"
    assert send(ledger, GetRatesRequest(account_id="alice", at=ReadAt(as_of=at(ENDS_NS)))).tier == "VIP4"
    await_tables(ledger)
    (account,) = send(ledger, ListAccountsRequest(tier="VIP4", as_of=at(LATER_NS))).accounts
    assert (account.account_id, account.grant_source) == ("alice", "EVALUATION")


def test_a_run_that_is_late_restores_what_was_charged_without_the_tier(ledger: Ledger) -> None:
    trade(ledger, "100", ENDS_NS)
    assert (history(ledger)[-1].basis.tier, history(ledger)[-1].fee_amount) == ("NONE", "0.25")
    later(ledger, 3)
    run(ledger)
    assert [(line.kind, line.basis.tier) for line in history(ledger)][-1] == ("ADJUSTMENT", "VIP4")


@pytest.mark.parametrize(("volume", "given"), [("99999", "NONE"), ("500000", "VIP2")])
def test_a_later_evaluation_decides(ledger: Ledger, volume: str, given: str) -> None:
    trade(ledger, volume, DUE_NS - DAY_NS)
    run(ledger)
    later(ledger, 10)
    run(ledger)
    last = evaluated(ledger)[-1]
    assert (last.tier, last.kept_tier, last.ended_grant_ids, last.ended_time_ns) == (given, "", ("g2",), NEXT_NS)
    assert tiers(ledger, NEXT_NS - 1, NEXT_NS) == ["VIP4", given]


def test_a_later_evaluation_that_a_person_must_look_at_too_keeps_the_tier_by_one_grant(ledger: Ledger) -> None:
    trade(ledger, "50000000", DUE_NS - DAY_NS)
    run(ledger)
    later(ledger, 10)
    run(ledger)
    last = evaluated(ledger)[-1]
    assert (last.kept_tier, last.grant_id, last.ended_grant_ids) == ("VIP4", "g3", ("g2",))
    send(ledger, revoke("alice", "g3"))
    assert tiers(ledger, NEXT_NS - 1, NEXT_NS, NEXT_NS + SECOND_NS) == ["VIP4", "VIP4", "NONE"]


def test_a_tier_by_hand_decides_from_its_start_on(ledger: Ledger) -> None:
    run(ledger)
    later(ledger, 5)
    decided_ns = ledger.clock.now_ns
    send(ledger, tier("alice", "VIP1", valid_until=at(LATER_NS)))
    assert tiers(ledger, decided_ns - 1, decided_ns, LATER_NS) == ["VIP4", "VIP1", "NONE"]
    assert refused(ledger, revoke("alice", "g2")).reason == "GRANT_ENDED"


def test_revoking_the_kept_tier_ends_it(ledger: Ledger) -> None:
    run(ledger)
    later(ledger, 5)
    send(ledger, revoke("alice", "g2"))
    assert tiers(ledger, DUE_NS + 5 * DAY_NS - SECOND_NS, DUE_NS + 5 * DAY_NS) == ["VIP4", "NONE"]


def test_without_a_tier_there_is_none_to_keep(ledger: Ledger) -> None:
    trade(ledger, "50000000", FROM_NS, account_id="bob")
    run(ledger)
    (event,) = evaluated(ledger, "bob")
    assert (event.tier, event.kept_tier, event.grant_id) == ("MANUAL_REVIEW", "", "")
    assert state(ledger, "bob", as_of=at(DUE_NS)).tier == "NONE"
