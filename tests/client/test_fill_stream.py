"""FillStream on a real server: the engine goes on, the ledger says what is durable, and connections break."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import grpc
import pytest

from ledger.client import (
    Acknowledgement,
    Client,
    Conflict,
    InvalidRequest,
    LedgerError,
    Refused,
    Unacknowledged,
    Unavailable,
)
from ledger.domain.refusal import Reason
from tests.client.background import in_background
from tests.client.conftest import Connect
from tests.client.fills import Door, numbered, sequences
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.served import Served, started
from tests.samples import batch, fill, history, symbol
from tests.server.columns import columns_of
from tests.waiting import wait_for

WAIT_S_MAX = 20


@pytest.fixture
def client(trading: Ledger, connect: Connect) -> Iterator[Client]:
    with connect(trading.address, actor="engine-room") as client:
        yield client


def ranges(acks: Sequence[Acknowledgement]) -> list[tuple[int, int]]:
    return [(ack.first_sequence, ack.last_sequence) for ack in acks]


# -- what an engine sees


def test_fills_are_numbered_from_where_the_source_stands_and_all_durable_when_it_closes(
    client: Client, trading: Ledger
) -> None:
    with client.fill_stream("engine", batch_fills=3) as stream:
        assert [stream.send(fill) for fill in numbered(1, 4)] == [1, 2, 3, 4]
        assert stream.send_all(numbered(5, 11)) == range(5, 12)
    assert stream.acknowledged_sequence == 11
    assert [line.fill_ref.exec_id for line in history(trading)] == [f"E{number}" for number in range(1, 12)]
    with client.fill_stream("engine") as stream:
        assert stream.next_sequence == 12
        assert stream.send({"account_id": "alice", "exec_id": "plain", "symbol": "XRP_USDT"}) == 12


def test_acknowledgements_come_in_order_and_say_what_is_durable(client: Client, trading: Ledger) -> None:
    acks: list[Acknowledgement] = []
    with client.fill_stream("engine", batch_fills=4, batch_ms=10_000, on_ack=acks.append) as stream:
        stream.send_all(numbered(1, 10))
        stream.flush()
        assert ranges(acks) == [(1, 4), (5, 8), (9, 10)]
    assert [(ack.recorded, ack.replayed, ack.refused, ack.fees) for ack in acks] == [
        (4, 0, [], []),
        (4, 0, [], []),
        (2, 0, [], []),
    ]
    lines = history(trading)
    assert acks[-1].position >= lines[-1].line_ref.position
    assert acks[-1].recorded_time_ns >= lines[-1].recorded_time.ToNanoseconds()
    assert client.position == acks[-1].position


def test_a_batch_that_never_gets_full_goes_out_after_its_time(client: Client) -> None:
    told = threading.Event()
    with client.fill_stream("engine", batch_ms=1, on_ack=lambda _: told.set()) as stream:
        stream.send(fill())
        assert told.wait(WAIT_S_MAX)


def test_refused_fills_are_told_by_their_numbers_and_the_stream_goes_on(client: Client, trading: Ledger) -> None:
    acks: list[Acknowledgement] = []
    bad = [fill(exec_id="E2", symbol="NO_SUCH"), fill(exec_id="E 3"), fill(exec_id="E1", last_px="9")]
    with client.fill_stream("engine", batch_fills=2, on_ack=acks.append) as stream:
        stream.send_all([*numbered(1, 1), *bad, *numbered(5, 6)])
    refused = [entry for ack in acks for entry in ack.refused]
    assert [(entry.sequence, entry.reason, entry.field) for entry in refused] == [
        (2, Reason.SYMBOL_UNKNOWN, "symbol"),
        (3, Reason.ID_MALFORMED, "exec_id"),
        (4, Reason.FILL_CONFLICT, "exec_id"),
    ]
    assert all(entry.message for entry in refused)
    assert sequences(trading) == [1, 5, 6]


def test_fees_come_with_the_acknowledgement_where_asked_for(client: Client) -> None:
    acks: list[Acknowledgement] = []
    with client.fill_stream("engine", with_fees=True, on_ack=acks.append) as stream:
        stream.send_all([*numbered(1, 1), fill(symbol="NO_SUCH"), *numbered(2, 2)])
    assert [(fee.fee_amount, fee.fee_currency) for ack in acks for fee in ack.fees] == [
        ("0.0125", "USDT"),
        ("", ""),
        ("0.0125", "USDT"),
    ]


def test_columns_and_rows_may_follow_each_other(client: Client, trading: Ledger) -> None:
    with client.fill_stream("engine") as stream:
        stream.send_all(numbered(1, 2))
        assert stream.send_columns(columns_of(numbered(3, 5))) == range(3, 6)
        assert stream.send(fill(exec_id="E6")) == 6
    assert [line.fill_ref.exec_id for line in history(trading)] == [f"E{number}" for number in range(1, 7)]


def test_an_engine_may_send_again_from_an_earlier_number_with_other_boundaries(client: Client, trading: Ledger) -> None:
    acks: list[Acknowledgement] = []
    with client.fill_stream("engine", batch_fills=3) as stream:
        stream.send_all(numbered(1, 10))
    with client.fill_stream("engine", first_sequence=2, batch_fills=4, on_ack=acks.append) as stream:
        stream.send_all(numbered(2, 12))
    assert [(ack.recorded, ack.replayed) for ack in acks] == [(0, 4), (0, 4), (2, 1)]
    assert sequences(trading) == list(range(1, 13))


def test_who_sends_and_by_which_actor_is_recorded(client: Client) -> None:
    with client.fill_stream("engine") as stream:
        stream.send(fill())
    with client.fill_stream("engine", actor="somebody-else") as stream:
        stream.send(fill())
    runs = [event for event in client.list_events() if event.topic == "VolumeRecorded"]
    assert [event.actor for event in runs] == ["engine-room", "somebody-else"]


# -- acknowledgements one by one


def test_a_stream_says_how_far_its_source_is_after_what_was_handed_over(client: Client) -> None:
    acks: list[Acknowledgement] = []
    with client.fill_stream("engine", batch_ms=60_000, on_ack=acks.append) as stream:
        stream.send_all(numbered(1, 3))
        stream.complete_until(NOON_NS - 5)
        stream.flush()
        found = client.get_source_position("engine")
        assert (found.last_sequence, found.complete_until) == (3, at(NOON_NS - 5))
        for step in range(4, 0, -1):
            stream.complete_until(NOON_NS - step)
    assert client.get_source_position("engine").complete_until == at(NOON_NS - 1)
    assert [(ack.first_sequence, ack.last_sequence) for ack in acks] == [(1, 3)], "it is no batch of fills"


def test_an_idle_stream_repeats_its_last_word_or_asks_the_engine_for_a_new_one(client: Client) -> None:
    with client.fill_stream("repeats", heartbeat_s=0.02) as stream:
        stream.complete_until(NOON_NS - 5)
        stream.flush()
        first = client.get_source_position("repeats").position
        wait_for(lambda: client.get_source_position("repeats").position > first + 2)
    assert client.get_source_position("repeats").complete_until == at(NOON_NS - 5)
    said = iter(range(NOON_NS - 1_000_000, NOON_NS))
    with client.fill_stream("asks", heartbeat_s=0.02, complete_until=lambda: next(said)):
        wait_for(lambda: client.get_source_position("asks").complete_until.seconds > 0)
        first_ns = client.get_source_position("asks").complete_until.ToNanoseconds()
        wait_for(lambda: client.get_source_position("asks").complete_until.ToNanoseconds() > first_ns)
    assert NOON_NS - 1_000_000 <= first_ns < client.get_source_position("asks").complete_until.ToNanoseconds()


def test_a_stream_that_was_told_nothing_says_nothing(client: Client) -> None:
    with client.fill_stream("quiet", heartbeat_s=0.01) as stream:
        stream.send_all(numbered(1, 1))
        stream.flush()
        position = client.get_source_position("quiet").position
        time.sleep(0.1)
        assert client.get_source_position("quiet").position == position
    with client.fill_stream("quiet", heartbeat_s=0.01, complete_until=lambda: None):
        time.sleep(0.1)
    assert not client.get_source_position("quiet").HasField("complete_until")


def test_what_the_engine_raises_when_it_is_asked_ends_the_stream(client: Client) -> None:
    def fails() -> int:
        raise RuntimeError("no clock")

    def send_after_a_pause() -> bool:
        time.sleep(0.1)  # long enough to be idle
        stream.send(numbered(1, 1)[0])
        return False

    stream = client.fill_stream("fails", heartbeat_s=0.01, complete_until=fails)
    with pytest.raises(RuntimeError, match="no clock"):
        wait_for(send_after_a_pause)
    stream.abandon()


def test_acknowledgements_can_be_iterated_to_the_end_of_the_stream(client: Client) -> None:
    stream = client.fill_stream("engine", batch_fills=2)
    acks = stream.acks()
    stream.send_all(numbered(1, 5))
    stream.close()
    assert ranges(list(acks)) == [(1, 2), (3, 4), (5, 5)]


def test_acknowledgements_that_nobody_takes_fill_the_window(client: Client) -> None:
    stream = client.fill_stream("engine", batch_fills=2, window_fills=4)
    acks = stream.acks()
    stream.send_all(numbered(1, 4))
    stream.flush()
    sender, found = in_background(stream.send, fill(exec_id="E5"))
    sender.join(0.2)
    assert found == []
    assert next(acks).last_sequence == 2
    sender.join(WAIT_S_MAX)
    assert found == [5]
    stream.close()
    assert ranges(list(acks)) == [(3, 4), (5, 5)]


def test_acknowledgements_have_one_taker(client: Client) -> None:
    with client.fill_stream("engine") as stream:
        stream.acks()
        with pytest.raises(ValueError, match="one iterator"):
            stream.acks()
    with client.fill_stream("engine", on_ack=print) as stream, pytest.raises(ValueError, match="on_ack"):
        stream.acks()


# -- the window


def test_handing_over_waits_while_the_window_is_full_and_goes_on_with_the_next_acknowledgement(
    client: Client, trading: Ledger, door: Door
) -> None:
    with client.fill_stream("engine", batch_fills=2, window_fills=5) as stream:
        stream.send_all(numbered(1, 5))
        sender, found = in_background(stream.send, fill(exec_id="E6"))
        sender.join(0.2)
        assert (found, stream.next_sequence) == ([], 6)
        door.open.set()
        sender.join(WAIT_S_MAX)
        assert found == [6]
    assert sequences(trading) == [1, 2, 3, 4, 5, 6]


def test_a_batch_that_does_not_fit_the_window_is_refused_before_anything_is_sent(client: Client) -> None:
    for batch_fills, window_fills in ((0, 10), (11, 10), (10_001, 20_000)):
        with pytest.raises(ValueError, match="batch_fills"):
            client.fill_stream("engine", batch_fills=batch_fills, window_fills=window_fills)
    with client.fill_stream("engine", batch_fills=2, window_fills=2) as stream:
        with pytest.raises(ValueError, match="columns of 3 fills: give 1 to 2"):
            stream.send_columns(columns_of(numbered(1, 3)))
        with pytest.raises(TypeError, match=r"fill\.last_px"):
            stream.send({"account_id": "alice", "last_px": 0.5})
        assert stream.next_sequence == 1


# -- what ends a stream


def test_a_gap_ends_the_stream_and_is_raised_with_the_numbers_that_are_missing(client: Client) -> None:
    stream = client.fill_stream("engine", first_sequence=3)
    stream.send_all(numbered(3, 4))
    with pytest.raises(Refused) as caught:
        stream.close()
    assert (caught.value.reason, caught.value.metadata["expected_sequence"]) == (Reason.SEQUENCE_GAP, "1")
    assert caught.value.__notes__ == ["fills 3 to 4 of engine are not acknowledged"]
    with pytest.raises(Refused):
        stream.send(fill())


def test_a_request_that_cannot_be_right_ends_the_stream(client: Client) -> None:
    stream = client.fill_stream("engine", venue="no such venue")
    stream.send(fill())
    with pytest.raises(InvalidRequest, match="ID_MALFORMED"):
        stream.flush()
    with pytest.raises(InvalidRequest):
        stream.close()


def test_a_second_sender_of_the_source_is_noticed(client: Client, trading: Ledger) -> None:
    stream = client.fill_stream("engine")
    trading.fills.RecordFills(batch(*numbered(1, 5), source="engine", first_sequence=1))
    stream.send(fill(exec_id="mine"))
    with pytest.raises(Conflict, match="the ledger has its fill 5, this stream has handed over 1"):
        stream.close()


def test_what_a_callback_raises_ends_the_stream_and_reaches_the_engine(client: Client, trading: Ledger) -> None:
    def fail(ack: Acknowledgement) -> None:
        raise ZeroDivisionError(ack.last_sequence)

    stream = client.fill_stream("engine", on_ack=fail)
    stream.send_all(numbered(1, 2))
    with pytest.raises(ZeroDivisionError):
        stream.flush()
    with pytest.raises(ZeroDivisionError):
        stream.close()
    assert (stream.acknowledged_sequence, sequences(trading)) == (2, [1, 2])


def test_a_callback_that_waits_for_its_own_stream_is_told_so(client: Client) -> None:
    def wait(_: Acknowledgement) -> None:
        return stream.flush()

    stream = client.fill_stream("engine", on_ack=wait)
    stream.send(fill())
    with pytest.raises(RuntimeError, match="must not wait for its own stream"):
        stream.close()


def test_a_closed_stream_takes_no_fills_and_may_be_closed_again(client: Client) -> None:
    stream = client.fill_stream("engine")
    stream.close()
    stream.close()
    with pytest.raises(ValueError, match="the stream is closed"):
        stream.send(fill())


def test_a_block_that_fails_does_not_wait_for_the_ledger(client: Client, door: Door) -> None:
    def work() -> None:
        with client.fill_stream("engine") as stream:
            stream.send(fill())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


# -- broken connections


class Cut(grpc.StreamStreamClientInterceptor):  # type: ignore[misc]
    """Loses the connection with answers on it, as often as is asked for."""

    def __init__(self, after: int) -> None:
        self.after = after  # answers that arrive
        self.cuts = 0

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return _Cut(continuation(details, requests), self)


class _Cut:
    """A call that is cancelled after its first answers, while the ledger has taken more."""

    def __init__(self, call: Any, cut: Cut) -> None:
        self._call, self._cut, self._left = call, cut, cut.after

    def __iter__(self) -> Iterator[Any]:
        for answer in self._call:
            if self._cut.cuts and not self._left:
                self._cut.cuts -= 1
                self._call.cancel()
                continue
            self._left -= 1
            yield answer

    def cancel(self) -> None:
        self._call.cancel()


class CutOnLoop(grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    """Does what a Cut does, on an event loop."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut

    async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return self._answers(await continuation(details, requests), self._cut.after)

    async def _answers(self, call: Any, left: int) -> AsyncIterator[Any]:
        async for answer in call:
            if self._cut.cuts and not left:
                self._cut.cuts -= 1
                call.cancel()
                continue
            left -= 1
            yield answer


def test_what_was_lost_with_a_connection_is_told_on_the_next_one(trading: Ledger, connect: Connect) -> None:
    cut = Cut(after=1)
    cut.cuts = 3
    acks: list[Acknowledgement] = []
    client = connect(trading.address, through=(cut, CutOnLoop(cut)))
    with client.fill_stream("engine", batch_fills=2, with_fees=True, on_ack=acks.append) as stream:
        stream.send_all([*numbered(1, 4), fill(exec_id="E5", symbol="NO_SUCH"), *numbered(6, 13)])
    assert cut.cuts == 0
    assert ranges(acks) == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 13)]
    assert [(entry.sequence, entry.reason) for ack in acks for entry in ack.refused] == [(5, Reason.SYMBOL_UNKNOWN)]
    assert [bool(fee.fee_amount) for ack in acks for fee in ack.fees] == [number != 5 for number in range(1, 14)]
    assert sequences(trading) == [1, 2, 3, 4, *range(6, 14)]


def test_a_stream_too_many_waits_for_its_turn(start_ledger: StartLedger, connect: Connect) -> None:
    ledger = start_ledger(streams_max=1)
    ledger.commands.RegisterSymbol(symbol())
    with connect(ledger.address) as client:
        first, second = client.fill_stream("a"), client.fill_stream("b")
        first.send(fill())
        first.flush()
        second.send(fill())
        first.close()
        second.close()
    assert len(history(ledger)) == 2


def test_engines_that_take_turns_share_one_place_and_lose_nothing(start_ledger: StartLedger, connect: Connect) -> None:
    ledger = start_ledger(streams_max=1, stream_grace_ms=1)
    ledger.commands.RegisterSymbol(symbol())
    with connect(ledger.address) as client:
        streams = [client.fill_stream(source, batch_ms=1) for source in ("a", "b")]
        for number in range(1, 4):
            for stream in streams:
                stream.send(fill(account_id=stream.source, exec_id=f"E{number}"))
                stream.flush()
        for stream in streams:
            assert stream.acknowledged_sequence == 3
            stream.close()
    for source in ("a", "b"):
        assert [line.sequence for line in history(ledger, source)] == [1, 2, 3]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service of its own process, to be killed."""
    with started() as service:
        with Client(service.address) as client:
            client.register_symbol(
                "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4
            )
        yield service


def test_a_stream_outlives_its_service_and_every_fill_is_recorded_once_in_order(
    served: Served, connect: Connect, kind: str
) -> None:
    acks: list[Acknowledgement] = []
    changed = threading.Condition()

    def told(ack: Acknowledgement) -> None:
        with changed:
            acks.append(ack)
            changed.notify_all()

    fills = [fill(account_id=kind, exec_id=f"E{number}") for number in range(1, 3_001)]
    with connect(served.address) as client:
        with client.fill_stream(kind, batch_fills=7, window_fills=500, on_ack=told) as stream:
            sender, found = in_background(stream.send_all, fills)
            with changed:
                assert changed.wait_for(lambda: len(acks) >= 20, WAIT_S_MAX)
            served.kill()
            served.start()
            sender.join(WAIT_S_MAX)
            assert found == [range(1, 3_001)]
        lines = list(client.list_fee_history(kind))
    assert [line.sequence for line in lines] == list(range(1, 3_001))
    assert [line.fill_ref.exec_id for line in lines] == [fill.exec_id for fill in fills]
    assert [number for first, last in ranges(acks) for number in range(first, last + 1)] == list(range(1, 3_001))


def test_a_ledger_that_stays_away_is_given_up_with_the_numbers_that_are_open(
    served: Served, connect: Connect, kind: str
) -> None:
    away = f"away-{kind}"
    with connect(served.address) as client:
        stream = client.fill_stream(away, batch_fills=10, window_fills=20, give_up_s=0.5)
        stream.send_all([fill(account_id=away) for _ in range(10)])
        stream.flush()
        served.kill()
        stream.send_all([fill(account_id=away) for _ in range(5)])
        with pytest.raises(Unacknowledged, match=f"fills 11 to 15 of {away} are not acknowledged") as caught:
            stream.close()
        assert (caught.value.first_sequence, caught.value.last_sequence) == (11, 15)
        assert isinstance(caught.value, Unavailable)
        with pytest.raises(LedgerError):
            client.fill_stream(away, give_up_s=0.1)
    served.start()
    assert served.position(away) == 10


def test_no_thread_is_left_behind(served: Served) -> None:
    before = set(threading.enumerate())
    with Client(served.address) as client:
        with client.fill_stream("threads") as stream:
            stream.send(fill())
            stream.flush()
            assert any(thread.name == "fills of threads" for thread in threading.enumerate())
        with pytest.raises(Refused), client.fill_stream("threads", first_sequence=9) as stream:
            stream.send(fill())
        for thread in set(threading.enumerate()) - before:
            thread.join(WAIT_S_MAX)  # of gRPC: those that took requests end a moment later
            assert not thread.is_alive(), thread
