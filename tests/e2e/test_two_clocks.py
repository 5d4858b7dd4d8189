"""Effective at, and known at: a read at a closed known_at never changes, whatever is recorded later."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.instants import DAY_NS
from ledger.v1 import command_service_pb2 as pb
from ledger.v1.query_service_pb2 import ListFeeHistoryRequest, QuoteFeeRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at, refusal
from tests.samples import FOUR_EYES, batch, fill, history, request_id, state, symbol
from tests.server.orders import revoke


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def change_tier(ledger: Ledger, tier: str, from_ns: int) -> pb.ChangeTierResponse:
    answer: pb.ChangeTierResponse = ledger.commands.ChangeTier(
        pb.ChangeTierRequest(
            request_id=request_id(), authority=FOUR_EYES, account_id="alice", tier=tier, valid_from=at(from_ns)
        )
    )
    return answer


def test_a_late_fill_is_there_from_its_position_on_and_not_before(ledger: Ledger) -> None:
    on_time = ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS))))
    late = ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - 3 * DAY_NS))))
    assert len(history(ledger, known_at_position=late.position - 1)) == 1
    assert len(history(ledger, known_at_position=late.position)) == 2
    assert len(history(ledger, known_at_time=on_time.recorded_time)) == 1
    assert len(history(ledger, known_at_time=late.recorded_time)) == 2
    day_before = at(NOON_NS - DAY_NS)
    assert [len(history(ledger, as_of=day_before, known_at_position=p.position)) for p in (on_time, late)] == [0, 1]


def shown(ledger: Ledger, **read_at: Any) -> list[tuple[str, str, str]]:
    return [(line.kind, line.fill_ref.exec_id, line.basis.tier) for line in history(ledger, **read_at)]


def test_a_backdated_grant_changes_state_at_once_and_what_was_recorded_stays_beside_what_it_is_now(
    ledger: Ledger,
) -> None:
    ledger.fills.RecordFills(batch(fill(exec_id="before")))
    granted = change_tier(ledger, "VIP5", NOON_NS - 10 * DAY_NS)
    ledger.fills.RecordFills(batch(fill(exec_id="after")))
    yesterday = at(NOON_NS - DAY_NS)
    position = granted.receipt.position
    assert state(ledger, as_of=yesterday, known_at_position=position - 1).tier == "NONE"
    assert state(ledger, as_of=yesterday, known_at_position=position).tier == "VIP5"
    recorded, adjusted = ("FILL", "before", "NONE"), ("ADJUSTMENT", "before", "VIP5")
    assert shown(ledger, known_at_position=position - 1) == [recorded]
    assert shown(ledger) == [recorded, adjusted, ("FILL", "after", "VIP5")]
    assert shown(ledger, as_of=yesterday) == [], "an adjustment takes effect where its fill does"


def test_a_backdated_end_of_a_grant_changes_state_at_once_and_recorded_fills_keep_their_basis(ledger: Ledger) -> None:
    """Until two persons release it."""
    change_tier(ledger, "VIP5", NOON_NS - 10 * DAY_NS)
    ledger.fills.RecordFills(batch(fill(exec_id="before")))
    ended = ledger.commands.RevokeTier(revoke("alice", revoke_time=at(NOON_NS - 9 * DAY_NS)))
    ledger.fills.RecordFills(batch(fill(exec_id="after")))
    yesterday, position = at(NOON_NS - DAY_NS), ended.receipt.position
    known = (position - 1, position)
    assert [state(ledger, as_of=yesterday, known_at_position=one).tier for one in known] == ["VIP5", "NONE"]
    assert shown(ledger) == [("FILL", "before", "VIP5"), ("FILL", "after", "NONE")]


def test_a_grant_of_the_future_is_known_now_and_in_effect_then(ledger: Ledger) -> None:
    change_tier(ledger, "VIP2", NOON_NS + DAY_NS)
    assert (state(ledger).tier, len(state(ledger).grants)) == ("NONE", 1)
    assert state(ledger, as_of=at(NOON_NS + DAY_NS)).tier == "VIP2"


def test_an_answer_at_a_closed_known_at_is_the_same_to_the_byte_whatever_comes_later(ledger: Ledger) -> None:
    change_tier(ledger, "VIP1", NOON_NS - DAY_NS)
    answer = ledger.fills.RecordFills(batch(*(fill(transact_time=at(NOON_NS - number)) for number in range(5))))
    closed = {"as_of": at(NOON_NS), "known_at_position": answer.position}

    def read() -> list[bytes]:
        asked = ListFeeHistoryRequest(account_id="alice", at=ReadAt(**closed))
        found = [state(ledger, **closed), ledger.queries.ListFeeHistory(asked)]
        return [message.SerializeToString(deterministic=True) for message in found]

    first = read()
    change_tier(ledger, "VIP5", NOON_NS - 2 * DAY_NS)
    ledger.commands.BanAccount(
        pb.BanAccountRequest(
            request_id=request_id(), account_id="alice", days=1, start_time=at(NOON_NS - 1), reason_code="ORDER_SPAM"
        )
    )
    for number in range(20):
        ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - number))))
    assert read() == first


def test_rules_are_those_that_were_known_however_often_and_in_whatever_order_they_are_asked_for(ledger: Ledger) -> None:
    registered = [
        ledger.commands.RegisterSymbol(symbol(name, pair_class=pair_class)).receipt.position
        for name, pair_class in (("ONE_USDT", "A"), ("TWO_USDT", "B"))
    ]

    def quote(name: str, position: int) -> QuoteFeeRequest:
        like, names = fill(symbol=name), ("account_id", "symbol", "side", "liquidity", "last_px", "last_qty")
        values = {field: getattr(like, field) for field in names}
        return QuoteFeeRequest(**values, at=ReadAt(known_at_position=position))

    for place, name in enumerate(("ONE_USDT", "TWO_USDT", "ONE_USDT")):
        first = registered[place % 2]
        for _ in range(2):
            assert refusal(ledger.queries.QuoteFee, quote(name, first - 1)).reason == "SYMBOL_UNKNOWN"
            assert ledger.queries.QuoteFee(quote(name, first)).fee_basis.pair_class == "", "it comes in an event behind"
            assert ledger.queries.QuoteFee(quote(name, first + 1)).fee_basis.pair_class == "AB"[place % 2]


def test_a_read_says_at_which_position_it_was_made_and_whether_more_may_come(ledger: Ledger) -> None:
    last = ledger.log.head()
    open_, later = state(ledger).basis, state(ledger, known_at_time=at(last.recorded_time_ns + 1)).basis
    assert (open_.known_at_position, open_.known_at_open) == (last.position, True)
    assert (later.known_at_position, later.known_at_open) == (last.position, True)
    closed = state(ledger, known_at_time=at(last.recorded_time_ns)).basis
    assert (closed.known_at_position, closed.known_at_open) == (last.position, False)
    assert closed.known_at_time == at(last.recorded_time_ns)
    assert open_.ledger_id == ledger.ledger_id


def test_before_the_beginning_there_is_an_answer_and_not_an_error(ledger: Ledger) -> None:
    ledger.fills.RecordFills(batch(fill()))
    position = ledger.log.head().position
    assert not state(ledger, known_at_position=position - 1).known_account
    assert state(ledger, as_of=at(NOON_NS - 9_000 * DAY_NS)).tier == "NONE"
    assert history(ledger, as_of=at(NOON_NS - 9_000 * DAY_NS)) == []
    assert history(ledger, known_at_position=0) == []


def test_you_read_your_own_writes_with_the_position_of_the_receipt(ledger: Ledger) -> None:
    granted = change_tier(ledger, "VIP1", NOON_NS)
    assert state(ledger, min_position=granted.receipt.position).tier == "VIP1"
