"""Fills that a source sends again: a number is a name; another fill under it is a conflict that nothing swallows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from ledger.domain.events import SourceAdvanced
from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest, RecordFillsResponse, StreamFillsRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history
from tests.server.calls import head, sha256
from tests.server.columns import columns_of
from tests.server.good_requests import a_new

Send = Callable[[Ledger, RecordFillsRequest], RecordFillsResponse]


def alone(ledger: Ledger, request: RecordFillsRequest) -> RecordFillsResponse:
    answer: RecordFillsResponse = ledger.fills.RecordFills(request)
    return answer


def on_a_stream(ledger: Ledger, request: RecordFillsRequest) -> RecordFillsResponse:
    (answer,) = ledger.fills.StreamFills(iter([StreamFillsRequest(batch=request)]))
    found: RecordFillsResponse = answer.batch
    return found


def in_columns(ledger: Ledger, request: RecordFillsRequest) -> RecordFillsResponse:
    columns = columns_of(request.fills)
    named = {"source": request.source, "first_sequence": request.first_sequence}
    return alone(ledger, RecordFillsRequest(columns=columns, include_fees=request.include_fees, **named))


FORMS: Final = {"rows": alone, "a stream": on_a_stream, "columns": in_columns}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def send(request: pytest.FixtureRequest) -> Send:
    found: Send = request.param
    return found


def fill_reader(account: str, *names: str, **changes: str) -> list[Fill]:
    return [fill(account_id=account, exec_id=name, **changes) for name in names]


def told(answer: RecordFillsResponse) -> tuple[int, int, list[int]]:
    """(recorded, replayed, indexes of conflicts); there are no other refusals."""
    assert {Reason(found.reason) for found in answer.refusals} <= {Reason.FILL_CONFLICT}
    return answer.recorded, answer.replayed, [found.index for found in answer.refusals]


def advanced(ledger: Ledger, source: str) -> SourceAdvanced:
    last = ledger.log.last_of(f"source/{source}")
    assert last is not None
    assert isinstance(last.event, SourceAdvanced)
    return last.event


def names(ledger: Ledger, account: str) -> list[str]:
    return [line.fill_ref.exec_id for line in history(ledger, account)]


def test_numbers_that_come_again_with_other_fills_are_conflicts(shared: Ledger, send: Send) -> None:
    name = a_new("standby")
    send(shared, batch(*fill_reader(name, "E1", "E2", "E3", "E4", "E5"), source=name, first_sequence=1))
    others = fill_reader(name, "S4", "S5", "S6")
    answer = send(shared, batch(*others, source=name, first_sequence=4))
    assert (told(answer), answer.source_sequence) == ((1, 0, [0, 1]), 6)
    assert [refusal.message for refusal in answer.refusals] == [
        f"number {number} of {name} named another fill" for number in (4, 5)
    ]
    assert [bool(fee.fee_amount) for fee in answer.fees] == [False, False, True]
    assert names(shared, name) == ["E1", "E2", "E3", "E4", "E5", "S6"]
    event = advanced(shared, name)
    assert (event.first_sequence, event.last_sequence, event.recorded, event.replayed) == (6, 6, 1, 0)
    assert [one.sequence for one in event.conflicts] == [4, 5]
    if send is not in_columns:  # there a fill is the message that says the same
        assert [one.fill_sha256 for one in event.conflicts] == [sha256(one) for one in others[:2]]
    assert event.conflicts_left_out == 0


def test_conflicts_alone_are_recorded_and_move_no_number(shared: Ledger, send: Send) -> None:
    name = a_new("restart")
    send(shared, batch(*fill_reader(name, "A1", "A2", "A3"), source=name, first_sequence=1))
    before = head(shared)
    restarted = batch(*fill_reader(name, "B1", "B2"), source=name, first_sequence=1)
    answer = send(shared, restarted)
    assert (told(answer), answer.source_sequence, answer.position) == ((0, 0, [0, 1]), 3, before + 1)
    event = advanced(shared, name)
    assert (event.first_sequence, event.last_sequence, len(event.conflicts)) == (4, 3, 2)
    again = send(shared, restarted)
    assert (told(again), again.position) == (told(answer), before + 1), "the same conflict is recorded once"
    on = send(shared, batch(*fill_reader(name, "B4"), source=name, first_sequence=4))
    assert (told(on), on.source_sequence) == ((1, 0, []), 4)


@pytest.mark.parametrize(
    "change",
    [
        {"last_qty": "11"},
        {"last_px": "0.50000001"},
        {"side": 2},
        {"liquidity": 1},
        {"channel": 2},
        {"symbol": "XRP_FUTURES"},
        {"symbol": "NO_SUCH"},
        {"trade_id": "7"},
        {"order_id": "O7"},
        {"cl_ord_id": "mine"},
        {"order_time": at(NOON_NS - 1)},
        {"owner_id": "acme"},
        {"counterparty_owner_id": "acme"},
        {"transact_time": at(NOON_NS - 1)},
        {"transact_time": at(NOON_NS - 86_400 * 10**9)},
        {"account_id": "somebody-else"},
        {"exec_id": "E3"},
        {"exec_id": "E9"},
    ],
    ids=lambda change: "-".join(f"{name} {value}".strip().replace("\n", " ") for name, value in change.items()),
)
def test_another_fill_under_a_number_is_a_conflict_whatever_differs(
    markets: Ledger, send: Send, change: dict[str, object]
) -> None:
    name = a_new("other")
    sent = fill_reader(name, "E1", "E2", "E3")
    send(markets, batch(*sent, source=name, first_sequence=1))
    changed = Fill.FromString(sent[1].SerializeToString())
    changed.MergeFrom(Fill(**change))  # type: ignore[arg-type]
    answer = send(markets, batch(sent[0], changed, sent[2], source=name, first_sequence=1))
    assert told(answer) == (0, 2, [1])
    assert [bool(fee.fee_amount) for fee in answer.fees] == [True, False, True]


def test_the_same_fill_in_other_words_is_a_replay(shared: Ledger, send: Send) -> None:
    name = a_new("words")
    sent = fill_reader(name, "E1", "E2")
    first = send(shared, batch(*sent, source=name, first_sequence=1))
    for other in sent:
        other.last_px, other.last_qty, other.product = "0.500", "10.0", 1
    before = head(shared)
    again = send(shared, batch(*sent, source=name, first_sequence=1))
    assert (told(again), list(again.fees), head(shared)) == ((0, 2, []), list(first.fees), before)


def test_a_malformed_fill_under_a_number_that_named_another_is_a_conflict(shared: Ledger) -> None:
    name = a_new("malformed")
    sent = fill_reader(name, "E1", "E2")
    alone(shared, batch(*sent, source=name, first_sequence=1))
    bad = fill(account_id=name, exec_id="E1", last_px="1e5")
    answer = alone(shared, batch(bad, sent[1], source=name, first_sequence=1))
    assert told(answer) == (0, 1, [0])
    assert [(one.sequence, one.fill_sha256) for one in advanced(shared, name).conflicts] == [(1, sha256(bad))]


def test_a_number_that_was_refused_is_compared_by_the_bytes_of_its_fill(shared: Ledger) -> None:
    name = a_new("refused")
    bad, mended = fill(account_id=name, exec_id="E1", last_px="1e5"), fill(account_id=name, exec_id="E1")
    alone(shared, batch(bad, source=name, first_sequence=1))
    before = head(shared)
    again = alone(shared, batch(bad, source=name, first_sequence=1))
    assert [Reason(found.reason).name for found in again.refusals] == ["DECIMAL_MALFORMED"]
    assert head(shared) == before
    assert told(alone(shared, batch(mended, source=name, first_sequence=1))) == (0, 0, [0])
    assert (names(shared, name), head(shared)) == ([], before + 1)


def test_a_number_of_a_fill_that_came_another_way_is_a_replay_for_ever(shared: Ledger, send: Send) -> None:
    name = a_new("otherwise")
    known, new, other = fill_reader(name, "K", "N", "O")
    alone(shared, batch(known))
    request = batch(known, new, known, source=name, first_sequence=1)
    answer = send(shared, request)
    assert told(answer) == (1, 2, [])
    assert advanced(shared, name).replayed_sequences == (1, 1, 3, 3)
    before = head(shared)
    again = send(shared, request)
    assert (told(again), list(again.fees), head(shared)) == ((0, 3, []), list(answer.fees), before)
    assert told(send(shared, batch(other, known, other, source=name, first_sequence=1))) == (0, 0, [0, 1, 2])


def test_a_known_fill_under_a_number_that_named_another_one_is_a_conflict(shared: Ledger, send: Send) -> None:
    name = a_new("shifted")
    one, two, three = fill_reader(name, "E1", "E2", "E3")
    alone(shared, batch(three))
    send(shared, batch(one, two, source=name, first_sequence=1))
    assert told(send(shared, batch(two, one, source=name, first_sequence=1))) == (0, 0, [0, 1])
    assert told(send(shared, batch(three, source=name, first_sequence=2))) == (0, 0, [0])


def test_resends_are_compared_across_commits_accounts_and_days(shared: Ledger, send: Send) -> None:
    name = a_new("many")
    days = [at(NOON_NS - day * 86_400 * 10**9) for day in range(3)]
    sent = [
        fill(account_id=f"{name}-{number % 2}", exec_id=f"E{number}", transact_time=days[number % 3])
        for number in range(12)
    ]
    for start in range(0, 12, 4):
        send(shared, batch(*sent[start : start + 4], source=name, first_sequence=start + 1))
    assert told(send(shared, batch(*sent, source=name, first_sequence=1))) == (0, 12, [])
    changed = [Fill.FromString(one.SerializeToString()) for one in sent]
    for index in (2, 7, 11):
        changed[index].exec_id += "x"
    assert told(send(shared, batch(*changed, source=name, first_sequence=1))) == (0, 9, [2, 7, 11])
    assert told(send(shared, batch(*changed[5:9], source=name, first_sequence=6))) == (0, 3, [2])


def test_a_source_goes_on_after_numbers_beyond_int64(shared: Ledger) -> None:
    """Nobody counts so far; who begins there is refused as by any other gap."""
    name = a_new("far")
    alone(shared, batch(*fill_reader(name, "E1"), source=name, first_sequence=1))
    with pytest.raises(Exception, match="goes on with 2"):
        alone(shared, batch(*fill_reader(name, "E2"), source=name, first_sequence=2**64 - 1))


def test_sources_of_one_stream_of_requests_are_told_apart(shared: Ledger) -> None:
    first, second = a_new("one"), a_new("two")
    mine, theirs = fill_reader(first, "E1", "E2"), fill_reader(second, "E1", "E2")
    alone(shared, batch(*mine, source=first, first_sequence=1))
    alone(shared, batch(*theirs, source=second, first_sequence=1))
    assert told(alone(shared, batch(*mine, source=second, first_sequence=1))) == (0, 0, [0, 1])
    assert told(alone(shared, batch(*theirs, source=second, first_sequence=1))) == (0, 2, [])
