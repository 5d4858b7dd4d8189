"""What a stream decides, without a ledger: when that is given up, and for how long it is left alone."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.client import Conflict, LedgerError, Refused, Unacknowledged, Unavailable, stream_state
from ledger.client.stream_state import StreamState
from ledger.domain.refusal import Reason
from ledger.v1.fill_service_pb2 import RecordFillsRequest, RecordFillsResponse
from tests.samples import fill

UNAVAILABLE = Unavailable(grpc.StatusCode.UNAVAILABLE, "gone")


class Passing:
    """A clock that a test moves."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Passing:
    clock = Passing()
    monkeypatch.setattr(stream_state, "time", clock)
    return clock


@pytest.fixture
def state(clock: Passing) -> StreamState:
    """It gives up after 10 s, and says after 60 s how far its source is."""
    return StreamState(
        RecordFillsRequest(source="engine"),
        1,
        known_sequence=0,
        batch_fills=2,
        batch_ms=5,
        window_fills=10,
        give_up_s=10,
        heartbeat_s=60,
        asks=False,
    )


def test_the_patience_begins_with_what_is_handed_over_first_and_again_with_each_answer(
    state: StreamState, clock: Passing
) -> None:
    state.add([fill(), fill()])
    state.take()
    clock.now_s += 9.9
    state.add([fill(), fill()])
    state.take()
    assert state.given_up() is None
    state.acknowledged(state.acknowledgement(RecordFillsResponse(source_sequence=2)))
    clock.now_s += 9.9
    assert state.given_up() is None
    clock.now_s += 0.1
    failure = state.given_up()
    assert isinstance(failure, Unacknowledged)
    assert (failure.first_sequence, failure.last_sequence) == (3, 4)


def test_an_idle_stream_that_says_how_far_its_source_is_waits_for_that_answer_as_long_as_for_any(
    state: StreamState, clock: Passing
) -> None:
    state.say(Timestamp(seconds=1))
    state.take()
    state.acknowledged(state.acknowledgement(RecordFillsResponse()))
    clock.now_s += 60
    assert state.idle_for_s() == 0
    state.beat(None)
    assert state.given_up() is None, "the last answer is a minute old, but nothing was owed"
    clock.now_s += 10
    assert "how far engine is was not acknowledged" in str(state.given_up())


def test_a_break_is_rested_after_as_long_as_the_ledger_asks_and_a_no_is_none(state: StreamState) -> None:
    pauses_s = [state.rest_s(UNAVAILABLE) for _ in range(8)]
    assert 0.025 <= pauses_s[0] <= 0.05
    assert 1 <= pauses_s[-1] <= 2
    assert state.rest_s(Unavailable(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_after_s=3)) == 3
    assert state.rest_s(LedgerError(grpc.StatusCode.CANCELLED, "broken")) > 0
    for no in (
        Refused(grpc.StatusCode.FAILED_PRECONDITION, "no", reason=Reason.SEQUENCE_GAP),
        LedgerError(grpc.StatusCode.INTERNAL, "a defect", reason=Reason.INTERNAL),
    ):
        with pytest.raises(type(no)):
            state.rest_s(no)


def test_a_break_at_the_end_of_the_patience_tells_which_fills_are_open(state: StreamState, clock: Passing) -> None:
    state.add([fill()])
    clock.now_s += 9.99
    with pytest.raises(Unacknowledged, match="gone; fills 1 to 1 of engine are not acknowledged"):
        state.rest_s(UNAVAILABLE)


def test_an_answer_about_fills_that_were_not_handed_over_is_of_another_sender(state: StreamState) -> None:
    state.add([fill(), fill()])
    state.take()
    assert state.acknowledgement(RecordFillsResponse(source_sequence=2)).size == 2
    with pytest.raises(Conflict, match="engine has another sender: the ledger has its fill 3"):
        state.acknowledgement(RecordFillsResponse(source_sequence=3))


def test_the_first_failure_is_the_one_that_is_told(state: StreamState) -> None:
    state.add([fill()])
    state.fail(ValueError("first"))
    state.fail(ValueError("second"))
    with pytest.raises(ValueError, match="first") as caught:
        state.check_open()
    assert caught.value.__notes__ == ["fills 1 to 1 of engine are not acknowledged"]
