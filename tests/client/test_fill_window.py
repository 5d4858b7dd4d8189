"""What a stream holds: batches by size and time, and what is left when a connection breaks."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.client.fill_window import Batch, FillWindow
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from tests.samples import fill
from tests.server.columns import columns_of

NOW_S, BATCH_S = 100.0, 0.5


def window(next_sequence: int = 1) -> FillWindow:
    """Batches of three fills."""
    origin = RecordFillsRequest(source="engine", include_fees=True)
    return FillWindow(origin, next_sequence, batch_fills=3, batch_s=BATCH_S, fills_max=10)


def fills(count: int) -> list[Fill]:
    return [fill() for _ in range(count)]


def taken(held: FillWindow, now_s: float = NOW_S) -> list[tuple[int, int]]:
    """(first, last) number of each batch that is to be sent."""
    batches: list[Batch] = []
    while batch := held.take(now_s):
        batches.append(batch)
    return [(batch.first_sequence, batch.last_sequence) for batch in batches]


def test_a_batch_goes_out_when_it_is_full() -> None:
    held = window()
    held.add(fills(2), NOW_S)
    assert taken(held) == []
    held.add(fills(1), NOW_S)
    assert taken(held) == [(1, 3)]


def test_many_fills_are_cut_into_batches_and_the_rest_is_gathered() -> None:
    held = window(next_sequence=8)
    held.add(fills(2), NOW_S)
    held.add(fills(6), NOW_S)
    assert taken(held) == [(8, 10), (11, 13)]
    assert (held.next_sequence, held.held, held.room, held.first_held) == (16, 8, 2, 8)


def test_a_batch_that_is_not_full_goes_out_when_its_time_has_come() -> None:
    held = window()
    assert held.due_in_s(NOW_S) is None
    held.add(fills(1), NOW_S)
    held.add(fills(1), NOW_S + 0.25)
    assert held.due_in_s(NOW_S + 0.25) == 0.25
    assert taken(held, NOW_S + 0.499) == []
    assert taken(held, NOW_S + BATCH_S) == [(1, 2)]


def test_what_is_gathered_goes_out_at_once_when_it_is_sealed() -> None:
    held = window()
    held.add(fills(1), NOW_S)
    held.seal()
    held.seal()
    assert taken(held) == [(1, 1)]


def test_columns_are_a_batch_of_their_own_behind_what_was_gathered() -> None:
    held = window()
    held.add(fills(1), NOW_S)
    held.add_columns(columns_of(fills(5)), 5, NOW_S)
    held.add(fills(1), NOW_S)
    held.seal()
    assert taken(held) == [(1, 1), (2, 6), (7, 7)]


def test_every_request_says_where_it_comes_from_and_holds_copies() -> None:
    held, mine = window(next_sequence=4), fill(exec_id="mine")
    held.add([mine], NOW_S)
    mine.exec_id = "changed"
    held.seal()
    batch = held.take(NOW_S)
    assert batch is not None
    request = batch.request.batch
    assert (request.source, request.include_fees, request.first_sequence) == ("engine", True, 4)
    assert [entry.exec_id for entry in request.fills] == ["mine"]


def test_what_was_sent_and_not_acknowledged_is_sent_again_in_order_before_the_rest() -> None:
    held = window()
    held.add(fills(6), NOW_S)
    assert taken(held) == [(1, 3), (4, 6)]
    held.acknowledged()
    assert (held.first_held, held.held) == (4, 3)
    held.add(fills(3), NOW_S)
    held.send_again()
    assert taken(held) == [(4, 6), (7, 9)]
    assert held.oldest_sent().first_sequence == 4


def test_how_far_the_source_is_goes_out_after_the_fills_and_only_the_last_word_waits() -> None:
    held = window()
    held.add(fills(2), NOW_S)
    for seconds in (1, 2, 3):
        held.say(Timestamp(seconds=seconds))
    assert taken(held) == [(1, 2), (3, 2)], "it has no number"
    assert (held.held, held.is_busy) == (2, True)
    held.acknowledged()
    assert (held.held, held.is_busy) == (0, True)
    held.acknowledged()
    batch = held.take(NOW_S)
    assert batch is not None
    assert batch.request.batch.complete_until.seconds == 3
    held.send_again()
    assert taken(held) == [(3, 2)]
    held.acknowledged()
    assert not held.is_busy
