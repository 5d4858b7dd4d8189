"""Facts that are recorded after fills which they change: [adjust] says what becomes of these, and two persons the rest.

A taker's buy of 1,000 at 0.5 in class A: 1.25 at the base rate of 0.25 %, 0.125 with VIP4 (0.025 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest

from ledger.domain.events import FactReleased, FactWithheld, FeeAdjusted, RepriceCompleted
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.domain.refusal import Reason
from ledger.fills import mend
from ledger.server.repricer import Repricer
from ledger.v1.control_service_pb2 import ListFindingsRequest, ListWithheldRequest
from ledger.v1.evaluation_service_pb2 import PlanEvaluationRequest
from ledger.v1.fill_pb2 import FillRef, TokenPayment
from ledger.v1.query_service_pb2 import (
    GetFillRequest,
    GetFillResponse,
    GetRatesRequest,
    GetVipStateRequest,
    ListFeeHistoryRequest,
)
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.orders import ban, decline_fact, flag, lift, publish, release_fact, revoke, tier, unflag
from tests.waiting import wait_for

HOUR_NS: Final = 3_600 * SECOND_NS
TRADED_NS: Final = NOON_NS + HOUR_NS
DAY: Final = day_text(NOON_NS // DAY_NS)
Look = Callable[[], None]


@pytest.fixture(autouse=True)
def _market(ledger: Ledger, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A market, and at the end an audit that finds nothing, by what a test has patched."""
    send(ledger, symbol())
    ledger.clock.now_ns = TRADED_NS
    yield
    assert [str(each) for each in audit(dsn, schema)[0]] == []


def trade(ledger: Ledger, **changes: Any) -> str:
    record = fill(last_qty="1000", **{"transact_time": at(TRADED_NS), **changes})
    assert ledger.fills.RecordFills(batch(record)).recorded == 1
    ledger.clock.now_ns += HOUR_NS
    return str(record.exec_id)


def found(ledger: Ledger, exec_id: str) -> GetFillResponse:
    ref = FillRef(account_id="alice", day=DAY, exec_id=exec_id)
    answer: GetFillResponse = ledger.queries.GetFill(GetFillRequest(fill_ref=ref))
    return answer


def fee(ledger: Ledger, exec_id: str) -> Decimal:
    return Decimal(found(ledger, exec_id).line.fee_amount)


def told(ledger: Ledger, exec_id: str) -> dict[str, str]:
    """The explanation of a fill: text by code."""
    return {sentence.code: sentence.text for sentence in found(ledger, exec_id).explanation}


def withheld(ledger: Ledger) -> list[tuple[str, str, str]]:
    facts = send(ledger, ListWithheldRequest(account_id="alice")).facts
    return [(fact.cause, fact.switch, fact.reason) for fact in facts]


def fact(ledger: Ledger) -> int:
    """The position of the only fact that is withheld."""
    positions = {one.fact_position for one in send(ledger, ListWithheldRequest()).facts}
    assert len(positions) == 1, positions
    return int(positions.pop())


def switched(ledger: Ledger, **switches: str) -> None:
    """A version in which some causes have other switches."""
    was = {"grants": "adjust", "revocations": "propose", "flags": "keep", "unflags": "keep", "volume": "adjust"}
    texts = [(f'{name} = "{was[name]}"', f'{name} = "{value}"') for name, value in switches.items()]
    send(ledger, publish("3.1", *texts, valid_from=at(ledger.clock.now_ns)))


def test_a_backdated_ban_moves_volume_where_no_fee_changes(ledger: Ledger) -> None:
    name = trade(ledger)
    send(ledger, ban("alice", start_time=at(NOON_NS)))
    after = found(ledger, name)
    assert (after.line.banned, after.line.fee_amount) == (True, "1.25")
    (zero,) = after.adjustments
    assert (zero.fee_amount, zero.adjustment.cause, zero.adjustment.banned_before) == ("0", "BAN", False)
    last = events(ledger, f"fees/alice/{DAY}")[-1]
    assert isinstance(last, FeeAdjusted)
    cells = {cell.key.banned: (cell.notional, cell.lines) for cell in last.totals}
    assert cells == {False: ("0", 0), True: ("500", 1)}
    why = told(ledger, name)
    assert "at 1.25 USDT as before, because of a ban recorded late, at position" in why["ADJUSTED"]
    assert why["COUNTS_AS_BANNED"] == "Since then it counts as traded under a ban."
    await_tables(ledger)
    during = ListFindingsRequest(control="fills-during-bans")
    assert len(send(ledger, during).findings) == 1
    send(ledger, lift("alice", lift_time=at(NOON_NS + 1)))
    assert not found(ledger, name).line.banned
    await_tables(ledger)
    assert list(send(ledger, during).findings) == [], "no fill is left there"


def test_a_revocation_waits_for_two_persons_and_its_release_says_who_they_are(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    assert (fee(ledger, name), withheld(ledger)) == (Decimal("0.125"), [("REVOCATION", "propose", "SWITCH")])
    later = trade(ledger)
    assert fee(ledger, later) == Decimal("1.25"), "a fact prices every line recorded after it"
    await_tables(ledger)
    (finding,) = send(ledger, ListFindingsRequest(control="facts-withheld")).findings
    assert finding.details["cause"] == "REVOCATION"
    alone = release_fact(fact(ledger))
    alone.authority.ClearField("approver")
    assert refused(ledger, alone).reason == Reason.APPROVER_REQUIRED.name
    position = fact(ledger)
    send(ledger, release_fact(position))
    (restated,) = found(ledger, name).adjustments
    assert (restated.adjustment.fee_after, restated.adjustment.cause_position) == ("1.25", position)
    who = (restated.adjustment.released_by, restated.adjustment.approved_by)
    assert who == (FOUR_EYES.actor, FOUR_EYES.approver)
    (sentence,) = [one.text for one in found(ledger, name).explanation if one.code == "RELEASED"]
    by = f"asked for by {who[0]} and approved by {who[1]}"
    assert sentence == f"The fact was released at position {restated.adjustment.release_position}, {by}."
    assert withheld(ledger) == []
    assert refused(ledger, release_fact(position)).reason == Reason.FACT_ALREADY_RELEASED.name


def test_a_fill_names_a_grant_that_ended_after_it_until_that_one_gives_nothing_any_more(ledger: Ledger) -> None:
    """Two grants of one tier: the fill names the one that would have ended last, whose end restates a later fill."""
    switched(ledger, revocations="adjust")
    for days in (10, 20):
        send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS), valid_until=at(NOON_NS + days * DAY_NS)))
    name, later = trade(ledger), trade(ledger, transact_time=at(TRADED_NS + HOUR_NS))
    named = [found(ledger, name).line.basis.grant_id]
    for revoked_ns in (TRADED_NS + 1, NOON_NS):
        send(ledger, revoke("alice", "g2", revoke_time=at(revoked_ns)))
        named.append(found(ledger, name).line.basis.grant_id)
    assert named == ["g2", "g2", "g1"]
    assert found(ledger, later).line.basis.grant_id == "g1"
    (restated,) = found(ledger, name).adjustments
    assert (restated.fee_amount, restated.adjustment.fee_after) == ("0", "0.125")


def test_a_declined_fact_stays_withheld_for_ever(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    position = fact(ledger)
    send(ledger, decline_fact(position))
    assert (withheld(ledger), fee(ledger, name)) == ([], Decimal("0.125"))
    assert refused(ledger, release_fact(position)).reason == Reason.FACT_DECLINED.name
    assert refused(ledger, decline_fact(position)).reason == Reason.FACT_DECLINED.name
    assert refused(ledger, release_fact(1)).reason == Reason.FACT_UNKNOWN.name


@pytest.mark.parametrize(
    ("switch", "left"),
    [
        ("keep", [("FLAG", "keep", "SWITCH")]),
        ("propose", [("FLAG", "propose", "SWITCH")]),
        ("credit_only", [("FLAG", "credit_only", "DEBIT")]),
        ("adjust", []),
    ],
)
def test_a_backdated_flag_takes_discounts_back_as_the_programme_says(
    ledger: Ledger, switch: str, left: Sequence[tuple[str, str, str]]
) -> None:
    switched(ledger, flags=switch)
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, flag("alice", flag_time=at(NOON_NS)))
    assert withheld(ledger) == left
    assert fee(ledger, name) == (Decimal("0.125") if left else Decimal("1.25"))


def test_credit_only_is_decided_on_the_net_of_each_currency(ledger: Ledger) -> None:
    switched(ledger, grants="credit_only")
    names = [trade(ledger), trade(ledger, token_payment=TokenPayment(token="BMX", price="1"))]
    send(ledger, tier("alice", "VIP1", valid_from=at(NOON_NS)))
    assert [fee(ledger, name) for name in names] == [Decimal("0.25"), Decimal("0.25")]
    outcomes = [event for event in events(ledger, "account/alice") if isinstance(event, FactReleased | FactWithheld)]
    assert [(type(each), each.currencies) for each in outcomes] == [(FactReleased, ("BMX", "USDT"))]


def test_a_grant_under_a_flag_waits_until_the_flag_ends(ledger: Ledger) -> None:
    before = trade(ledger)
    flag_ns = ledger.clock.now_ns
    send(ledger, flag("alice"))
    under = trade(ledger, transact_time=at(flag_ns))
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    assert withheld(ledger) == [("LATE_GRANT", "adjust", "FLAG")]
    assert refused(ledger, release_fact(fact(ledger))).reason == Reason.ACCOUNT_FLAGGED.name
    send(ledger, unflag("alice"))
    assert [fee(ledger, name) for name in (before, under)] == [Decimal("0.125"), Decimal("1.25")]
    assert withheld(ledger) == []


def test_what_the_end_of_a_flag_does_not_release_is_withheld_once_and_for_its_own_reason(ledger: Ledger) -> None:
    """A discount is lost by it."""
    switched(ledger, grants="credit_only")
    send(ledger, symbol("DOGE_USDT", pair_class="C"))
    trade(ledger, symbol="DOGE_USDT", token_payment=TokenPayment(token="BMX", price="1"))
    send(ledger, flag("alice"))
    send(ledger, tier("alice", "VIP1", valid_from=at(NOON_NS)))
    assert withheld(ledger) == [("LATE_GRANT", "credit_only", "FLAG")]
    for _ in range(2):
        send(ledger, unflag("alice"))
        assert withheld(ledger) == [("LATE_GRANT", "credit_only", "DEBIT")]
        send(ledger, flag("alice"))


def repriced(ledger: Ledger) -> tuple[int, int]:
    """The positions of the beginning and of the end of the only repricing, once it has ended."""
    wait_for(lambda: isinstance(events(ledger, "repricing/alice")[-1], RepriceCompleted))
    rows = ledger.log.stored("repricing/alice", 0, head(ledger), 1_000)
    return rows[0].position, rows[-1].position


def test_more_lines_than_a_commit_takes_are_restated_by_those_after_it_and_reads_say_so_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [trade(ledger) for _ in range(5)]
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    answer = send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    began, ended = repriced(ledger)
    assert began == answer.receipt.position + 2, "after the grant and its release, in their commit"
    assert [fee(ledger, name) for name in names] == [Decimal("0.125")] * 5
    for position, running in ((began - 1, False), (began, True), (ended - 1, True), (ended, False)):
        known = ReadAt(known_at_position=position)
        ref = FillRef(account_id="alice", day=DAY, exec_id=names[-1])
        answers = (
            ledger.queries.GetFill(GetFillRequest(fill_ref=ref, at=known)),
            send(ledger, GetVipStateRequest(account_id="alice", at=known)),
            send(ledger, GetRatesRequest(account_id="alice", at=known)),
            send(ledger, ListFeeHistoryRequest(account_id="alice", at=known)),
        )
        assert [each.reprice_in_progress for each in answers] == [running] * 4, position
        told = [one.text for one in answers[0].explanation if one.code == "REPRICE_IN_PROGRESS"]
        assert len(told) == running
        assert all("because of a grant recorded late" in text for text in told)
    assert not found(ledger, names[0]).reprice_in_progress


def test_an_evaluation_waits_while_volume_is_on_the_move(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        trade(ledger)
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    send(ledger, ban("alice", start_time=at(NOON_NS)))
    began, ended = repriced(ledger)
    await_tables(ledger)
    for position, waits in ((began, True), (ended, False)):
        plan = PlanEvaluationRequest(at=ReadAt(known_at_position=position))
        first = next(iter(ledger.evaluations.PlanEvaluation(plan)))
        assert any("alice are being restated" in line for line in first.waiting_for) == waits


def test_a_control_tells_how_far_a_repricing_is(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        trade(ledger)
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    monkeypatch.setattr(Repricer, "_go_on", lambda _: False)
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    await_tables(ledger)
    (finding,) = send(ledger, ListFindingsRequest(control="repricings-open")).findings
    assert (finding.account_id, finding.details["lines_reached"], finding.details["looked_at"]) == ("alice", "3", "0")


def test_a_fill_says_which_late_facts_it_does_not_count_by_and_explains_itself_without_them(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    send(ledger, ban("alice", start_time=at(NOON_NS)))
    why = told(ledger, name)
    assert why["FACT_WITHHELD"] == (
        f"The fill does not count by the end of a grant recorded late, at position {revoked(ledger)}, until two persons"
        " release it: the programme says propose."
    )
    assert "VIP4 by grant g1" in why["MANUAL"]
    assert why["BANNED"].startswith("API trading was banned from 2024-10-04T12:00:00Z until 2024-10-05T12:00:00Z")
    send(ledger, release_fact(revoked(ledger)))
    assert "FACT_WITHHELD" not in told(ledger, name)


def revoked(ledger: Ledger) -> int:
    """The position of the end of a grant that is withheld."""
    facts = send(ledger, ListWithheldRequest()).facts
    return int(next(one.fact_position for one in facts if one.cause == "REVOCATION"))


def test_a_flag_that_is_withheld_does_not_explain_a_fill_that_another_fact_restated(ledger: Ledger) -> None:
    name = trade(ledger)
    send(ledger, flag("alice", flag_time=at(NOON_NS)))
    send(ledger, ban("alice", start_time=at(NOON_NS)))
    assert {"NO_TIER", "COUNTS_AS_BANNED"} <= told(ledger, name).keys()
    assert "FLAGGED" not in told(ledger, name)
    assert told(ledger, name)["FACT_WITHHELD"] == (
        f"The fill does not count by a flag recorded late, at position {fact(ledger)}, until two persons release it:"
        " the programme says keep."
    )


@pytest.mark.parametrize(
    ("charged", "currency", "calculation"),
    [
        ("QUOTE", "USDT", "500 x 0.0025 x (1 - 0.25) = 0.9375"),
        ("RECEIVED", "XRP", "1000 x 0.0025 x (1 - 0.25) = 1.875"),
    ],
)
def test_a_restated_fee_stays_in_the_currency_that_it_was_charged_in_and_says_so(
    ledger: Ledger, charged: str, currency: str, calculation: str
) -> None:
    texts = [('revocations = "propose"', 'revocations = "adjust"'), ('"QUOTE" ', f'"{charged}" ')]
    send(ledger, publish("3.1", *texts, valid_from=at(ledger.clock.now_ns)))
    paying = TokenPayment(token="BMX", price="0.5")
    in_token = trade(ledger, token_payment=paying)
    assert told(ledger, in_token)["AMOUNT_EXACT"] == "The fee is 500 x 0.0025 x (1 - 0.25) / 0.5 = 1.875 BMX, exactly."
    assert "CURRENCY_STAYS" not in told(ledger, in_token)
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    without = trade(ledger, token_payment=paying, transact_time=at(TRADED_NS + HOUR_NS))
    assert told(ledger, in_token)["CURRENCY_STAYS"] == "It stays in BMX, in which it was charged first."
    assert told(ledger, in_token)["AMOUNT_EXACT"] == "The fee is 500 x 0.00025 / 0.5 = 0.25 BMX, exactly."
    send(ledger, revoke("alice", revoke_time=at(TRADED_NS + HOUR_NS)))
    why = told(ledger, without)
    assert why["CURRENCY_STAYS"] == f"It stays in {currency}, in which it was charged first."
    assert why["AMOUNT_EXACT"] == f"The fee is {calculation} {currency}, exactly."
    assert "PAID_IN_TOKEN" not in why


def test_totals_are_those_of_the_lines_as_they_are_now(ledger: Ledger) -> None:
    for _ in range(3):
        trade(ledger)
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    (total,) = send(ledger, ListFeeHistoryRequest(account_id="alice")).totals
    assert (total.charges, total.lines) == ("0.375", 3)


def test_a_fact_before_which_nothing_was_recorded_says_nothing_more(ledger: Ledger) -> None:
    trade(ledger)
    send(ledger, tier("alice", "VIP4"))
    kinds = [type(event).__name__ for event in events(ledger, "account/alice")]
    assert kinds == ["TierChanged"]


def test_volume_that_moved_under_a_ban_needs_no_close_any_more(ledger: Ledger) -> None:
    """No close of ETH is recorded."""
    send(ledger, symbol("XRP_ETH"))
    trade(ledger, symbol="XRP_ETH")
    asks = GetRatesRequest(account_id="alice")
    assert [close.asset for close in send(ledger, asks).missing_closes] == ["ETH"]
    send(ledger, ban("alice", start_time=at(NOON_NS)))
    rates = send(ledger, asks)
    assert (list(rates.missing_closes), list(rates.counted), rates.volume) == ([], [], "0")
    assert [(entry.reason, entry.volume.lines) for entry in rates.excluded] == [("BANNED", 1)]
