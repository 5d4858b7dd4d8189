"""The client: what the back office and a matching engine call, on top of the reads."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

from ledger.client.acknowledgement import Acknowledgement
from ledger.client.back_office import BackOffice
from ledger.client.calls import Calls
from ledger.client.channel import CHANNEL_OPTIONS
from ledger.client.evaluations import Evaluations
from ledger.client.fill_stream import FillStream
from ledger.client.fills import Fills
from ledger.client.members import Members
from ledger.client.oversight import Oversight
from ledger.client.plain import Time
from ledger.client.reads import Reads
from ledger.client.rewards import Rewards
from ledger.client.service_config import RETRY
from ledger.client.stream_state import HEARTBEAT_S, StreamState
from ledger.v1 import fill_service_pb2 as fills_pb


class Client(Fills, BackOffice, Members, Rewards, Oversight, Evaluations, Reads):
    """Talks to one ledger. Threads may share it. Close it, or use it in a `with`."""

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        *,
        actor: str = "",
        approver: str = "",
        ticket: str = "",
        reason: str = "",
        timeout_s: float = RETRY.timeout_s,
        connect_timeout_s: float | None = None,
        read_your_writes: bool = True,
        channel: grpc.Channel | None = None,
    ) -> None:
        """`connect_timeout_s` bounds the wait for a ledger that has never answered; `channel` is used in place of an
        own one and stays open: for TLS and interceptors."""
        self._own = None if channel is not None else grpc.insecure_channel(address, CHANNEL_OPTIONS)
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
        state = StreamState(
            origin,
            known + 1 if first_sequence is None else first_sequence,
            known_sequence=known,
            batch_fills=batch_fills,
            batch_ms=batch_ms,
            window_fills=window_fills,
            give_up_s=give_up_s,
            heartbeat_s=heartbeat_s,
            asks=complete_until is not None,
        )
        return FillStream(
            self._fill_service, state, on_ack=on_ack, on_position=self._wrote, complete_until=complete_until
        )
