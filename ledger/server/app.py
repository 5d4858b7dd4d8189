"""The gRPC server: services, health, limits. Each call goes to its lane (lanes.py)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ledger.config import Config
from ledger.memory import Trimming
from ledger.server.calls import Around, Calls
from ledger.server.health import SERVICES, Health

_RECEIVING_S: Final = 0.5  # within which a message arrives that was being sent when the service stops
_CANCEL_S: Final = 5  # gRPC ends cancelled calls at once; once in many runs of the tests it never did
_FRAME_BYTES_MAX: Final = 2**24 - 1  # RFC 9113, 4.2

_log: Final = logging.getLogger("ledger")


class ListenError(Exception):
    """The server cannot listen on its address."""


class App:
    """A server that can drain: health says NOT_SERVING before running calls are asked to end."""

    def __init__(self, config: Config, around: Around | None = None) -> None:
        """`around` is asked once for each RPC, for a behaviour in place of its own."""
        self._config = config
        self.calls = Calls(config, around)
        self._trimming = Trimming(self.calls.decoding.under_way.large_released)
        self.health = Health()
        self.server = grpc.server(
            ThreadPoolExecutor(config.read_threads, "other"),  # of RPCs that nobody knows
            options=[
                ("grpc.so_reuseport", 0),  # on by default: two servers would share a port without a word
                ("grpc.max_receive_message_length", config.message_bytes_max),
                ("grpc.max_send_message_length", config.message_bytes_max),
                # What a connection holds of requests that nobody takes yet: gRPC alone goes to 80 MB a stream.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", config.lookahead_bytes),
                # In one piece what may come in one piece: 16 KB at a time, a stream of fills was a twentieth slower.
                ("grpc.http2.max_frame_size", min(config.lookahead_bytes, _FRAME_BYTES_MAX)),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.calls)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self.calls)
        self.server.add_generic_rpc_handlers((self.calls,))

    def listen(self) -> str:
        """Bind and start; return host:port. Raises ListenError."""
        host = self._config.listen.rpartition(":")[0]
        try:
            port = self.server.add_insecure_port(self._config.listen)
        except RuntimeError as error:
            raise ListenError(
                f"cannot listen on {self._config.listen}: is another service there? Choose --listen HOST:PORT"
            ) from error
        self.server.start()
        self._trimming.start()
        return f"{host}:{port}"

    def drain_and_stop(self, end_streams: Callable[[], None]) -> None:
        """Say NOT_SERVING, let load balancers see it, then end all calls; wait for gRPC for twice its grace at most.

        Calls that are worked on may finish within the grace; those that wait for their client end sooner.
        """
        self.health.stop()
        time.sleep(self._config.drain_ms / 1000)
        grace_s = self._config.stop_grace_ms / 1000
        stopped = self.server.stop(grace_s)
        end_streams()
        if not stopped.wait(min(_RECEIVING_S, grace_s)):
            self.calls.decoding.end_receiving()
        if not stopped.wait(2 * grace_s + _CANCEL_S):
            _log.warning("gRPC still has calls that it cannot end; going on without it")
        self.calls.lanes.stop()
        self._trimming.stop()
