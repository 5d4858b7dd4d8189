"""A Unix-domain socket in front of PostgreSQL that takes bytes slowly, and may keep the answers to itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_BYTES: Final = 16_384  # taken at once
_NAME: Final = ".s.PGSQL.5432"


class SlowSocket:
    """One connection at a time to the server of a DSN, through `dsn`; pauses and losses may be changed at any time."""

    def __init__(self, dsn: str, folder: Path) -> None:
        parameters = conninfo_to_dict(dsn)
        self.dsn = make_conninfo(dsn, host=str(folder), port=5432)
        self.pause_s = 0.0
        self.loses_answers = False
        self._server = f"{parameters['host']}/.s.PGSQL.{parameters.get('port', 5432)}"
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / _NAME))
        self.listening.listen()

    def serve(self) -> None:
        """Take connections until the socket is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                with client, socket.socket(socket.AF_UNIX) as server:
                    server.connect(self._server)
                    answers = threading.Thread(target=self._answer, args=(server, client))
                    answers.start()
                    self._ask(client, server)
                    answers.join()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_BYTES):
                time.sleep(self.pause_s)
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_BYTES):
                if self.loses_answers:
                    break
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def slow_socket(dsn: str, folder: Path) -> Iterator[SlowSocket]:
    """One that serves until the block ends."""
    slow = SlowSocket(dsn, folder)
    thread = threading.Thread(target=slow.serve, daemon=True)
    thread.start()
    try:
        yield slow
    finally:
        slow.listening.shutdown(socket.SHUT_RDWR)
        slow.listening.close()
        thread.join(10)
