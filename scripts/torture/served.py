"""A service as a process of its own, to be killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc

from ledger import private
from ledger.store.postgres.dsn import VARIABLE
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from scripts.torture.processes import Processes

ROOT: Final = Path(__file__).resolve().parents[2]
WAIT_S_MAX: Final = 30
_LEAP: Final = struct.Struct("q")  # nanoseconds by which the wall clock of a service is wrong
_SERVE: Final = f"""
import dataclasses, json, mmap, pathlib, struct, sys, time
from ledger.__main__ import Config, serve
from ledger.clock import WallClock
from ledger.log_lines import log_on_stderr
from ledger.store.postgres.dsn import chosen
log_on_stderr()
with open(sys.argv[2], "rb") as file:
    leap = mmap.mmap(file.fileno(), {_LEAP.size}, access=mmap.ACCESS_READ)
wall_ns, (_, boot_ns) = time.time_ns, WallClock.__init__.__defaults__
WallClock.__init__.__defaults__ = (lambda: wall_ns() + struct.unpack("{_LEAP.format}", leap)[0], boot_ns)
dsn = chosen("", None)
folder = {{}} if dsn else {{"data": pathlib.Path(sys.argv[2]).parent}}
sys.exit(serve(dataclasses.replace(Config(), **json.loads(sys.argv[1]), **folder, dsn=dsn)))
"""


class Served:
    """A service as a process of its own, on a folder and a port that it keeps when it starts again."""

    def __init__(
        self,
        folder: Path,
        *,
        log: Path | None = None,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        """`folder` is that of its log, unless that is elsewhere, and of its PostgreSQL, unless `settings` has a `dsn`.

        `inside` is put before its command, for example to run it in another network, where it listens on `host`.
        """
        self.folder = folder
        self.log = log or folder / "service.log"
        self.postgres = Processes(folder)
        self._inside = inside
        self._settings = settings
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"{host}:{free.getsockname()[1]}"
        self.channel = grpc.insecure_channel(self.address, [("grpc.max_reconnect_backoff_ms", 200)])
        self.queries = QueryServiceStub(self.channel)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        arguments = ["-m", "ledger", "serve", "--listen", self.address, "--data", str(self.folder)]
        if self._settings:
            self.leap(0)
            settings = {name: value for name, value in self._settings.items() if name != "dsn"}
            arguments = ["-c", _SERVE, json.dumps({"listen": self.address, **settings}), str(self._leap_file)]
        with private.open_file(self.log, "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
                [*self._inside, sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, VARIABLE: self._settings.get("dsn", "")},  # what `ps` does not show to everybody
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
        """Set its wall clock off by so many seconds, 0: right again. Only a service that has settings feels it."""
        with private.open_file(self._leap_file, "r+b" if self._leap_file.exists() else "wb") as file:
            file.write(_LEAP.pack(by_s * 10**9))

    @property
    def _leap_file(self) -> Path:
        return self.folder / f"{self.address}.leap"

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
        if "dsn" not in self._settings:
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
