"""Calls to a ledger from an event loop: tried again while it cannot answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from ledger.client.errors import LedgerError
from ledger.client.patience import Patience
from ledger.client.trace import traceparent

CLOSED: Final = "the client is closed"

Response = TypeVar("Response")
Streamed_co = TypeVar("Streamed_co", covariant=True)


class Answer(AsyncIterable[Streamed_co], Protocol[Streamed_co]):
    """An answer that comes message by message."""

    def cancel(self) -> bool:
        """End it."""


class Calls:
    """Makes calls until they are answered or their time is up."""

    def __init__(self, timeout_s: float, connect_timeout_s: float | None) -> None:
        self._patience = Patience(timeout_s, connect_timeout_s)

    async def __call__(
        self, method: Callable[..., Awaitable[Response]], request: Message, timeout_s: float | None
    ) -> Response:
        """The answer to a request. Raises LedgerError.

        If the task is cancelled, a note on CancelledError has the request_id of a command: sent again with it, it tells
        what became of it.
        """
        attempts = self._patience.attempts(request, timeout_s)
        with _told_apart(request):
            while True:
                try:
                    response = await method(request, timeout=attempts.next_timeout_s(), metadata=traceparent())
                except grpc.RpcError as error:
                    pause_s = attempts.pause_s(error)
                else:
                    attempts.answered()
                    return response
                await asyncio.sleep(pause_s)

    async def messages(
        self, method: Callable[..., Answer[Response]], request: Message, timeout_s: float | None, *, resumed: bool
    ) -> AsyncIterator[Response]:
        """The messages of an answer that is streamed, for as long as they come. Raises LedgerError.

        If `resumed`, one that breaks off is asked for again, for up to `timeout_s` after its last message.
        """
        attempts = self._patience.attempts(request, timeout_s, repeated=resumed)
        with _told_apart(request):
            while True:
                try:
                    answer = method(request, metadata=traceparent())
                    try:
                        async for message in answer:
                            attempts.answered()
                            yield message
                    finally:
                        answer.cancel()
                except grpc.RpcError as error:
                    pause_s = attempts.pause_s(error)
                else:
                    return
                await asyncio.sleep(pause_s)


@contextmanager
def _told_apart(request: Message) -> Iterator[None]:
    """Raise LedgerError for a call that ended because its client was closed, ValueError for one that came later.

    gRPC raises CancelledError for a closed client, as for a cancelled task. Whose task is cancelled finds out by the
    request_id what became of a command.
    """
    request_id = getattr(request, "request_id", "")
    try:
        yield
    except grpc.aio.UsageError as error:
        raise ValueError(CLOSED) from error
    except asyncio.CancelledError as cancelled:
        if not is_cancelled():
            code = grpc.StatusCode.CANCELLED
            raise LedgerError(code, f"{code.name}: {CLOSED}", request_id=request_id) from cancelled
        if request_id:
            cancelled.add_note(f"the command may have been recorded: its request_id is {request_id}")
        raise


def is_cancelled() -> bool:
    """Return True if the task that runs is being cancelled."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
