"""A service as a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc

from ledger import private
from ledger.config import KNOBS
from ledger.store.postgres.dsn import VARIABLE
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.torture.processes import Processes

ROOT: Final = Path(__file__).resolve().parents[2]
WAIT_S_MAX: Final = 30
_LEAP: Final = struct.Struct("q")  # nanoseconds by which the wall clock of a service is wrong
_SERVE: Final = f"""
import mmap, struct, sys, time
from ledger.clock import WallClock
from ledger.__main__ import main
with open(sys.argv[1], "rb") as file:
    leap = mmap.mmap(file.fileno(), {_LEAP.size}, access=mmap.ACCESS_READ)
wall_ns, (_, boot_ns) = time.time_ns, WallClock.__init__.__defaults__
WallClock.__init__.__defaults__ = (lambda: wall_ns() + struct.unpack("{_LEAP.format}", leap)[0], boot_ns)
sys.exit(main(["serve", *sys.argv[2:]]))
"""


def options_of(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of `serve` that set knobs, for example --drain-ms 0 --no-projections."""
    for name, value in settings.items():
        flag = KNOBS[name].flag
        if isinstance(value, bool):
            yield flag if value else flag.replace("--", "--no-", 1)
        else:
            yield from (flag, str(value))


class Served:
    """A service as a process of its own, on a folder and a port that it keeps when it starts again."""

    def __init__(
        self,
        folder: Path,
        *,
        log: Path | None = None,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
        dsn: str = "",
        **settings: Any,
    ) -> None:
        """`folder` is that of its log, unless that is elsewhere, and of its PostgreSQL, unless there is a `dsn`.

        `settings` are of Config; no load balancer has to be told that it stops.
        `inside` is put before its command, for example to run it in another network, where it listens on `host`.
        """
        self.folder = folder
        self.log = log or folder / "service.log"
        self.postgres = Processes(folder)
        self._inside = inside
        self._dsn = dsn
        self._settings = {"drain_ms": 0, **settings}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"{host}:{free.getsockname()[1]}"
        self.channel = grpc.insecure_channel(self.address, [("grpc.max_reconnect_backoff_ms", 200)])
        self.queries = QueryServiceStub(self.channel)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        self.leap(0)
        place = () if self._dsn else ("--data", str(self.folder))
        arguments = (str(self._leap_file), *options_of(self._settings), "--listen", self.address, *place)
        with private.open_file(self.log, "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
                [*self._inside, sys.executable, "-c", _SERVE, *arguments],
                cwd=ROOT,
                env={**os.environ, VARIABLE: self._dsn},  # what `ps` does not show to everybody
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever plays with it, who then stops it in order
            )
        self.position("nobody")

    @property
    def pid(self) -> int:
        """Process id of the service."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the service has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def rss_mb(self) -> float:
        """Memory that the service has resident."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def kill(self) -> None:
        """As the kernel does when memory runs out: no farewell."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It hangs: its connections stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """It does not know that it stood still."""
        os.kill(self.pid, signal.SIGCONT)

    def leap(self, by_s: int) -> None:
        """Set its wall clock off by so many seconds, 0: right again."""
        with private.open_file(self._leap_file, "r+b" if self._leap_file.exists() else "wb") as file:
            file.write(_LEAP.pack(by_s * 10**9))

    @property
    def _leap_file(self) -> Path:
        return self.folder / f"service.{self.address}.leap"

    def end(self) -> int:
        """Ask it to stop, and return its exit code. Raises TimeoutExpired."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(WAIT_S_MAX)

    def stop(self) -> None:
        """In order; whatever is left of PostgreSQL then, by force."""
        self.channel.close()
        if self.running:
            self.go_on()
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.kill()
        if not self._dsn:
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(self.postgres.postmaster(), signal.SIGQUIT)

    def position(self, source: str) -> int:
        """The last number it has of a source. A channel may not have noticed yet that its service was killed."""
        stub, request = FillServiceStub(self.channel), GetSourcePositionRequest(source=source)
        deadline = time.monotonic() + WAIT_S_MAX
        while True:
            try:
                return int(stub.GetSourcePosition(request, wait_for_ready=True, timeout=WAIT_S_MAX).last_sequence)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:  # type: ignore[attr-defined]
                    raise
