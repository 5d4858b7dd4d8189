"""ProgrammeService: publishing versions, classes and rates of pairs. What it answers to reads is handed in."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, Protocol

from ledger import programmes
from ledger.domain import commands
from ledger.domain.commands import Command
from ledger.domain.events import PairClassAssigned, PairRatesSet, ProgrammePublished
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.money import PPM, mantissa
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme
from ledger.server.command_rpc import Asking, given
from ledger.server.to_writer import Handling
from ledger.v1 import programme_service_pb2 as pb
from ledger.v1 import programme_service_pb2_grpc as pb_grpc
from ledger.wire.fields import Shape, decimal, optional_id, required_id
from ledger.wire.status import refusals, refuse, refuse_all, timestamp

_PPM_SCALE: Final = 6


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
        def read(shape: Shape) -> Command:
            return commands.PublishProgramme(
                programme=shape(_programme, request.content),
                content=request.content,
                content_sha256=sha256(request.content.encode()).digest(),
                valid_from_ns=shape(given, request, "valid_from", None),
            )

        receipt, event = self.ask(request, context, read)
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
        def read(shape: Shape) -> Command:
            return commands.AssignPairClass(
                symbol=shape(required_id, request.symbol, "symbol"),
                pair_class=shape(required_id, request.pair_class, "pair_class"),
                valid_from_ns=shape(given, request, "valid_from", None),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
        assert isinstance(event, PairClassAssigned), event
        return pb.AssignPairClassResponse(receipt=receipt, valid_from=timestamp(event.valid_from_ns))

    def SetPairRates(self, request: pb.SetPairRatesRequest, context: Any) -> pb.SetPairRatesResponse:
        def read(shape: Shape) -> Command:
            return commands.SetPairRates(
                symbol=shape(required_id, request.symbol, "symbol"),
                maker_ppm=shape(_rate_ppm, request.maker_rate, "maker_rate"),
                taker_ppm=shape(_rate_ppm, request.taker_rate, "taker_rate"),
                valid_from_ns=shape(given, request, "valid_from", None),
                programme_id=shape(optional_id, request.programme_id, "programme_id"),
            )

        receipt, event = self.ask(request, context, read)
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


def _programme(content: str) -> Programme:
    """Return what a file says, or refuse with one line for each of its faults."""
    if not content:
        refuse(Reason.FIELD_REQUIRED, "content", "content is required")
    size = len(content.encode())
    if size > programmes.BYTES_MAX:
        refuse(Reason.PROGRAMME_TOO_LARGE, "content", f"{size:,} bytes, at most {programmes.BYTES_MAX:,}")
    faults = programmes.faults(content)
    if faults:
        refuse_all([Refusal(Reason.PROGRAMME_INVALID, "content", str(fault)) for fault in faults])
    return programmes.parse(content)


def _rate_ppm(value: str, field: str) -> int | None:
    """A decimal fraction as whole ppm; empty: none."""
    if not value:
        return None
    ppm = mantissa(decimal(value, field), _PPM_SCALE)
    if ppm is None or abs(ppm) >= PPM:
        refuse(Reason.RATE_OUT_OF_RANGE, field, f"{value} is not a fraction between -1 and 1 in whole ppm")
    return ppm
