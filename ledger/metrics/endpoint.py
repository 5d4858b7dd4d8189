"""The endpoint that Prometheus scrapes: GET /metrics over HTTP, and nothing else.

Few may ask at once, and each for a few seconds at most, so that nobody holds up the service by asking slowly or often.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

PATH: Final = "/metrics"
OFF: Final = "off"

_ASKING_MAX: Final = 4  # threads; who comes beyond that is told 503 and may come again
_ASKING_S_MAX: Final = 5.0
_LOOK_EVERY_S: Final = 0.5
_BUSY: Final = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

_log: Final = logging.getLogger(__name__)


class EndpointError(Exception):
    """The endpoint cannot listen: one line with the remedy."""


class Endpoint:
    """Listens on an address from the beginning, and answers from `begin` on. Ends with `stop`."""

    def __init__(self, listen: str) -> None:
        """Listen on HOST:PORT, on each address of the host. Raises EndpointError."""
        host, _, port = listen.rpartition(":")
        self._servers: list[_Server] = []
        failed: list[Exception] = []
        for family, where in _addresses(host, int(port), failed):
            try:
                at = int(port) or (self._servers[0].server_port if self._servers else 0)
                self._servers.append(_Server(family, (where, at)))
            except (OSError, OverflowError) as error:
                failed.append(error)
        if taken := _reason(failed, served=bool(self._servers)):
            self.stop()
            raise EndpointError(
                f"cannot serve metrics on {listen} ({taken}): is another service there? Choose --metrics-listen"
                f" HOST:PORT, or --metrics-listen {OFF}"
            )
        self.url = f"http://{host}:{self._servers[0].server_port}{PATH}"

    def begin(self, registry: CollectorRegistry) -> None:
        """Answer, in threads, with what a registry has."""
        for server in self._servers:
            server.set_app(_only_metrics(make_wsgi_app(registry)))
            server.begin()

    def stop(self) -> None:
        """End, without waiting for who still asks."""
        for server in self._servers:
            server.end()


class Listening(NamedTuple):
    """An endpoint, or None; `says` is a line that tells where it is, or why there is none, and `level` its weight."""

    endpoint: Endpoint | None
    says: str
    level: int = logging.INFO


def listen_for_metrics(listen: str, *, asked: bool) -> Listening:
    """Listen on HOST:PORT, or not at all where that is `off`.

    Raises EndpointError where an address that somebody `asked` for cannot be had; the line says it of another one.
    """
    if listen == OFF:
        return Listening(None, "metrics are off")
    try:
        endpoint = Endpoint(listen)
    except EndpointError as error:
        if asked:
            raise
        return Listening(None, f"metrics are off: {error}", logging.WARNING)
    return Listening(endpoint, f"metrics: {endpoint.url}")


def _addresses(host: str, port: int, failed: list[Exception]) -> list[tuple[socket.AddressFamily, str]]:
    """Return every address of a host name, as gRPC listens on each, too; none, and why, where there is no such host."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        failed.append(error)
        return []
    return list({(family, str(where[0])): None for family, _, _, _, where in found})


def _reason(failed: Sequence[Exception], *, served: bool) -> str:
    """Return why an address cannot be had; empty if it can, though not in each of the host's networks."""
    texts = [str(getattr(error, "strerror", None) or error) for error in failed]
    taken = [text for error, text in zip(failed, texts, strict=True) if getattr(error, "errno", 0) == errno.EADDRINUSE]
    return next(iter(taken or ([] if served else texts)), "")


class _Server(ThreadingMixIn, WSGIServer):
    """One socket: bounded threads, and connections that are cut off when they take too long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        self._asking: dict[socket.socket, float] = {}  # since when, by the monotonic clock
        self._begun = False
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind; the library would look the name of the host up, for seconds where there is no DNS."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def begin(self) -> None:
        """Serve in a thread."""
        self._begun = True
        threading.Thread(target=self.serve_forever, args=[_LOOK_EVERY_S], name="metrics", daemon=True).start()

    def end(self) -> None:
        """Close the socket."""
        if self._begun:  # the thread notices within half a second, and nobody waits for that
            threading.Thread(target=self.shutdown, daemon=True).start()
        self.server_close()

    def get_request(self) -> Any:
        """Accept a connection; one for which no file is left stays, and is not looked at again at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_LOOK_EVERY_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or refuse at once where too many ask."""
        if len(self._asking) >= _ASKING_MAX:
            with suppress(OSError):
                request.settimeout(0)
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        self._asking[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._asking.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off who has been asking for too long. Called every half a second."""
        overdue_s = time.monotonic() - _ASKING_S_MAX
        for request, since_s in list(self._asking.items()):
            if since_s < overdue_s:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)  # wakes its thread, which closes it

    def handle_error(self, *_: Any) -> None:
        """Say nothing of who hangs up; the library prints a traceback."""
        _log.debug("a scrape of metrics failed", exc_info=True)


class _Handler(WSGIRequestHandler):
    """Answers one request, and logs none."""

    timeout = _ASKING_S_MAX

    def address_string(self) -> str:
        """Return the address; the library may look up its name."""
        return str(self.client_address[0])

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def _only_metrics(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Return an application that answers on one path."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return application(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"metrics are at {PATH}\n".encode()]

    return answer
