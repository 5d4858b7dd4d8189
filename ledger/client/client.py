"""The client: what the back office and a matching engine call, on top of the reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

import grpc

from ledger.client.calls import Calls
from ledger.client.evaluations import Evaluations
from ledger.client.fill_stream import HEARTBEAT_S, Acknowledgement, FillStream
from ledger.client.fill_window import FILLS_MAX
from ledger.client.members import Members
from ledger.client.oversight import Oversight
from ledger.client.plain import Time, Values, message, timestamp
from ledger.client.reads import Reads
from ledger.client.rewards import Rewards
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as fills_pb

_MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
# By default a channel looks for a restarted service less and less often, up to every two minutes.
_CHANNEL_OPTIONS: Final = [
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


class Client(Members, Rewards, Oversight, Evaluations, Reads):
    """Talks to one ledger. Threads may share it. Close it, or use it in a `with`."""

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        actor: str = "",
        approver: str = "",
        ticket: str = "",
        reason: str = "",
        timeout_s: float = 30,
        connect_timeout_s: float | None = None,
        read_your_writes: bool = True,
        channel: grpc.Channel | None = None,
    ) -> None:
        """`connect_timeout_s` bounds the wait for a ledger that has never answered; `channel` is used in place of an
        own one and stays open: for TLS and interceptors."""
        self._own = None if channel is not None else grpc.insecure_channel(address, _CHANNEL_OPTIONS)
        used = channel or self._own
        assert used is not None
        super().__init__(
            used,
            Calls(timeout_s, connect_timeout_s),
            read_your_writes=read_your_writes,
            authority={"actor": actor, "approver": approver, "ticket": ticket, "reason": reason},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Calls under way end with an error."""
        if self._own:
            self._own.close()

    def record_fills(
        self,
        fills: Iterable[fill_pb2.Fill | Values],
        *,
        source: str = "",
        first_sequence: int = 0,
        venue: str = "",
        include_fees: bool = False,
        actor: str | None = None,
        complete_until: Time | None = None,
        timeout_s: float | None = None,
    ) -> fills_pb.RecordFillsResponse:
        """Record and price at most 10,000 fills, given as messages or as mappings of their fields.

        OK means durable. What became of each fill is in the answer: look at its `refusals`, for a fill refused by the
        state of the ledger is no error here. An engine that numbers its fills gives `source` and the number of the
        first one. If an answer to it was lost and the batch sent again, refusals of the first time are `replayed` in
        the answer; with include_fees they have no fee. With `complete_until` a source says that it has sent every fill
        that traded before that instant; then there need be no fills. Raises ValueError for more than 10,000 fills.
        """
        batch = [message(fill_pb2.Fill, fill, f"fills[{index}]") for index, fill in enumerate(fills)]
        if len(batch) > FILLS_MAX:
            raise ValueError(f"{len(batch):,} fills in one call, at most {FILLS_MAX:,}: send them in several calls")
        request = fills_pb.RecordFillsRequest(
            venue=venue,
            source=source,
            first_sequence=first_sequence,
            fills=batch,
            include_fees=include_fees,
            actor=self._authority["actor"] if actor is None else actor,
            complete_until=timestamp(complete_until, "complete_until"),
        )
        response = self._call(self._fill_service.RecordFills, request, timeout_s)
        self._wrote(response.position)
        return response

    def fill_stream(
        self,
        source: str,
        *,
        first_sequence: int | None = None,
        venue: str = "",
        actor: str | None = None,
        with_fees: bool = False,
        batch_fills: int = 1_000,
        batch_ms: int = 5,
        window_fills: int = 50_000,
        give_up_s: float = 60,
        on_ack: Callable[[Acknowledgement], None] | None = None,
        complete_until: Callable[[], Time | None] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> FillStream:
        """A stream of a source's fills: hand them over and go on, and be told what is durable.

        Fills are numbered from `first_sequence`, by default from where the ledger stands. A batch goes out with
        `batch_fills`, or `batch_ms` after its first fill. While `window_fills` are not acknowledged, handing over
        waits; if the ledger acknowledges nothing for `give_up_s`, the stream ends. `on_ack` is called in order, in a
        thread of the stream; what it raises ends the stream.

        After `heartbeat_s` without a fill `complete_until` is asked, in a thread of the stream, up to when every fill
        has been handed over (None: not known); and what was last said is said again. Without it only
        `FillStream.complete_until` says so. Raises LedgerError where the ledger cannot say how far the source is.
        """
        known = self.get_source_position(source, timeout_s=give_up_s).last_sequence
        origin = fills_pb.RecordFillsRequest(
            venue=venue,
            source=source,
            include_fees=with_fees,
            actor=self._authority["actor"] if actor is None else actor,
        )
        return FillStream(
            self._fill_service,
            origin,
            known + 1 if first_sequence is None else first_sequence,
            known_sequence=known,
            batch_fills=batch_fills,
            batch_ms=batch_ms,
            window_fills=window_fills,
            give_up_s=give_up_s,
            on_ack=on_ack,
            on_position=self._wrote,
            complete_until=complete_until,
            heartbeat_s=heartbeat_s,
        )
