"""Facts that are recorded after fills which they change: [adjust] says what becomes of these, and two persons the rest.

A taker's buy of 1,000 at 0.5 in class A: 1.25 at the base rate of 0.25 %, 0.125 with VIP4 (0.025 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest

from ledger.domain.decide import release
from ledger.domain.events import FactReleased, FactWithheld, FeeAdjusted
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.domain.refusal import Reason
from ledger.v1 import command_service_pb2 as commands
from ledger.v1.control_service_pb2 import ListFindingsRequest, ListWithheldRequest
from ledger.v1.fill_pb2 import FillRef, TokenPayment
from ledger.v1.query_service_pb2 import GetFillRequest, GetFillResponse, GetRatesRequest, ListFeeHistoryRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, request_id, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.orders import ban, flag, lift, publish, revoke, tier, unflag

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


def withheld(ledger: Ledger) -> list[tuple[str, str, str]]:
    facts = send(ledger, ListWithheldRequest(account_id="alice")).facts
    return [(fact.cause, fact.switch, fact.reason) for fact in facts]


def fact(ledger: Ledger) -> int:
    """The position of the only fact that is withheld."""
    positions = {one.fact_position for one in send(ledger, ListWithheldRequest()).facts}
    assert len(positions) == 1, positions
    return int(positions.pop())


def released(position: int, **changes: Any) -> commands.ReleaseFactRequest:
    values = {"request_id": request_id(), "authority": FOUR_EYES, "fact_position": position, **changes}
    return commands.ReleaseFactRequest(account_id="alice", **values)


def declined(position: int, **changes: Any) -> commands.DeclineFactRequest:
    values = {"request_id": request_id(), "authority": FOUR_EYES, "fact_position": position, **changes}
    return commands.DeclineFactRequest(account_id="alice", **values)


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
    told = {sentence.code: sentence.text for sentence in after.explanation}
    assert "because of a ban recorded late" in told["ADJUSTED"]
    assert told["COUNTS_AS_BANNED"] == "Since then it counts as traded under a ban."
    send(ledger, lift("alice", lift_time=at(NOON_NS + 1)))
    assert not found(ledger, name).line.banned


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
    alone = released(fact(ledger))
    alone.authority.ClearField("approver")
    assert refused(ledger, alone).reason == Reason.APPROVER_REQUIRED.name
    position = fact(ledger)
    send(ledger, released(position))
    (told,) = found(ledger, name).adjustments
    assert (told.adjustment.fee_after, told.adjustment.cause_position) == ("1.25", position)
    who = (told.adjustment.released_by, told.adjustment.approved_by)
    assert who == (FOUR_EYES.actor, FOUR_EYES.approver)
    (sentence,) = [one.text for one in found(ledger, name).explanation if one.code == "RELEASED"]
    by = f"asked for by {who[0]} and approved by {who[1]}"
    assert sentence == f"The fact was released at position {told.adjustment.release_position}, {by}."
    assert withheld(ledger) == []
    assert refused(ledger, released(position)).reason == Reason.FACT_ALREADY_RELEASED.name


def test_a_declined_fact_stays_withheld_for_ever(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    name = trade(ledger)
    send(ledger, revoke("alice", revoke_time=at(NOON_NS)))
    position = fact(ledger)
    send(ledger, declined(position))
    assert (withheld(ledger), fee(ledger, name)) == ([], Decimal("0.125"))
    assert refused(ledger, released(position)).reason == Reason.FACT_DECLINED.name
    assert refused(ledger, declined(position)).reason == Reason.FACT_DECLINED.name
    assert refused(ledger, released(1)).reason == Reason.FACT_UNKNOWN.name


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
    assert refused(ledger, released(fact(ledger))).reason == Reason.ACCOUNT_FLAGGED.name
    send(ledger, unflag("alice"))
    assert [fee(ledger, name) for name in (before, under)] == [Decimal("0.125"), Decimal("1.25")]
    assert withheld(ledger) == []


def test_a_fact_that_reaches_more_lines_than_a_commit_takes_is_withheld_and_not_done_by_half(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [trade(ledger), trade(ledger)]
    monkeypatch.setattr(release, "LINES_MAX", 1)
    send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS)))
    assert withheld(ledger) == [("LATE_GRANT", "adjust", "SIZE")]
    assert refused(ledger, released(fact(ledger))).reason == Reason.REPRICE_TOO_LARGE.name
    assert [fee(ledger, name) for name in names] == [Decimal("1.25")] * 2


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
