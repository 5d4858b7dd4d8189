"""Decisions on an account that are taken back: from then on they never were, and fills are restated as by any fact.

A taker's buy of 1,000 at 0.5 in class A: 1.25 at the base rate of 0.25 %, 0.125 with VIP4 (0.025 %).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from google.protobuf.message import Message

from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.v1.control_service_pb2 import ListFindingsRequest, ListWithheldRequest
from ledger.v1.member_query_service_pb2 import GetMembershipRequest
from ledger.v1.query_service_pb2 import (
    GetRatesRequest,
    GetVipStateRequest,
    ListAccountsRequest,
    ListEventsRequest,
    ListFeeHistoryRequest,
)
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.test_late_facts import HOUR_NS, TRADED_NS, fee, found, switched, trade, withheld
from tests.projections.audited import audit
from tests.samples import state, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.orders import (
    application,
    approve_match,
    ban,
    flag,
    lift,
    metric,
    register,
    release_fact,
    request_match,
    revoke,
    settle,
    tier,
    trial,
    withdraw_fact,
)
from tests.tools import running


@pytest.fixture(autouse=True)
def _market(ledger: Ledger, dsn: str, schema: str) -> Iterator[None]:
    """A market, and at the end an audit and a check that find nothing."""
    send(ledger, symbol())
    ledger.clock.now_ns = TRADED_NS
    yield
    assert [str(each) for each in audit(dsn, schema)[0]] == []
    await_tables(ledger)
    checked = running.run("check", "--schema", schema, "--dsn", dsn)
    assert checked.code == 0, (checked.out, checked.err)


def recorded(ledger: Ledger, request: Message) -> int:
    """The position at which a command is recorded; time goes on after it."""
    position = int(send(ledger, request).receipt.position)
    ledger.clock.now_ns += HOUR_NS
    return position


def test_a_ban_that_is_withdrawn_never_was_but_for_whoever_asks_what_was_known_before(ledger: Ledger) -> None:
    name = trade(ledger)
    position = recorded(ledger, ban("alice", start_time=at(NOON_NS)))
    assert found(ledger, name).line.banned
    before, answers = ledger.log.head().position, asked(ledger)
    withdrawal = recorded(ledger, withdraw_fact(position))
    assert not found(ledger, name).line.banned
    now = state(ledger)
    assert (now.banned, list(now.bans)) == (False, [])
    assert state(ledger, known_at_position=before).banned
    assert asked(ledger, before) == answers
    told = {sentence.code: sentence.text for sentence in found(ledger, name).explanation}
    assert told["ADJUSTED"].endswith(
        f"at 1.25 USDT as before, because a ban, of position {position}, was withdrawn at position {withdrawal}."
    )
    by_itself = f"The withdrawal was released at position {withdrawal + 1} by the programme itself (adjust)"
    assert told["RELEASED"].startswith(by_itself)
    assert refused(ledger, withdraw_fact(position)).reason == Reason.FACT_ALREADY_WITHDRAWN.name
    assert refused(ledger, release_fact(position)).reason == Reason.FACT_ALREADY_WITHDRAWN.name
    assert refused(ledger, withdraw_fact(withdrawal)).reason == Reason.FACT_NOT_WITHDRAWABLE.name
    assert send(ledger, ban("alice")).ban.ban_id == "b2"


def asked(ledger: Ledger, known: int = 0) -> list[bytes]:
    """100 answers at instants around the fills, as known at a position, or now."""
    known = known or ledger.log.head().position
    kinds = (GetVipStateRequest, GetMembershipRequest, GetRatesRequest, ListFeeHistoryRequest, ListWithheldRequest)
    reads = [ReadAt(as_of=at(NOON_NS + hour * HOUR_NS), known_at_position=known) for hour in range(-10, 10)]
    answers = [send(ledger, kind(account_id="alice", at=read)) for kind in kinds for read in reads]
    return [answer.SerializeToString(deterministic=True) for answer in answers]


def test_a_trial_that_is_withdrawn_gives_nothing_back_and_may_be_had_again(ledger: Ledger) -> None:
    position = recorded(ledger, trial("alice", start_time=at(NOON_NS)))
    name = trade(ledger)
    cheaper = fee(ledger, name)
    recorded(ledger, withdraw_fact(position))
    assert cheaper < fee(ledger, name) == Decimal("1.25")
    assert not state(ledger).trial_used
    assert send(ledger, trial("alice")).grant.grant_id == "g2"


def test_a_revocation_that_is_withdrawn_waits_as_revocations_do(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    before = trade(ledger)
    position = recorded(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    between = trade(ledger)
    withdrawal = recorded(ledger, withdraw_fact(position))
    after = trade(ledger)
    fees = [fee(ledger, name) for name in (before, between, after)]
    assert fees == [Decimal("0.125"), Decimal("1.25"), Decimal("0.125")]
    (listed,) = send(ledger, ListWithheldRequest()).facts
    told = (listed.fact_position, listed.withdrawn_position, listed.cause, listed.switch)
    assert told == (withdrawal, position, "REVOCATION", "propose"), "and nothing waits of the revocation itself"
    await_tables(ledger)
    (finding,) = send(ledger, ListFindingsRequest(control="facts-withheld")).findings
    assert f"the withdrawal at position {withdrawal} of the fact at position {position}" in finding.message
    send(ledger, release_fact(withdrawal))
    assert fee(ledger, between) == Decimal("0.125")
    assert not found(ledger, before).adjustments, "it never counted by the revocation"


def test_a_mistake_that_no_fill_counts_by_leaves_nothing_to_be_decided(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    position = recorded(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    assert withheld(ledger) == [("REVOCATION", "propose", "SWITCH")]
    recorded(ledger, withdraw_fact(position))
    assert (withheld(ledger), fee(ledger, name)) == ([], Decimal("0.125"))
    banned = recorded(ledger, ban("alice", start_time=at(NOON_NS)))
    assert found(ledger, name).line.banned
    recorded(ledger, withdraw_fact(banned))
    assert not found(ledger, name).line.banned, "it was released, so the fill counted by it"


def test_credit_only_releases_the_withdrawal_of_a_revocation_at_once(ledger: Ledger) -> None:
    switched(ledger, revocations="credit_only")
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    position = recorded(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    name = trade(ledger)
    recorded(ledger, withdraw_fact(position))
    assert (fee(ledger, name), withheld(ledger)) == (Decimal("0.125"), [])


def test_a_grant_is_withdrawn_with_its_revocation_still_there_and_under_a_flag(ledger: Ledger) -> None:
    position = recorded(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, revoke("alice"))
    send(ledger, flag("alice"))
    recorded(ledger, withdraw_fact(position))
    assert (fee(ledger, name), list(state(ledger).grants)) == (Decimal("1.25"), [])
    assert refused(ledger, revoke("alice")).reason == Reason.GRANT_UNKNOWN.name


def test_a_flag_that_is_withdrawn_lets_out_the_grants_that_waited_for_its_end(ledger: Ledger) -> None:
    name = trade(ledger)
    position = recorded(ledger, flag("alice"))
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    assert withheld(ledger) == [("LATE_GRANT", "adjust", "FLAG")]
    recorded(ledger, withdraw_fact(position))
    assert (fee(ledger, name), withheld(ledger)) == (Decimal("0.125"), [])
    assert not state(ledger).flagged


def test_a_lift_that_is_withdrawn_lets_the_ban_run_on(ledger: Ledger) -> None:
    send(ledger, ban("alice", days=2, start_time=at(NOON_NS)))
    position = recorded(ledger, lift("alice", lift_time=at(NOON_NS)))
    name = trade(ledger)
    assert not found(ledger, name).line.banned
    recorded(ledger, withdraw_fact(position))
    assert found(ledger, name).line.banned
    assert state(ledger, as_of=at(NOON_NS + DAY_NS)).banned


def test_a_match_is_withdrawn_after_its_approval_which_makes_it_wait_again(ledger: Ledger) -> None:
    claim = recorded(ledger, request_match("alice", request_time=at(NOON_NS)))
    approval = recorded(ledger, approve_match("alice"))
    assert refused(ledger, withdraw_fact(claim)).reason == Reason.FACT_IN_USE.name
    recorded(ledger, withdraw_fact(approval))
    (waiting,) = send(ledger, GetMembershipRequest(account_id="alice")).matches
    assert (waiting.status, state(ledger).tier) == ("PENDING", "NONE")
    recorded(ledger, withdraw_fact(claim))
    assert not send(ledger, GetMembershipRequest(account_id="alice")).matches
    await_tables(ledger)
    assert not send(ledger, ListFindingsRequest(control="matches-pending")).findings


def test_an_application_and_a_metric_are_withdrawn_after_what_rests_on_them(ledger: Ledger) -> None:
    for named, rests in (
        (application("alice"), lambda _: settle("alice", outcome=2)),
        (metric("alice"), lambda position: ban("alice", evidence_positions=[position])),
    ):
        position = recorded(ledger, named)
        resting = recorded(ledger, rests(position))
        assert refused(ledger, withdraw_fact(position)).reason == Reason.FACT_IN_USE.name
        for each in (resting, position):
            recorded(ledger, withdraw_fact(each))
    found = send(ledger, GetMembershipRequest(account_id="alice"))
    assert (list(found.applications), list(found.metrics), list(state(ledger).bans)) == ([], [], [])


def test_two_persons_withdraw_and_a_preview_says_what_that_changes(ledger: Ledger) -> None:
    position = recorded(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    alone = withdraw_fact(position)
    alone.authority.ClearField("approver")
    assert refused(ledger, alone).reason == Reason.APPROVER_REQUIRED.name
    request = withdraw_fact(position, validate_only=True)
    preview = send(ledger, request).receipt.preview
    assert [event.topic for event in preview.events] == ["FactWithdrawn", "FactReleased", "FeeAdjusted"]
    assert fee(ledger, name) == Decimal("0.125")
    request.validate_only = False
    send(ledger, request)
    last = list(send(ledger, ListEventsRequest(stream="account/alice")).events)[-2:]
    assert [event.topic for event in last] == ["FactWithdrawn", "FactReleased"]
    assert (fee(ledger, name), state(ledger).tier) == (Decimal("1.25"), "NONE")


def test_only_a_decision_on_the_account_itself_is_withdrawn(ledger: Ledger) -> None:
    position = recorded(ledger, register("alice", "acme"))
    assert refused(ledger, withdraw_fact(position)).reason == Reason.FACT_NOT_WITHDRAWABLE.name
    banned = recorded(ledger, ban("bob"))
    assert refused(ledger, withdraw_fact(banned)).reason == Reason.FACT_UNKNOWN.name


def test_the_tables_know_a_withdrawal(ledger: Ledger) -> None:
    position = recorded(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))

    def members() -> list[str]:
        await_tables(ledger)
        return [one.account_id for one in send(ledger, ListAccountsRequest(tier="VIP4")).accounts]

    assert members() == ["alice"]
    recorded(ledger, withdraw_fact(position))
    assert members() == []
