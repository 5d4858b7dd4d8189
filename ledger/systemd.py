"""systemd is told by datagrams (sd_notify) when the service serves, why it does not, that it lives, and that it stops.

Our own few lines: the packages that do this wait where nobody reads the socket, or are compiled against libsystemd.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import weakref
from collections.abc import MutableMapping
from typing import Final, Self

from ledger.masked import masked
from ledger.visible import visible

_log: Final = logging.getLogger(__name__)

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHDOG_PID: Final = "WATCHDOG_PID"
_STATUS_CHARACTERS_MAX: Final = 300


class Systemd:
    """The systemd that started this process, or nobody. To tell it something takes no time, and fails without a word.

    What it could not be told is told at the next look, so a socket that is full or gone for a while loses nothing.
    """

    def __init__(self, address: str = "", watchdog_s: float = math.inf) -> None:
        """`address` is a path, or an abstract name after an @; signs of life are half of `watchdog_s` apart."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._every_s = watchdog_s / 2
        self._alive_s = time.monotonic()  # when it was told last that this process lives
        self._ready = self._stopping = False  # whether it was told so
        self._state = ""
        self._socket: socket.socket | None = None

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Return the systemd that the environment names, and take it out: no process below this one speaks for it."""
        address = environment.pop(SOCKET, "")
        watchdog, pid = environment.pop(WATCHDOG, ""), environment.pop(_WATCHDOG_PID, "")
        if address and not (address.startswith(("/", "@")) and len(address) > 1):
            _log.warning("%s=%s is no path and no abstract name: systemd is told nothing", SOCKET, address)
            return cls()
        if pid not in ("", str(os.getpid())):
            return cls(address)
        if watchdog and not (watchdog.isascii() and watchdog.isdecimal() and int(watchdog)):
            _log.warning("%s=%s is no number of microseconds: systemd hears no sign of life", WATCHDOG, watchdog)
            return cls(address)
        return cls(address, int(watchdog) / 1e6 if watchdog else math.inf)

    def starts(self) -> None:
        """Tell that the service starts, which may take long: PostgreSQL recovers, a migration works."""
        self._tell(STATUS="starting")

    def looks(self, reads: str, writes: str, *, stands_by: bool, position: int) -> None:
        """Tell what health has found, if that is new, and that it goes on looking.

        `reads` and `writes` are the faults, empty where there is none. READY=1 follows the first look by which reads
        are served, and this process writes or stands by.
        """
        if not self._address or self._stopping:
            return
        state, now_s = _state(reads, writes, stands_by), time.monotonic()
        is_ready = self._ready or (not reads and (not writes or stands_by))
        is_due = now_s - self._alive_s >= self._every_s
        said = {"READY": "1"} if is_ready and not self._ready else {}
        if state != self._state:
            said["STATUS"] = f"{state}, since position {position}"
        if is_due:
            said["WATCHDOG"] = "1"
        if said and self._tell(**said):
            self._ready, self._state = is_ready, state
            self._alive_s = now_s if is_due else self._alive_s

    def stops(self) -> None:
        """Tell that the service stops. What health finds from now on is no news."""
        self._stopping = True
        self._tell(STOPPING="1", STATUS="stopping: finishing what is under way")

    def _tell(self, **said: str) -> bool:
        """Send a datagram of one line for each name; return whether it was taken, or nobody listens anyway."""
        if not self._address:
            return True
        lines = (f"{name}={visible(masked(text))[:_STATUS_CHARACTERS_MAX]}" for name, text in said.items())
        try:
            if self._socket is None:  # kept: signs of life go on where callers have left no file for another one
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                weakref.finalize(self, self._socket.close)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True


def _state(reads: str, writes: str, stands_by: bool) -> str:
    if reads:
        return f"serving nothing: {reads}"
    if not writes:
        return "writing the ledger"
    return "standing by, serving reads: another process writes" if stands_by else f"serving reads alone: {writes}"
