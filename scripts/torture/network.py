"""A network namespace that a service runs in, joined to this machine by a cable that can be pulled. Needs root.

with Network() as network:
    ...                    # PostgreSQL listens on network.outer, a service runs by network.inside on network.inner
    network.freeze()       # the cable is pulled: packets are lost, and neither side hears of it
    network.thaw()         # it is plugged in again
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Final, Self

_BEGIN_S_MAX: Final = 10
_PROGRAMS: Final = ("unshare", "nsenter", "ip", "cat")


class Network:
    """Lives as long as the process that holds the namespace, which ends with this one: nothing is left behind.

    Raises OSError or SubprocessError where it may not be had.
    """

    def __init__(self) -> None:
        chance = random.SystemRandom()
        self._cable = f"lt{os.getpid() % 10**6}x{chance.randrange(10**4)}"  # at most 15 bytes
        net = f"10.{chance.randrange(64, 250)}.{chance.randrange(250)}.{4 * chance.randrange(62)}".rpartition(".")
        self.outer, self.inner = (f"{net[0]}.{int(net[2]) + host}" for host in (1, 2))

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S607
        self.inside = ("nsenter", "-t", str(self._holder.pid), "-n")
        ours, until_s = Path("/proc/self/ns/net").readlink(), time.monotonic() + _BEGIN_S_MAX
        while Path(f"/proc/{self._holder.pid}/ns/net").readlink() == ours:
            if self._holder.poll() is not None or time.monotonic() > until_s:
                raise OSError("this process may not have a network namespace")
            time.sleep(0.01)
        _run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        _run("ip", "addr", "add", f"{self.outer}/30", "dev", self._cable)
        _run("ip", "link", "set", self._cable, "up")
        _run(*self.inside, "ip", "addr", "add", f"{self.inner}/30", "dev", "eth0")
        _run(*self.inside, "ip", "link", "set", "lo", "up")
        self.thaw()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()

    def freeze(self) -> None:
        """Lose every packet, in either direction."""
        _run(*self.inside, "ip", "link", "set", "eth0", "down")

    def thaw(self) -> None:
        """Let pass all that follows."""
        _run(*self.inside, "ip", "link", "set", "eth0", "up")


@cache
def may_have_networks() -> bool:
    """Return whether this process may make namespaces and cables: it tries."""
    if os.geteuid() or not all(map(shutil.which, _PROGRAMS)):
        return False
    try:
        with Network():
            return True
    except (OSError, subprocess.SubprocessError):
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_BEGIN_S_MAX)  # noqa: S603 - no shell
