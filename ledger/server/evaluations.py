"""EvaluationService: daily closes. What it answers to reads is handed in."""

from __future__ import annotations

from typing import Any, Protocol

from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.events import DailyCloseRecorded
from ledger.domain.instants import day_text
from ledger.server.asking import Asking
from ledger.server.handling import Handling
from ledger.shape import Shape, amount, optional_id, required_digest, required_id, utc_day
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import evaluation_service_pb2_grpc as pb_grpc
from ledger.wire import refusals


class EvaluationReads(Protocol):
    """What the read side answers."""

    def closes(self, request: pb.ListClosesRequest) -> pb.ListClosesResponse:
        """One page of closes."""


class EvaluationService(Asking, pb_grpc.EvaluationServiceServicer):
    """Handlers of the RPCs on closes and evaluations."""

    def __init__(self, handling: Handling, reads: EvaluationReads) -> None:
        super().__init__(handling)
        self._reads = reads

    def RecordDailyClose(self, request: pb.RecordDailyCloseRequest, context: Any) -> pb.RecordDailyCloseResponse:
        def read(shape: Shape) -> Command:
            return commands.RecordDailyClose(
                asset=shape(required_id, request.asset, "asset"),
                currency=shape(optional_id, request.currency, "currency"),
                day=shape(utc_day, request.day, "day"),
                price=shape(amount, request.price, "price"),
                source=shape(required_id, request.source, "source"),
                source_sha256=shape(required_digest, request.source_sha256, "source_sha256"),
                restates=request.restates,
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, DailyCloseRecorded), event
        close = pb.Close(
            asset=event.asset,
            day=day_text(event.day),
            currency=event.currency,
            price=event.price,
            source=event.source,
            source_sha256=event.source_sha256,
            position=receipt.position,
            recorded_time=receipt.recorded_time,
            restates=event.restates,
        )
        return pb.RecordDailyCloseResponse(receipt=receipt, close=close)

    def ListCloses(self, request: pb.ListClosesRequest, context: Any) -> pb.ListClosesResponse:
        with refusals(context):
            return self._reads.closes(request)
        raise AssertionError("refusals end the call")
