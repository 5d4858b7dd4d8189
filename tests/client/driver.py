"""A synchronous driver of the client on an event loop: so the tests of the one client are those of the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Self

from ledger.client import AsyncClient, AsyncFillStream

_WAIT_S_MAX: Final = 120
_END: Final = object()
# Where a process has two loops, each is woken for what the other one has read, and gRPC says that there is nothing.
POLLER: Final = "Exception in callback PollerCompletionQueue"


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._complaints: list[str] = []
        self._loop.set_exception_handler(lambda _, context: self._complain(context["message"]))
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop")
        self._thread.start()

    def _complain(self, message: str) -> None:
        if POLLER not in message:
            self._complaints.append(message)

    def run(self, waits: Awaitable[Any]) -> Any:
        """Return what a coroutine returns. A callback that runs in the loop gets the coroutine itself, to return it."""
        if threading.current_thread() is self._thread:
            return waits

        async def awaited() -> Any:
            return await waits

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(_WAIT_S_MAX)

    def check_idle(self) -> None:
        """Fail if a task is left, or the loop has complained, as of a task that was destroyed."""

        async def left() -> list[str]:
            for _ in range(10):  # what was cancelled ends in the next turns
                await asyncio.sleep(0)
            return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        assert self.run(left()) == []
        assert self._complaints == []

    def close(self) -> None:
        """End the thread."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_S_MAX)
        self._loop.close()


class Driven:
    """Has the methods of Client, and calls those of AsyncClient."""

    def __init__(self, loop: Loop, address: str, channel: Callable[[], Any] | None, **options: Any) -> None:
        """`channel` makes one on the loop."""
        self._loop = loop

        async def made() -> AsyncClient:
            return AsyncClient(address, channel=channel() if channel else None, **options)

        self._driven: Any = loop.run(made())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driven, name)
        return partial(self._called, found) if callable(found) else found

    def _called(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        found = method(*arguments, **named)
        if isinstance(found, AsyncFillStream):
            return DrivenStream(self._loop, self._loop.run(found))
        if isinstance(found, AsyncIterator):
            return self._stepped(found)
        return self._loop.run(found) if isawaitable(found) else found

    def _stepped(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while (item := self._loop.run(anext(items, _END))) is not _END:
            yield item


class DrivenStream(Driven):
    """Has the methods of FillStream, and calls those of AsyncFillStream."""

    def __init__(self, loop: Loop, stream: AsyncFillStream) -> None:
        self._loop = loop
        self._driven = stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.run(self._driven.__aexit__(kind, error, at))
