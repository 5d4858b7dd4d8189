"""The streams of fills that are open: `streams_max` at most, and idle ones make room for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
from ledger.wire.status import RefusedError, refuse

_MAKES_ROOM_S_MAX: Final = 2.0  # within which a stream that is to end has left


class OpenStream:
    """A stream, and since when it waits for its client: to send a request, or to read an answer."""

    def __init__(self, context: grpc.ServicerContext, idle_ms_max: int) -> None:
        self._context = context
        self._idle_ms_max = idle_ms_max
        self._since_s: float | None = None
        self._why_ending = ""
        self._is_sending = False

    @property
    def idle_ms(self) -> int:
        """The time that it has waited for its client, in ms; 0 while it does not wait."""
        since_s = self._since_s
        return 0 if since_s is None else int((time.monotonic() - since_s) * 1000)

    @property
    def is_ending(self) -> bool:
        """True once it is to end, as soon as all that it has taken is answered."""
        return bool(self._why_ending)

    @contextmanager
    def waiting_for_client(self, *, sending: bool = True) -> Iterator[None]:
        """Count the stream as idle during the block, which waits for the client; `sending`: to read an answer."""
        self._since_s, self._is_sending = time.monotonic(), sending
        try:
            yield
        finally:
            self._since_s = None

    def check_idle(self) -> None:
        """Refuse with STREAM_IDLE if the stream is to end, or has been idle for too long."""
        self.check_ending()
        if self.idle_ms >= self._idle_ms_max:
            self._end(f"nothing came for {self._idle_ms_max / 1000:g} s")

    def check_ending(self) -> None:
        """Refuse with STREAM_IDLE if `end` was called: requests that were taken are answered first."""
        if self._why_ending:
            self._end(self._why_ending)

    def end(self, why: str) -> None:
        """Have the stream end. One whose client reads no answers cannot be told why: its call is cancelled."""
        self._why_ending = why
        if self._is_sending:
            self._context.cancel()

    def _end(self, why: str) -> None:
        raise RefusedError(Refusal(Reason.STREAM_IDLE, "", f"{why}: open the stream again when there is a next fill"))


class Streams:
    """Lets `streams_max` streams be open at once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._changed = threading.Condition()
        self._open: list[OpenStream] = []

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[OpenStream]:
        """Open a stream until the block ends. Refuses with STREAMS_EXHAUSTED where no other is idle for long enough."""
        stream = OpenStream(context, self._config.stream_idle_ms_max)
        with self._changed:
            if not self._has_room() and not self._find_room():
                maximum = self._config.streams_max
                refuse(Reason.STREAMS_EXHAUSTED, "", f"{maximum} streams are open: close one, or use RecordFills")
            self._open.append(stream)
        try:
            yield stream
        finally:
            with self._changed:
                self._open.remove(stream)
                self._changed.notify_all()

    @property
    def open(self) -> int:
        """The number of those that are open."""
        return len(self._open)

    def end(self) -> None:
        """Have all streams end: the service stops."""
        with self._changed:
            for stream in self._open:
                stream.end("the service stops")

    def _has_room(self) -> bool:
        return len(self._open) < self._config.streams_max

    def _find_room(self) -> bool:
        """Have the stream that is idle for longest end, if that is long enough; return True if there is room then."""
        staying = (stream for stream in self._open if not stream.is_ending)
        idle = max(staying, key=lambda stream: stream.idle_ms, default=None)
        if idle is None or idle.idle_ms < self._config.stream_grace_ms:
            return False
        idle.end("all streams are open, and another engine needs one")
        return self._changed.wait_for(self._has_room, _MAKES_ROOM_S_MAX)
