"""Threads that run calls: what gRPC asks of a pool, and no more.

The library's pool makes a future for each call, with a condition and four locks, for which nobody waits: that was a
tenth of the time of a small call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

_log: Final = logging.getLogger(__name__)

_Callback: TypeAlias = Callable[[Any], object]
_Run: TypeAlias = "tuple[Callable[..., object], tuple[Any, ...], _Ended]"


class CallPool(ThreadPoolExecutor):
    """Runs calls in threads that begin as they are needed. It is of the library's class because gRPC looks for that."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self.held = 0  # calls that it runs, or that wait for a thread
        self._name = name
        self._threads_max = threads
        self._begun = 0  # threads
        self._counts = threading.Lock()
        self._runs: SimpleQueue[_Run | None] = SimpleQueue()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        """Run a function in one of the threads; return what takes functions to be called when it has ended."""
        with self._counts:
            self.held += 1
            begins = self._begun < min(self.held, self._threads_max)
            self._begun += begins
        if begins:
            threading.Thread(target=self._work, name=f"{self._name}_{self._begun - 1}", daemon=True).start()
        ended = _Ended()
        self._runs.put((fn, args, ended))
        return ended

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have the threads end, each once it has no call to run."""
        for _ in range(self._begun):
            self._runs.put(None)
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            function, arguments, ended = run
            try:
                function(*arguments)
            except Exception:
                _log.exception("gRPC ran a call that ended in a defect")
            with self._counts:
                self.held -= 1
            ended.come()
            del run, function, arguments, ended  # nothing of a call is kept while the thread waits for the next one


class _Ended:
    """The end of a call: the functions that are called when it comes, or at once when it has come."""

    __slots__ = ("_callbacks", "_has_come")

    def __init__(self) -> None:
        self._callbacks: list[_Callback] = []
        self._has_come = False

    def add_done_callback(self, callback: _Callback) -> None:
        """Have a function called with this."""
        self._callbacks.append(callback)
        if self._has_come:
            self._call()

    def come(self) -> None:
        """Call the functions: the call has ended."""
        self._has_come = True
        self._call()

    def _call(self) -> None:
        """Call each function once: of two threads that are here at once, it is called by the one that takes it out."""
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:
                return
            callback(self)
