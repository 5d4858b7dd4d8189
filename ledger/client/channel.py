"""How a client's connection is kept: it comes back soon after a break, and notices one that is dead."""

from __future__ import annotations

from typing import Final

_MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
# By default a channel looks for a restarted service less and less often, up to every two minutes.
CHANNEL_OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A stream notices within half a minute that the machine on the other side is gone.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
]
