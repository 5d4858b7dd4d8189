"""An engine's fills on their way into a ledger, from an event loop. `ledger.client.fill_stream` says what a stream is.

    async with ledger.fill_stream("engine-1", on_ack=lambda ack: journal.trim(ack.last_sequence)) as stream:
        async for fill in market:
            await stream.send(fill)

One task reads the answers of the ledger, and another one writes what was handed over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

import grpc

from ledger.client.acknowledgement import Acknowledgement
from ledger.client.aio.calls import CLOSED, is_cancelled
from ledger.client.errors import LedgerError, Unavailable, error_of
from ledger.client.fill_window import Batch
from ledger.client.plain import Time, Values, message, timestamp
from ledger.client.stream_state import END_S_MAX, LOOK_UP_S, StreamState
from ledger.client.trace import traceparent
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb

Told = TypeVar("Told")
OnAck: TypeAlias = Callable[[Acknowledgement], Awaitable[None] | None]
AskedUntil: TypeAlias = Callable[[], Awaitable[Time | None] | Time | None]

_NO_TURN: Final[AbstractAsyncContextManager[None]] = nullcontext()


class AsyncFillStream:
    """Fills of one source, in the order in which they are handed over. Got by `AsyncClient.fill_stream`.

    It begins with `async with`, or with `await`; then close or abandon it. Tasks may share it: what one call hands over
    has numbers in a row. Handing over waits only while the window is full; a task that is cancelled there has handed
    over what is below `next_sequence`.

    Every call raises what ended the stream: Unacknowledged, or the ledger's no, with a note that names the numbers not
    acknowledged, or what `on_ack` raised. Then the stream is over; open another one.
    """

    def __init__(
        self,
        stub: Any,
        source: str,
        state: Callable[[], Awaitable[StreamState]],
        *,
        on_ack: OnAck | None,
        on_position: Callable[[int], None],
        complete_until: AskedUntil | None,
        on_end: Callable[[AsyncFillStream], None],
    ) -> None:
        """`state` asks the ledger where the source stands. `on_end` is told when its task has ended."""
        self.source = source
        self._stub = stub
        self._traceparent = traceparent()
        self._asked_state = state
        self._begun: StreamState | None = None
        self._on_ack = on_ack
        self._on_position = on_position
        self._ask_complete_until = complete_until
        self._on_end = on_end
        self._changed = asyncio.Event()  # set when anything changes, and replaced by another one
        self._turn = asyncio.Lock()  # of who hands over
        self._owes_turn = False  # a batch waits for the task that sends, which has had no turn since
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        """Ask where the source stands, and begin. Raises LedgerError, and ValueError for a batch that cannot be."""
        return self._begin().__await__()

    async def _begin(self) -> Self:
        async with self._turn:
            if self._task is None:
                self._begun = await self._asked_state()
                self._task = asyncio.create_task(self._run(), name=f"fills of {self.source}")
        return self

    @property
    def _state(self) -> StreamState:
        if self._begun is None:
            raise ValueError("the stream has not begun: use it in `async with`, or await it")
        return self._begun

    @property
    def next_sequence(self) -> int:
        """The number the next fill gets."""
        return self._state.next_sequence

    @property
    def acknowledged_sequence(self) -> int:
        """All fills up to this number are durable."""
        return self._state.acknowledged_sequence

    # -- the engine's side --------------------------------------------------------------------------------------------

    async def send(self, fill: fill_pb2.Fill | Values) -> int:
        """Hand over a fill, a message or a mapping of its fields; its number. Raises TypeError, ValueError too."""
        made = message(fill_pb2.Fill, fill, "fill")
        async with self._my_turn():
            await self._wait_for_room(1)
            self._add((made,))
            return self._state.next_sequence - 1

    async def send_all(self, fills: Iterable[fill_pb2.Fill | Values]) -> range:
        """Hand over fills one after the other; their numbers. Of one that cannot be sent, those long before it are.

        What `on_ack` hands over meanwhile is numbered among them.
        """
        async with self._my_turn():
            first, rest = self.next_sequence, enumerate(fills)
            chunk = self._state.chunk
            while made := [message(fill_pb2.Fill, fill, f"fills[{index}]") for index, fill in islice(rest, chunk)]:
                while made:
                    await self._wait_for_room(1)
                    room = self._state.room
                    self._add(made[:room])
                    made = made[room:]
            return range(first, self.next_sequence)

    async def send_columns(self, columns: pb.FillColumns) -> range:
        """Hand over at most 10,000 fills column by column, which travel as a batch of their own; their numbers."""
        size = self._state.columns_size(columns)
        async with self._my_turn():
            await self._wait_for_room(size)
            numbers = self._state.add_columns(columns, size)
            self._ring()
            self._owes_turn = True
            return numbers

    async def complete_until(self, time: Time) -> None:
        """Say that every fill that traded before an instant has been handed over. Raises TypeError, ValueError too.

        It goes out after them, takes no number, and is told to no `on_ack`. The ledger lets it never go back.
        """
        until = timestamp(time, "complete_until")
        assert until is not None
        async with self._my_turn():
            await self._wait_for_room(0)
            self._state.say(until)
            self._ring()

    async def flush(self) -> None:
        """Return when all that was handed over or said is durable, and `on_ack` has been told."""
        state = self._state
        last = state.next_sequence - 1
        state.seal()
        self._ring()
        await self._wait_until(lambda: state.acknowledged_sequence >= last)
        await self._wait_until(lambda: not state.is_busy or state.holds_fills)
        self._raise_failure()

    async def close(self) -> None:
        """Flush, and end the stream; or raise what is in the way. Nothing is left running either way."""
        try:
            self._state.is_closing = True
            await self.flush()
        except asyncio.CancelledError:  # nobody waits any more
            self._fail(ValueError("the stream was abandoned"))
            raise
        finally:
            await self._end()

    async def abandon(self) -> None:
        """End the stream without waiting for what is not acknowledged."""
        await self.end(ValueError("the stream was abandoned"))

    async def end(self, why: BaseException) -> None:
        """End the stream as `abandon` does, for a reason that every later call raises."""
        self._fail(why)
        await self._end()

    def acks(self) -> AsyncIterator[Acknowledgement]:
        """Acknowledgements from now on, in order, to the end of the stream: in place of `on_ack`.

        Those not taken yet take room in the window: take them in another task than the one that sends.
        """
        if self._on_ack is not None or self._state.acks is not None:
            raise ValueError("acknowledgements go to on_ack, or to one iterator")
        return self._taken(self._state.collect_acks())

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close; if the block failed, abandon: whoever fails should not wait."""
        if error is None:
            await self.close()
        else:
            await self.abandon()

    def _my_turn(self) -> AbstractAsyncContextManager[None]:
        """Take turns with the other tasks that hand over; `on_ack` waits for nobody."""
        return _NO_TURN if asyncio.current_task() is self._task else self._turn

    def _add(self, fills: Sequence[fill_pb2.Fill]) -> None:
        if self._state.add(fills):
            self._ring()
            self._owes_turn = True

    async def _wait_for_room(self, fills: int) -> None:
        """Wait before anything is handed over, so that a task which is cancelled here has not handed it over."""
        if self._owes_turn:
            self._owes_turn = False
            await asyncio.sleep(0)  # or a task that only hands over would keep all others from their turn
        self._state.check_open()
        if self._state.room < fills:
            self._state.seal()
            self._ring()
            await self._wait_until(lambda: self._state.room >= fills)
            self._raise_failure()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait as long as the stream lives; a ledger that acknowledges nothing for too long is given up."""
        if asyncio.current_task() is self._task and not condition():
            raise RuntimeError("on_ack must not wait for its own stream: hand over less than the window holds")
        while not condition() and self._state.failure is None:
            if failure := self._state.given_up():
                self._fail(failure)
            else:
                await self._wait(LOOK_UP_S)

    def _raise_failure(self) -> None:
        if self._state.failure is not None:
            raise self._state.failure

    async def _taken(self, acks: deque[Acknowledgement]) -> AsyncIterator[Acknowledgement]:
        state = self._state
        while True:
            await self._wait_until(lambda: bool(acks) or (state.is_closing and not state.holds_fills))
            if not acks:
                self._raise_failure()
                return
            ack = acks.popleft()
            state.taken(ack)
            self._ring()
            yield ack

    async def _end(self) -> None:
        """Return when the task of the stream has ended; it is cancelled if it has failed, or takes too long."""
        state, task = self._begun, self._task
        if state is None or task is None:
            return
        state.is_closing = True
        self._ring()
        if asyncio.current_task() is task:
            return
        if state.failure is None:
            await asyncio.wait({task}, timeout=END_S_MAX)
        task.cancel()
        await asyncio.wait({task})

    # -- the ledger's side: a task that reads answers, and one for each connection that writes requests ----------------

    def _ring(self) -> None:
        """Wake all that wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, wait_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()

    async def _run(self) -> None:
        try:
            while await self._something_is_held():
                try:
                    await self._converse()
                except grpc.RpcError as error:
                    await self._rest(error_of(error))
        except asyncio.CancelledError:  # of a loop that ends
            self._fail(ValueError("the stream was cancelled"))
            raise
        except grpc.aio.UsageError:
            self._fail(ValueError(CLOSED))
        except Exception as failure:  # whatever it is, the engine is told
            self._fail(failure)
        finally:
            self._on_end(self)

    async def _something_is_held(self) -> bool:
        """Wait for fills, or until it is time to say how far the source is; False: the stream is over."""
        state = self._state
        while state.failure is None and not state.is_busy and not state.is_closing:
            wait_s = state.idle_for_s()
            if wait_s is None or wait_s > 0:
                await self._wait(wait_s)
            else:
                await self._beat()
        return state.is_busy and state.failure is None

    async def _beat(self) -> None:
        """Ask the engine how far it is, or say the last word again."""
        asked = await _told(self._ask_complete_until()) if self._ask_complete_until else None
        self._state.beat(timestamp(asked, "complete_until"))
        self._ring()

    async def _converse(self) -> None:
        """One connection, from the first request to the last answer."""
        self._state.send_again()
        call = self._call = self._stub.StreamFills(metadata=self._traceparent)
        writing = asyncio.create_task(self._write(call), name=f"fills of {self.source}, sent")
        try:
            while (response := await _read(call)) is not grpc.aio.EOF:
                await self._acknowledge(response.batch)
            if self._state.is_busy:
                await self._rest(Unavailable(grpc.StatusCode.UNAVAILABLE, "the ledger ended the stream"))
        finally:
            call.cancel()
            writing.cancel()
            await asyncio.wait({writing})

    async def _write(self, call: Any) -> None:
        """Write batch after batch; why a connection broke is told where answers are read."""
        try:
            while (batch := await self._next_batch()) is not None:
                await call.write(batch.request)
            await call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return
        except Exception as failure:  # what the engine raises when it is asked
            self._fail(failure)

    async def _next_batch(self) -> Batch | None:
        """Wait for the next batch; None: there will be no more."""
        state = self._state
        while state.failure is None:
            batch = state.take()
            if batch is not None or state.is_closing:
                return batch
            wait_s = state.next_in_s()
            if wait_s is None or wait_s > 0:
                await self._wait(wait_s)
            else:
                await self._beat()
        return None

    async def _acknowledge(self, response: pb.RecordFillsResponse) -> None:
        ack = self._state.acknowledgement(response)
        self._on_position(ack.position)
        failure = await self._tell(ack) if ack.size else None
        self._state.acknowledged(ack)
        self._ring()
        if failure is not None:
            self._fail(failure)

    async def _tell(self, ack: Acknowledgement) -> Exception | None:
        """Tell the engine; what it raises ends the stream, and is raised to it again where it hands over."""
        try:
            if self._on_ack is not None:
                await _told(self._on_ack(ack))
        except Exception as failure:
            return failure
        return None

    async def _rest(self, failure: LedgerError) -> None:
        """After a break: wait a little. Raises what no patience cures, and Unacknowledged where it is at its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._state.rest_s(failure)):
                while self._state.failure is None:
                    await self._changed.wait()

    def _fail(self, failure: BaseException) -> None:
        """End the stream; the first failure is the one that is told."""
        if self._begun is not None:
            self._begun.fail(failure)
        self._ring()
        if self._call is not None:
            self._call.cancel()


async def _told(answer: Awaitable[Told] | Told) -> Told:
    """Return what a function of the engine returns, or a coroutine of it."""
    return await answer if isinstance(answer, Awaitable) else answer


async def _read(call: Any) -> Any:
    """Read an answer. A call that was cancelled, but not its task, is one that broke."""
    try:
        return await call.read()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata(), "the call was cancelled"
        ) from None
