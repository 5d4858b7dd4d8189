"""Threads that run calls: what gRPC asks of a pool, and no more.

The library's pool makes a future for each call, with a condition and four locks, for which nobody waits: that was a
tenth of the time of a small call.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from ledger.defects import Defects
from ledger.seldom import Seldom

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)
_defects: Final = Defects(_log)

_Callback: TypeAlias = Callable[[Any], object]
_Run: TypeAlias = "tuple[Callable[..., object], tuple[Any, ...], _Ended]"


class CallPool(ThreadPoolExecutor):
    """Runs calls, `threads` of them at once. It is of the library's class because gRPC looks for that.

    A thread may step aside: then another one runs calls in its place, and ends when it comes back.
    """

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self.held = 0  # calls that it runs, that have stepped aside, or that wait for a thread
        self._name = name
        self._workers_max = threads
        self._workers = 0  # threads that run calls, or wait for some; not those that have stepped aside
        self._aside = 0
        self._coming_back = deque[threading.Event]()
        self._numbers = itertools.count()
        self._counts = threading.Lock()
        self._runs: SimpleQueue[_Run | None] = SimpleQueue()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        """Run a function in one of the threads; return what takes functions to be called when it has ended."""
        with self._counts:
            self.held += 1
            begins = self._lacks_a_worker()
        if begins:
            self._begin()
        ended = _Ended()
        self._runs.put((fn, args, ended))
        return ended

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have the threads end, each once it has no call to run."""
        self._workers_max = 0
        for _ in range(self._workers):
            self._runs.put(None)
        super().shutdown(wait, cancel_futures=cancel_futures)

    @property
    def aside(self) -> int:
        """The number of calls that have stepped aside."""
        return self._aside

    @property
    def working(self) -> int:
        """The number of calls that have a thread, and have not stepped aside."""
        return min(self.held - self._aside, self._workers)

    def step_aside(self) -> None:
        """Let another thread run calls in place of this one, which waits for something."""
        with self._counts:
            self._workers -= 1
            self._aside += 1
            begins = self._lacks_a_worker()
        if begins:
            self._begin()

    def come_back(self, wait_s: float) -> None:
        """Go on with the call that has stepped aside: when a thread makes room for it, or after so many seconds."""
        comes = threading.Event()
        with self._counts:
            self._aside -= 1
            if self._workers < self._workers_max:
                self._workers += 1
                return
            self._coming_back.append(comes)
        self._runs.put(None)  # for a thread that waits for a call
        if not comes.wait(min(wait_s, threading.TIMEOUT_MAX)):
            with self._counts:
                if not comes.is_set():
                    self._workers += 1  # one too many, until a call has ended; first, as threads look unlocked
                    self._coming_back.remove(comes)

    def _lacks_a_worker(self) -> bool:
        """Count one worker more, and return True, where calls wait for one and it may be."""
        lacks = self._workers < min(self.held - self._aside, self._workers_max)
        self._workers += lacks
        return lacks

    def _begin(self) -> None:
        """Start the thread of a worker that is counted.

        Where the system gives none, the call waits for the next one that comes or ends: an exception here would end
        the thread of gRPC that hands calls over, and with it the server.
        """
        try:
            threading.Thread(target=self._work, name=f"{self._name}_{next(self._numbers)}", daemon=True).start()
        except RuntimeError as error:
            with self._counts:
                self._workers -= 1
            _failing.warning("a call waits, as the system gives no more threads: %s", error)

    def _work(self) -> None:
        while True:
            run = self._runs.get()
            if run is not None:
                self._run(*run)
                del run  # nothing of a call is kept while the thread waits for the next one
            if (self._coming_back or self._workers > self._workers_max) and self._makes_room():
                return

    def _run(self, function: Callable[..., object], arguments: tuple[Any, ...], ended: _Ended) -> None:
        try:
            function(*arguments)
        except Exception as error:
            _defects.tell(error, "a call could not be ended")
        with self._counts:
            self.held -= 1
        ended.come()

    def _makes_room(self) -> bool:
        """Return True if this worker is to end: another thread comes back in its place, or there are too many."""
        with self._counts:
            if self._coming_back and self._workers <= self._workers_max:
                self._coming_back.popleft().set()
                return True
            ends = self._workers > self._workers_max
            self._workers -= ends
            return ends


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
