"""A budget for the bytes of requests that have arrived and are not yet answered: of all calls together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

SMALL_BYTES: Final = 4_096  # of a message that is not counted: all that streams can take ahead of them are few
_LARGE_BYTES: Final = 4 * 1024 * 1024  # of a message that leaves a hole in memory
_LOOK_UP_S: Final = 0.02  # between two looks for room


class BytesUnderWay:
    """Counts the bytes of messages, from their arrival until nobody keeps them."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._mutex = threading.RLock()  # bytes may be released anywhere, also while others are counted
        self._bytes = 0
        self._large_released = False

    def count(self, data: bytes) -> bytes | None:
        """Return the bytes of a message, which count while somebody keeps them; None if they are too many."""
        if len(data) <= SMALL_BYTES:
            return data
        with self._mutex:
            if self._bytes + len(data) > self._bytes_max:
                return None
            self._bytes += len(data)
        return _Counted(data, self)

    @property
    def bytes(self) -> int:
        """The bytes that count now."""
        return self._bytes

    def wait_for_room(self, is_active: Callable[[], bool]) -> None:
        """Wait until half of the budget is free, or the call is over. Streams do before they read on."""
        while 2 * self._bytes > self._bytes_max and is_active():
            time.sleep(_LOOK_UP_S)

    def release(self, size: int) -> None:
        """Count so many bytes no longer."""
        with self._mutex:
            self._bytes -= size
        if size >= _LARGE_BYTES:
            self._large_released = True

    def large_released(self) -> bool:
        """Return True if a large message was released since the last call."""
        found, self._large_released = self._large_released, False
        return found


class _Counted(bytes):
    """Bytes that count while somebody has them."""

    _under_way: BytesUnderWay

    def __new__(cls, data: bytes, under_way: BytesUnderWay) -> _Counted:
        counted = super().__new__(cls, data)
        counted._under_way = under_way
        return counted

    def __del__(self) -> None:
        self._under_way.release(len(self))
