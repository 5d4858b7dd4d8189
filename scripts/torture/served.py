"""A service as a process of its own, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc

from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub

ROOT: Final = Path(__file__).resolve().parents[2]
WAIT_S_MAX: Final = 30


class Served:
    """A service as a process of its own, on a folder and a port that it keeps when it starts again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.channel = grpc.insecure_channel(self.address, [("grpc.max_reconnect_backoff_ms", 200)])
        self.queries = QueryServiceStub(self.channel)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        arguments = ["serve", "--listen", self.address, "--data", str(self.folder)]
        with (self.folder / "service.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
                [sys.executable, "-m", "ledger", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever plays with it, who then stops it in order
            )
        self.position("nobody")

    @property
    def pid(self) -> int:
        """Of the service."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the service has not ended by itself."""
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

    def kill_postgres(self) -> None:
        """PostgreSQL with all its backends, as if the machine were switched off under it."""
        postmaster = self.postmaster()
        for pid in (postmaster, *(pid for pid, _ in _children(postmaster))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def backends(self) -> list[int]:
        """Pids of the processes of PostgreSQL that serve somebody."""
        return [pid for pid, title in _children(self.postmaster()) if b"postgres: ledger " in title]

    def stop(self) -> None:
        """In order; whatever is left of PostgreSQL then, by force."""
        self.channel.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(WAIT_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.postmaster(), signal.SIGQUIT)

    def postmaster(self) -> int:
        """Its pid. Raises FileNotFoundError, or ProcessLookupError for one that is long gone."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        with suppress(FileNotFoundError):
            if str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise ProcessLookupError(pid)

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


def _children(parent: int) -> list[tuple[int, bytes]]:
    """(pid, command line) of the processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name of a program, in parentheses, may hold spaces.
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append((int(folder.name), (folder / "cmdline").read_bytes()))
    return found
