"""The client on an event loop: what the back office and a matching engine call."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import grpc

from ledger.client.aio.calls import CLOSED, Calls
from ledger.client.aio.fill_stream import AskedUntil, AsyncFillStream, OnAck
from ledger.client.aio.methods.back_office import BackOffice
from ledger.client.aio.methods.evaluations import Evaluations
from ledger.client.aio.methods.fills import Fills
from ledger.client.aio.methods.members import Members
from ledger.client.aio.methods.oversight import Oversight
from ledger.client.aio.methods.reads import Reads
from ledger.client.aio.methods.rewards import Rewards
from ledger.client.channel import CHANNEL_OPTIONS
from ledger.client.service_config import RETRY
from ledger.client.stream_state import HEARTBEAT_S, StreamState
from ledger.v1 import fill_service_pb2 as fills_pb


class AsyncClient(Fills, BackOffice, Members, Rewards, Oversight, Evaluations, Reads):
    """Talks to one ledger from an event loop. Tasks may share it. Use it in `async with`, or await its `close`.

    A task that is cancelled in a call may have had it recorded: send the same again, a command with its request_id,
    which is the one that was given, or that in the note of CancelledError.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        actor: str = "",
        approver: str = "",
        ticket: str = "",
        reason: str = "",
        timeout_s: float = RETRY.timeout_s,
        connect_timeout_s: float | None = None,
        read_your_writes: bool = True,
        channel: grpc.aio.Channel | None = None,
    ) -> None:
        """`connect_timeout_s` bounds the wait for a ledger that has never answered; `channel` is used in place of an
        own one and stays open: for TLS and interceptors. Raises RuntimeError where no loop runs."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("no event loop runs: make an AsyncClient within a coroutine") from None
        self._own = None if channel is not None else grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
        self._streams: set[AsyncFillStream] = set()  # that have begun and not ended
        used = channel or self._own
        assert used is not None
        super().__init__(
            used,
            Calls(timeout_s, connect_timeout_s),
            read_your_writes=read_your_writes,
            authority={"actor": actor, "approver": approver, "ticket": ticket, "reason": reason},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. Calls and streams under way end with an error."""
        for stream in tuple(self._streams):
            await stream.end(ValueError(CLOSED))
        if self._own:
            await self._own.close()

    def fill_stream(
        self,
        source: str,
        *,
        first_sequence: int | None = None,
        venue: str = "",
        actor: str | None = None,
        with_fees: bool = False,
        batch_fills: int = 1_000,
        batch_ms: int = 5,
        window_fills: int = 50_000,
        give_up_s: float = 60,
        on_ack: OnAck | None = None,
        complete_until: AskedUntil | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> AsyncFillStream:
        """A stream of a source's fills: hand them over and go on, and be told what is durable.

        It begins with `async with`, or with `await`. Fills are numbered from `first_sequence`, by default from where
        the ledger stands. A batch goes out with `batch_fills`, or `batch_ms` after its first fill. While `window_fills`
        are not acknowledged, handing over waits; if the ledger acknowledges nothing for `give_up_s`, the stream ends.
        `on_ack`, a function or a coroutine function, is called in order; what it raises ends the stream.

        After `heartbeat_s` without a fill `complete_until`, which may be a coroutine function too, is asked up to when
        every fill has been handed over (None: not known); and what was last said is said again. Without it only
        `AsyncFillStream.complete_until` says so. Beginning raises LedgerError where the ledger cannot say how far the
        source is.
        """

        async def state() -> StreamState:
            known = (await self.get_source_position(source, timeout_s=give_up_s)).last_sequence
            origin = fills_pb.RecordFillsRequest(
                venue=venue,
                source=source,
                include_fees=with_fees,
                actor=self._authority["actor"] if actor is None else actor,
            )
            made = StreamState(
                origin,
                known + 1 if first_sequence is None else first_sequence,
                known_sequence=known,
                batch_fills=batch_fills,
                batch_ms=batch_ms,
                window_fills=window_fills,
                give_up_s=give_up_s,
                heartbeat_s=heartbeat_s,
                asks=complete_until is not None,
            )
            self._streams.add(stream)
            return made

        stream = AsyncFillStream(
            self._fill_service,
            source,
            state,
            on_ack=on_ack,
            on_position=self._wrote,
            complete_until=complete_until,
            on_end=self._streams.discard,
        )
        return stream
