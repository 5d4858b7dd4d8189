"""ProgrammeService: publishing versions, classes and rates of pairs. What it answers to reads is handed in."""

from __future__ import annotations

from typing import Any, Protocol

from ledger.domain.events import PairClassAssigned, PairRatesSet, ProgrammePublished
from ledger.domain.instants import BEGINNING_NS
from ledger.server.command_rpc import Asking
from ledger.server.to_writer import Handling
from ledger.v1 import programme_service_pb2 as pb
from ledger.v1 import programme_service_pb2_grpc as pb_grpc
from ledger.wire.status import refusals, timestamp


class ProgrammeReads(Protocol):
    """Answers of the read side."""

    def version(self, request: pb.GetProgrammeRequest) -> pb.GetProgrammeResponse:
        """One version with its file."""

    def versions(self, request: pb.ListProgrammesRequest) -> pb.ListProgrammesResponse:
        """One page of versions."""

    def pairs(self, request: pb.ListPairsRequest) -> pb.ListPairsResponse:
        """One page of pairs."""


class ProgrammeService(Asking, pb_grpc.ProgrammeServiceServicer):
    """Handlers of the RPCs on programmes."""

    def __init__(self, handling: Handling, reads: ProgrammeReads) -> None:
        super().__init__(handling)
        self._reads = reads

    def PublishProgramme(self, request: pb.PublishProgrammeRequest, context: Any) -> pb.PublishProgrammeResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, ProgrammePublished), event
        version = pb.ProgrammeVersion(
            programme_id=event.programme_id,
            version=event.version,
            content_sha256=event.content_sha256.hex(),
            actor=request.authority.actor,
            approver=request.authority.approver,
            position=receipt.position,
            recorded_time=receipt.recorded_time,
        )
        if event.valid_from_ns != BEGINNING_NS:
            version.valid_from.CopyFrom(timestamp(event.valid_from_ns))
        return pb.PublishProgrammeResponse(receipt=receipt, programme=version)

    def AssignPairClass(self, request: pb.AssignPairClassRequest, context: Any) -> pb.AssignPairClassResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, PairClassAssigned), event
        return pb.AssignPairClassResponse(receipt=receipt, valid_from=timestamp(event.valid_from_ns))

    def SetPairRates(self, request: pb.SetPairRatesRequest, context: Any) -> pb.SetPairRatesResponse:
        receipt, event = self.ask(request, context)
        assert isinstance(event, PairRatesSet), event
        return pb.SetPairRatesResponse(receipt=receipt, valid_from=timestamp(event.valid_from_ns))

    def GetProgramme(self, request: pb.GetProgrammeRequest, context: Any) -> pb.GetProgrammeResponse:
        with refusals(context):
            return self._reads.version(request)
        raise AssertionError("refusals end the call")

    def ListProgrammes(self, request: pb.ListProgrammesRequest, context: Any) -> pb.ListProgrammesResponse:
        with refusals(context):
            return self._reads.versions(request)
        raise AssertionError("refusals end the call")

    def ListPairs(self, request: pb.ListPairsRequest, context: Any) -> pb.ListPairsResponse:
        with refusals(context):
            return self._reads.pairs(request)
        raise AssertionError("refusals end the call")
