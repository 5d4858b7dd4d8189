"""R4 over gRPC: a new member has VIP3 for 30 days from activation on, once for life per beneficial owner (A6)."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ledger.domain.events import AccountLinked, CommandRefused, OwnerNamed, TrialStarted
from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from projections.check import Check
from projections.check.findings import Finding
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.e2e.test_terms import lose_connection, once_writing
from tests.projections.audited import audit
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.columns import columns_of
from tests.server.orders import family, register, revoke, tier, trial

ENDS_NS = NOON_NS + 30 * DAY_NS


def test_a_trial_gives_its_tier_for_thirty_days_and_prices_fills_by_it(ledger: Ledger) -> None:
    send(ledger, symbol())
    answer = send(ledger, trial("alice", start_time=at(NOON_NS)))
    assert (answer.grant.tier, answer.grant.source) == ("VIP3", "TRIAL")
    assert events(ledger, "account/alice") == [TrialStarted("g1", "bitmart-api-vip", "VIP3", NOON_NS, ENDS_NS)]
    instants = (NOON_NS - 1, NOON_NS, ENDS_NS - 1, ENDS_NS)
    assert [state(ledger, as_of=at(at_ns)).tier for at_ns in instants] == ["NONE", "VIP3", "VIP3", "NONE"]
    before = answer.receipt.position - 1
    assert state(ledger, as_of=at(NOON_NS), known_at_position=before).tier == "NONE"
    ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - 1)), fill(transact_time=at(NOON_NS))))
    assert [line.basis.tier for line in history(ledger)] == ["NONE", "VIP3"]


def test_no_owner_has_a_second_trial_by_whatever_account(ledger: Ledger) -> None:
    for request in family("acme", "alice", "alice-2"):
        send(ledger, request)
    send(ledger, trial("alice", start_time=at(NOON_NS)))
    send(ledger, revoke("alice", revoke_time=at(NOON_NS + 1)))
    assert refused(ledger, trial("alice-2")).reason == "TRIAL_ALREADY_USED"
    (*_, refusal) = events(ledger, "account/alice-2")
    assert isinstance(refusal, CommandRefused)
    assert refusal.command == "StartTrial"


def test_who_has_held_a_tier_is_no_new_member(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP1", valid_from=at(NOON_NS - DAY_NS), valid_until=at(NOON_NS)))
    assert refused(ledger, trial("alice")).reason == "NOT_A_NEW_MEMBER"


def test_a_mistake_that_is_taken_back_from_its_start_uses_no_trial_up(ledger: Ledger, dsn: str, schema: str) -> None:
    """A trial on the wrong account, and a tier given to the wrong one; to the audit both trials after it are right."""
    for request in family("acme", "alice", "alice-2"):
        send(ledger, request)
    send(ledger, trial("alice", start_time=at(NOON_NS)))
    assert refused(ledger, trial("alice-2")).reason == "TRIAL_ALREADY_USED"
    send(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    assert not state(ledger).trial_used
    assert send(ledger, trial("alice-2", start_time=at(NOON_NS))).grant.tier == "VIP3"
    send(ledger, tier("bob", "VIP4", valid_from=at(NOON_NS)))
    assert refused(ledger, trial("bob")).reason == "NOT_A_NEW_MEMBER"
    send(ledger, revoke("bob", revoke_time=at(NOON_NS - DAY_NS)))
    assert send(ledger, trial("bob", start_time=at(NOON_NS))).grant.grant_id == "g2"
    send(ledger, revoke("bob", "g2", revoke_time=at(NOON_NS)))
    assert send(ledger, trial("bob", start_time=at(NOON_NS))).grant.grant_id == "g3"
    assert state(ledger, "bob", as_of=at(NOON_NS)).trial_used
    assert audit(dsn, schema)[0] == []


def rows(*fills: Fill, **numbered: object) -> RecordFillsRequest:
    return batch(*fills, **numbered)


def columns(*fills: Fill, **numbered: object) -> RecordFillsRequest:
    return RecordFillsRequest(columns=columns_of(fills), **numbered)


@pytest.mark.parametrize("request_of", [rows, columns], ids=["rows", "columns"])
@pytest.mark.parametrize("streamed", [False, True], ids=["RecordFills", "StreamFills"])
def test_an_owner_that_fills_name_has_one_trial(
    ledger: Ledger, dsn: str, schema: str, request_of: Callable[..., RecordFillsRequest], streamed: bool
) -> None:
    """Registered or not, after a resend, in a new term: none of its accounts has a second; audit and check agree."""
    send(ledger, symbol())

    def record(*fills: Fill, first: int) -> None:
        request = request_of(*fills, source="engine", first_sequence=first)
        if streamed:
            list(ledger.fills.StreamFills(iter([StreamFillsRequest(batch=request)]), timeout=20))
        else:
            ledger.fills.RecordFills(request)

    of_acme = [fill(account_id=name, owner_id="acme") for name in ("alice", "bob", "bob")]
    record(*of_acme, fill(account_id="carol"), first=1)
    record(*of_acme, first=1)
    assert events(ledger, "account/bob") == [OwnerNamed("acme")]
    assert events(ledger, "owner/acme") == [AccountLinked("alice"), AccountLinked("bob")]
    assert send(ledger, trial("alice", start_time=at(NOON_NS))).grant.tier == "VIP3"
    assert refused(ledger, trial("bob")).reason == "TRIAL_ALREADY_USED"
    send(ledger, trial("carol", start_time=at(NOON_NS)))
    send(ledger, register("dave", "zeta"))
    send(ledger, trial("dave", start_time=at(NOON_NS)))
    record(fill(account_id="erin", owner_id="zeta"), first=5)
    assert refused(ledger, trial("erin")).reason == "TRIAL_ALREADY_USED"
    lose_connection(dsn)
    once_writing(lambda request: send(ledger, request), register("frank"))
    record(fill(account_id="erin", owner_id="zeta"), fill(account_id="frank", owner_id="zeta"), first=6)
    assert events(ledger, "owner/zeta") == [AccountLinked(name) for name in ("dave", "erin", "frank")]
    assert {refused(ledger, trial(name)).reason for name in ("bob", "erin", "frank")} == {"TRIAL_ALREADY_USED"}
    assert audit(dsn, schema)[0] == []
    await_tables(ledger)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert [str(one) for one in Check(connection, schema).findings() if isinstance(one, Finding)] == []
