"""Fills in one call; `fill_stream` has those that an engine hands over one after the other."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.client.fill_window import FILLS_MAX
from ledger.client.generated import Generated
from ledger.client.plain import Time, Values, message, timestamp
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as fills_pb


class Fills(Generated):
    """The method that records fills given as plain values."""

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
