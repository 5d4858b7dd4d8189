"""EvaluationService: daily closes and evaluations. What it answers to reads is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ledger.domain.events import DailyCloseRecorded, EvaluationCompleted, EvaluationStarted
from ledger.domain.instants import day_text
from ledger.server.command_rpc import Asking
from ledger.server.evaluation_runner import EvaluationRunner
from ledger.server.to_writer import Handling
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import evaluation_service_pb2_grpc as pb_grpc
from ledger.wire.status import refusals


class EvaluationReads(Protocol):
    """Answers of the read side."""

    def closes(self, request: pb.ListClosesRequest) -> pb.ListClosesResponse:
        """One page of closes."""

    def planned(self, request: pb.PlanEvaluationRequest) -> Iterator[pb.PlanEvaluationResponse]:
        """Return what an evaluation would give."""

    def evaluation(self, request: pb.GetEvaluationRequest) -> pb.GetEvaluationResponse:
        """An evaluation and its runs."""

    def progress(
        self,
        started: EvaluationStarted,
        *,
        looked_at: int,
        total: int,
        blocked: Sequence[Any],
        completed: EvaluationCompleted | None,
    ) -> pb.RunEvaluationResponse:
        """How far a run is, but for its receipt."""


class EvaluationService(Asking, pb_grpc.EvaluationServiceServicer):
    """Handlers of the RPCs on closes and evaluations."""

    def __init__(self, handling: Handling, reads: EvaluationReads, runner: EvaluationRunner) -> None:
        super().__init__(handling)
        self._reads = reads
        self._runner = runner

    def RecordDailyClose(self, request: pb.RecordDailyCloseRequest, context: Any) -> pb.RecordDailyCloseResponse:
        receipt, event = self.ask(request, context)
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

    def PlanEvaluation(self, request: pb.PlanEvaluationRequest, context: Any) -> Iterator[pb.PlanEvaluationResponse]:
        with refusals(context):
            yield from self._reads.planned(request)

    def RunEvaluation(self, request: pb.RunEvaluationRequest, context: Any) -> Iterator[pb.RunEvaluationResponse]:
        with refusals(context):
            for progress in self._runner.run(self.asked(request)):
                started = progress.started.recorded.event
                assert isinstance(started, EvaluationStarted), started
                message = self._reads.progress(
                    started,
                    looked_at=progress.looked_at,
                    total=progress.total,
                    blocked=progress.blocked,
                    completed=progress.completed,
                )
                message.receipt.CopyFrom(self.receipt(progress.started))
                message.position = progress.position
                yield message

    def GetEvaluation(self, request: pb.GetEvaluationRequest, context: Any) -> pb.GetEvaluationResponse:
        with refusals(context):
            return self._reads.evaluation(request)
        raise AssertionError("refusals end the call")
