"""A TCP proxy in front of PostgreSQL that plays a bad network: it freezes, and it cuts.

with Proxy(dsn) as proxy:
    ...                         # a service over proxy.dsn
    proxy.freeze()              # both sides stay connected, and nothing passes: as behind a dead switch
    proxy.hold_answers()        # what clients send passes, what PostgreSQL answers does not
    proxy.thaw()                # what was held back passes
    proxy.cut()                 # clients lose their connections; PostgreSQL does not hear of it
    proxy.cut(server=True)      # both sides lose them
"""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_BYTES: Final = 65_536
_LOOK_UP_S: Final = 0.05


class Proxy:
    """Forwards from a free port of this machine to the server of a DSN, TCP or Unix-domain; one thread each way."""

    def __init__(self, dsn: str) -> None:
        self._target = conninfo_to_dict(dsn)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = self._listening.getsockname()[1]
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=port, sslmode="disable")
        self._passes = threading.Event()
        self._passes.set()
        self._answers_pass = threading.Event()
        self._answers_pass.set()
        self._over = threading.Event()
        self._mutex = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._servers: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.thaw()
        self.cut(server=True)
        self._thread.join(5)
        self._listening.close()

    def freeze(self) -> None:
        """Let nothing pass any more, in either direction; new connections are accepted and hear nothing."""
        self._passes.clear()

    def hold_answers(self) -> None:
        """Let pass what clients send, and hold back what PostgreSQL answers."""
        self._answers_pass.clear()

    def thaw(self) -> None:
        """Let pass what was held back, and all that follows."""
        self._passes.set()
        self._answers_pass.set()

    def cut(self, *, server: bool = False) -> None:
        """End the connections of the clients; those to the server stay open without a word, unless it is told too."""
        with self._mutex:
            cut = [*self._clients, *(self._servers if server else ())]
            self._clients.clear()
            if server:
                self._servers.clear()
        for end in cut:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        self._listening.settimeout(_LOOK_UP_S)
        while not self._over.is_set():
            with suppress(TimeoutError):
                client, _ = self._listening.accept()
                client.settimeout(None)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if not self._passing():
            client.close()
            return
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        with self._mutex:
            self._clients.add(client)
            self._servers.add(server)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, sink, client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._target.get("host") or "127.0.0.1"), int(self._target.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _passing(self) -> bool:
        """Wait until something passes; return False if the proxy has ended meanwhile."""
        self._passes.wait()
        return not self._over.is_set()

    def _forward(
        self, source: socket.socket, sink: socket.socket, client: socket.socket, server: socket.socket
    ) -> None:
        """Until one side ends. A client that was cut off leaves its server alone, as a dead network does."""
        with suppress(OSError, ValueError), selectors.DefaultSelector() as ready:
            ready.register(source, selectors.EVENT_READ)
            while self._passing():
                if not ready.select(_LOOK_UP_S):
                    continue
                if not self._passing() or not (data := source.recv(_BYTES)):
                    break
                if source is server:
                    self._answers_pass.wait()
                if not self._passing():
                    break
                sink.sendall(data)
        with self._mutex:
            cut = client not in self._clients
            self._clients.discard(client)
            if not cut:
                self._servers.discard(server)
        if not cut:
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
