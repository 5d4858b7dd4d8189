"""What only a stream on an event loop does: tasks share it, and are cancelled in every one of its calls."""

from __future__ import annotations

import asyncio

import pytest

from ledger.client import Acknowledgement, AsyncClient, AsyncFillStream
from tests.client.driver import POLLER, Loop
from tests.client.fills import Door, numbered, sequences
from tests.conftest import NOON_NS, Ledger, at


async def cancelled(task: asyncio.Task[object]) -> None:
    """Cancel a task that waits."""
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_tasks_that_share_a_stream_each_get_numbers_in_a_row_and_every_fill_is_recorded_once(
    trading: Ledger, loop: Loop
) -> None:
    async def main() -> None:
        fills = numbered(1, 2_000)
        async with (
            AsyncClient(trading.address) as client,
            client.fill_stream("engine", batch_fills=50, window_fills=100) as stream,
        ):
            parts = [stream.send_all(fills[first : first + 100]) for first in range(0, 1_000, 100)]
            ones = [stream.send(each) for each in fills[1_000:]]
            ranges, numbers = await asyncio.gather(asyncio.gather(*parts), asyncio.gather(*ones))
        taken = [*(number for each in ranges for number in each), *numbers]
        assert [len(each) for each in ranges] == [100] * 10
        assert sorted(taken) == list(range(1, 2_001))

    loop.run(main())
    assert sorted(sequences(trading)) == list(range(1, 2_001))


def test_a_task_that_is_cancelled_at_a_full_window_has_handed_over_what_is_numbered_and_no_more(
    trading: Ledger, door: Door, loop: Loop
) -> None:
    async def main() -> None:
        options = {"batch_fills": 2, "window_fills": 5}
        async with AsyncClient(trading.address) as client, client.fill_stream("engine", **options) as stream:
            await stream.send_all(numbered(1, 5))
            await cancelled(asyncio.create_task(stream.send(numbered(6, 6)[0])))
            await cancelled(asyncio.create_task(stream.send_all(numbered(6, 9))))
            assert stream.next_sequence == 6
            door.open.set()
            await stream.send_all(numbered(6, 7))

    loop.run(main())
    assert sequences(trading) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("waiting", ["flush", "close", "with"])
def test_a_task_that_is_cancelled_while_it_waits_for_the_ledger_can_go_on_after_what_is_durable(
    trading: Ledger, door: Door, waiting: str, loop: Loop
) -> None:
    async def main() -> None:
        async with AsyncClient(trading.address) as client:
            stream = await client.fill_stream("engine", batch_fills=2)
            await stream.send_all(numbered(1, 5))
            work = {"flush": stream.flush, "close": stream.close, "with": lambda: in_a_block(stream)}[waiting]
            await cancelled(asyncio.create_task(work()))
            assert (stream.acknowledged_sequence, stream.next_sequence) == (0, 6)
            door.open.set()
            if waiting == "flush":
                await stream.flush()
                assert stream.acknowledged_sequence == 5
                await stream.close()
                return
            with pytest.raises(ValueError, match="the stream was abandoned"):
                await stream.send(numbered(6, 6)[0])
            async with client.fill_stream("engine", first_sequence=1) as again:
                await again.send_all(numbered(1, 6))

    async def in_a_block(stream: AsyncFillStream) -> None:
        async with stream:
            await asyncio.sleep(60)

    loop.run(main())
    assert sequences(trading) == [1, 2, 3, 4, 5, 6][: 5 if waiting == "flush" else 6]


def test_a_callback_may_be_a_coroutine_function_and_is_awaited_in_order(trading: Ledger, loop: Loop) -> None:
    acks: list[tuple[int, int]] = []

    async def told(ack: Acknowledgement) -> None:
        await asyncio.sleep(0.001)
        acks.append((ack.first_sequence, ack.last_sequence))

    async def until() -> int:
        await asyncio.sleep(0.001)
        return NOON_NS - 5

    async def main() -> None:
        async with (
            AsyncClient(trading.address) as client,
            client.fill_stream("engine", batch_fills=2, on_ack=told, complete_until=until, heartbeat_s=0.01) as stream,
        ):
            await stream.send_all(numbered(1, 5))
            await stream.flush()
            while (await client.get_source_position("engine")).complete_until != at(NOON_NS - 5):
                await asyncio.sleep(0.01)

    loop.run(main())
    assert acks == [(1, 2), (3, 4), (5, 5)]


def test_a_task_that_only_hands_over_lets_the_others_have_their_turn(trading: Ledger, loop: Loop) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        async with AsyncClient(trading.address) as client:
            counting = asyncio.create_task(count())
            async with client.fill_stream("engine", batch_fills=10) as stream:
                await asyncio.sleep(0)
                before = turns
                for each in numbered(1, 1_000):
                    await stream.send(each)
                assert turns - before >= 100
            counting.cancel()

    loop.run(main())


def test_a_stream_ends_with_its_client(trading: Ledger, door: Door, loop: Loop) -> None:
    async def main() -> None:
        client = AsyncClient(trading.address)
        stream = await client.fill_stream("engine", window_fills=2, batch_fills=2)
        await stream.send_all(numbered(1, 2))
        waits = asyncio.create_task(stream.send(numbered(3, 3)[0]))
        await asyncio.sleep(0.05)
        await client.close()
        for raised in (waits, stream.flush()):
            with pytest.raises(ValueError, match="the client is closed") as caught:
                await raised
            assert caught.value.__notes__ == ["fills 1 to 2 of engine are not acknowledged"]

    loop.run(main())


def test_a_loop_that_ends_under_a_stream_ends_it_without_a_complaint(
    trading: Ledger, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    streams: list[AsyncFillStream] = []

    async def main() -> None:
        client = AsyncClient(trading.address)
        streams.append(await client.fill_stream("engine"))
        await streams[0].send_all(numbered(1, 3))
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert [message for message in caplog.messages if POLLER not in message] == []
    assert (streams[0].acknowledged_sequence, streams[0].next_sequence) == (0, 4)


def test_a_stream_that_has_not_begun_says_how_to_begin(trading: Ledger, loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient(trading.address) as client:
            stream = client.fill_stream("engine")
            with pytest.raises(ValueError, match="has not begun: use it in `async with`, or await it"):
                await stream.send(numbered(1, 1)[0])
            await stream.abandon()

    loop.run(main())
