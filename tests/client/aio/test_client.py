"""What only the client on an event loop does: it is cancelled, closed under way, and asked a thousand things."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Final

import pytest

from ledger.client import AsyncClient, Client, Unavailable
from tests.client.driver import Loop
from tests.client.fills import Door
from tests.conftest import Ledger
from tests.samples import fill

METHODS: Final = [name for name, _ in inspect.getmembers(Client, callable) if not name.startswith("_")]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_client_takes_the_same_on_an_event_loop(name: str) -> None:
    plain, twin = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
    assert list(plain.parameters) == list(twin.parameters)
    for one, other in zip(plain.parameters.values(), twin.parameters.values(), strict=True):
        assert (one.kind, one.default) == (other.kind, other.default)
        assert one.annotation == other.annotation or name == "fill_stream"
    awaited = inspect.iscoroutinefunction(getattr(AsyncClient, name))
    streamed = "AsyncIterator[" in str(twin.return_annotation) or name == "fill_stream"
    assert awaited != streamed
    wanted = (
        str(plain.return_annotation).replace("Iterator[", "AsyncIterator[").replace("FillStream", "AsyncFillStream")
    )
    assert str(twin.return_annotation) == wanted


def test_a_thousand_calls_at_once_are_all_answered(ledger: Ledger, loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient(ledger.address, actor="ops-7") as client:
            orders = [client.register_currency(f"C{number}", decimals=6) for number in range(500)]
            questions = [client.get_vip_state("alice") for _ in range(500)]
            answers, states = await asyncio.gather(asyncio.gather(*orders), asyncio.gather(*questions))
            positions = [answer.receipt.position for answer in answers]
            assert len(set(positions)) == 500
            assert max(positions) == client.position
            assert {state.tier for state in states} == {"NONE"}

    loop.run(main())


def test_a_task_that_is_cancelled_finds_out_what_became_of_its_command(trading: Ledger, door: Door, loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient(trading.address, actor="ops-7") as client:
            task = asyncio.create_task(client.start_trial("alice"))
            await asyncio.to_thread(door.wait_for_a_commit)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            (note,) = caught.value.__notes__
            found = re.fullmatch("the command may have been recorded: its request_id is ([0-9a-f]{32})", note)
            assert found is not None
            door.open.set()
            assert (await client.start_trial("alice", request_id=found[1])).receipt.replayed
            assert [event.topic async for event in client.list_events("account/alice")] == ["TrialStarted"]

    loop.run(main())


def test_a_call_has_no_longer_than_a_timeout_of_the_loop(trading: Ledger, door: Door, loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient(trading.address) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.start_trial("alice")

    loop.run(main())


def test_a_pause_between_attempts_can_be_cancelled(loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient("127.0.0.1:1") as client:
            task = asyncio.create_task(client.get_ledger_info())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    loop.run(main())


def test_a_client_that_is_closed_says_so(ledger: Ledger, loop: Loop) -> None:
    async def main() -> None:
        client = AsyncClient(ledger.address)
        await client.close()
        for call in (client.get_ledger_info(), client.fill_stream("engine")):
            with pytest.raises(ValueError, match="the client is closed"):
                await call
        await client.close()

    loop.run(main())


def test_pages_that_nobody_asks_for_are_not_read_and_leave_nothing(trading: Ledger, loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient(trading.address) as client:
            await client.record_fills([fill(exec_id=f"E{number}") for number in range(9)])
            async for line in client.list_fee_history("alice", page_size=2):
                assert line.fill_ref.exec_id
                break

    loop.run(main())


def test_two_clients_of_two_loops_one_after_the_other_are_independent(ledger: Ledger) -> None:
    async def main() -> str:
        async with AsyncClient(ledger.address) as client:
            return (await client.get_ledger_info()).ledger_id

    assert {asyncio.run(main()), asyncio.run(main())} == {ledger.ledger_id}


def test_a_client_is_made_where_a_loop_runs() -> None:
    with pytest.raises(RuntimeError, match="no event loop runs: make an AsyncClient within a coroutine"):
        AsyncClient("127.0.0.1:1")


def test_a_ledger_that_never_answers_is_given_up_after_connect_timeout_s(loop: Loop) -> None:
    async def main() -> None:
        async with AsyncClient("127.0.0.1:1", connect_timeout_s=0.2) as client:
            with pytest.raises(Unavailable, match="UNAVAILABLE: "):
                await client.get_ledger_info()

    loop.run(main())
