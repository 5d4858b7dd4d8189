"""Fills that an engine numbers: each bad one is refused alone, and the source moves on."""

from __future__ import annotations

from ledger.domain.events import SourceAdvanced
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest, RecordFillsResponse
from tests.conftest import Ledger
from tests.samples import batch, fill
from tests.server.bad_rows import FIELD_ROWS
from tests.server.calls import expected, head, refused, said, sha256
from tests.server.good_requests import BAD, good
from tests.server.instants import IN_A_DAY


def advanced(ledger: Ledger, source: str) -> SourceAdvanced:
    """What the log says last of a source."""
    last = ledger.log.last_of(f"source/{source}")
    assert last is not None
    assert isinstance(last.event, SourceAdvanced)
    return last.event


def told(answer: RecordFillsResponse) -> list[tuple[int, str, str]]:
    """(index, reason, field) of each refusal."""
    return [(found.index, Reason(found.reason).name, found.field) for found in answer.refusals]


def test_in_a_batch_of_a_source_each_malformed_fill_is_refused_alone_and_the_source_moves_on(shared: Ledger) -> None:
    rows = [row for row in FIELD_ROWS if row.method == "RecordFills" and row.field.startswith(f"fills[{BAD}].")]
    bad_fills = [good("RecordFills", row.values).fills[BAD] for row in rows]
    fills = [fill(account_id="sourced"), *bad_fills, fill(account_id="sourced")]
    request = batch(*fills, source="all-rows", first_sequence=1)
    answer = shared.fills.RecordFills(request)
    assert [(found.index, Reason(found.reason).name, found.field) for found in answer.refusals] == [
        (index, row.reason.name, row.field.removeprefix(f"fills[{BAD}].")) for index, row in enumerate(rows, 1)
    ]
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (2, 0, len(fills))
    event = advanced(shared, "all-rows")
    assert (event.first_sequence, event.last_sequence, event.recorded) == (1, len(fills), 2)
    assert [(found.sequence, found.reason, found.fill_sha256) for found in event.refused] == [
        (sequence, row.reason, sha256(bad_fills[sequence - 2])) for sequence, row in enumerate(rows, 2)
    ]


def test_a_malformed_fill_of_a_source_that_is_sent_again_is_refused_again_as_the_first_time(shared: Ledger) -> None:
    fills = [fill(account_id="sourced-2"), fill(account_id="sourced-2", last_px="1e5"), fill(account_id="sourced-2")]
    request = batch(*fills, source="engine-2", first_sequence=1)
    answer = shared.fills.RecordFills(request)
    assert [(found.index, Reason(found.reason).name, found.field) for found in answer.refusals] == [
        (1, "DECIMAL_MALFORMED", "last_px")
    ]
    assert (answer.recorded, answer.source_sequence) == (2, 3)
    before = head(shared)
    again = shared.fills.RecordFills(request)
    assert (again.recorded, again.replayed, again.source_sequence) == (0, 2, 3)
    assert told(again) == told(answer)
    assert [fee.fee_amount for fee in again.fees] == [fee.fee_amount for fee in answer.fees]
    assert (head(shared), again.position) == (before, before)
    assert shared.fills.GetSourcePosition(GetSourcePositionRequest(source="engine-2")).last_sequence == 3
    (found,) = advanced(shared, "engine-2").refused
    assert (found.sequence, found.reason, found.fill_sha256) == (2, Reason.DECIMAL_MALFORMED, sha256(fills[1]))


def test_a_batch_of_a_source_with_nothing_but_malformed_fills_moves_the_source_on(shared: Ledger) -> None:
    answer = shared.fills.RecordFills(batch(Fill(), Fill(), source="engine-3", first_sequence=1))
    assert [found.index for found in answer.refusals] == [0, 1]
    assert (answer.recorded, answer.source_sequence) == (0, 2)
    assert shared.fills.RecordFills(batch(fill(), source="engine-3", first_sequence=3)).recorded == 1


def test_fills_of_a_source_refused_by_the_state_are_recorded_with_their_numbers(markets: Ledger) -> None:
    first = fill(account_id="sourced-4")
    conflict = fill(account_id="sourced-4", exec_id=first.exec_id, last_px="2")
    unknown = fill(account_id="sourced-4", symbol="NO_SUCH")
    answer = markets.fills.RecordFills(batch(first, conflict, first, unknown, source="engine-4", first_sequence=1))
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [
        (1, Reason.FILL_CONFLICT.value, "exec_id"),
        (3, Reason.SYMBOL_UNKNOWN.value, "symbol"),
    ]
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (1, 1, 4)
    assert [(found.sequence, found.fill_sha256) for found in advanced(markets, "engine-4").refused] == [
        (2, sha256(conflict)),
        (4, sha256(unknown)),
    ]


def test_fills_of_a_source_refused_by_the_state_that_are_sent_again_are_refused_again_as_the_first_time(
    markets: Ledger,
) -> None:
    first = fill(account_id="sourced-6")
    conflict = fill(account_id="sourced-6", exec_id=first.exec_id, last_px="2")
    others = [fill(account_id="sourced-6", **changes) for changes in ({"symbol": "NO_SUCH"}, {"product": 2})]
    fine = [
        fill(account_id="sourced-6", **changes) for changes in ({"last_px": "0.500000001"}, {"last_qty": "0.00001"})
    ]
    request = batch(first, conflict, *others, *fine, first, source="engine-6", first_sequence=1)
    answer = markets.fills.RecordFills(request)
    assert told(answer) == [
        (1, "FILL_CONFLICT", "exec_id"),
        (2, "SYMBOL_UNKNOWN", "symbol"),
        (3, "PRODUCT_WITHOUT_RATES", "product"),
        (4, "PRICE_TOO_FINE", "last_px"),
        (5, "QUANTITY_TOO_FINE", "last_qty"),
    ]
    before = head(markets)
    again = markets.fills.RecordFills(request)
    assert (again.recorded, again.replayed, again.source_sequence) == (0, 2, 7)
    assert told(again) == told(answer)
    assert (head(markets), again.position) == (before, before)


def test_a_fill_of_a_source_refused_as_of_the_future_is_refused_as_the_first_time_when_that_has_come(
    ledger: Ledger,
) -> None:
    request = batch(fill(transact_time=IN_A_DAY), source="engine", first_sequence=1)
    answer = ledger.fills.RecordFills(request)
    assert told(answer) == [(0, "TIME_IN_FUTURE", "transact_time")]
    ledger.clock.now_ns += 2 * DAY_NS
    again = ledger.fills.RecordFills(request)
    assert (again.recorded, again.replayed, again.source_sequence) == (0, 0, 1)
    assert told(again) == told(answer)


def test_of_a_batch_that_begins_among_numbers_taken_before_refusals_are_told_by_its_own_indexes(shared: Ledger) -> None:
    fills = [fill(account_id="sourced-7", last_px=price) for price in ("1", "1e5", "1", "", "1", "-1")]
    shared.fills.RecordFills(batch(*fills[:3], source="engine-7", first_sequence=1))
    shared.fills.RecordFills(batch(*fills[3:5], source="engine-7", first_sequence=4))
    answer = shared.fills.RecordFills(batch(*fills[1:], source="engine-7", first_sequence=2))
    assert told(answer) == [
        (0, "DECIMAL_MALFORMED", "last_px"),
        (2, "FIELD_REQUIRED", "last_px"),
        (4, "NOT_POSITIVE", "last_px"),
    ]
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (0, 2, 6)


def test_a_gap_is_refused_with_the_number_expected_and_an_overlap_is_not(shared: Ledger) -> None:
    fills = [fill(account_id="sourced-5") for _ in range(5)]
    shared.fills.RecordFills(batch(*fills[:3], source="engine-5", first_sequence=1))
    found = refused(shared, batch(fills[4], source="engine-5", first_sequence=5))
    assert said(found) == expected(Reason.SEQUENCE_GAP, "first_sequence")
    assert found.metadata == {"expected_sequence": "4"}
    answer = shared.fills.RecordFills(batch(*fills[1:], source="engine-5", first_sequence=2))
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (2, 2, 5)
