"""The commands of ProgrammeService."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ledger import programmes
from ledger.domain import commands
from ledger.domain.events import ProgrammePublished, Recorded
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.money import PPM, mantissa
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme
from ledger.v1 import programme_service_pb2 as pb
from ledger.wire.fields import Shape, decimal, optional_id, optional_ns, required_id
from ledger.wire.status import refuse, refuse_all, timestamp

_PPM_SCALE: Final = 6


def publish_programme(shape: Shape, request: pb.PublishProgrammeRequest, _: int) -> commands.PublishProgramme:
    """Read PublishProgramme."""
    return _published(shape(_programme, request.content), request, shape(optional_ns, request, "valid_from"))


def publish_programme_response(recorded: Recorded) -> pb.PublishProgrammeResponse:
    """Answer with the version, without its file."""
    event, envelope = recorded.event, recorded.envelope
    assert isinstance(event, ProgrammePublished), recorded
    version = pb.ProgrammeVersion(
        programme_id=event.programme_id,
        version=event.version,
        content_sha256=event.content_sha256.hex(),
        actor=envelope.actor,
        approver=envelope.approver,
        position=recorded.position,
        recorded_time=timestamp(envelope.recorded_time_ns),
    )
    if event.valid_from_ns != BEGINNING_NS:
        version.valid_from.CopyFrom(timestamp(event.valid_from_ns))
    return pb.PublishProgrammeResponse(programme=version)


def publish_kept(_: Shape, request: pb.PublishProgrammeRequest, __: int) -> commands.PublishProgramme:
    """Read a PublishProgramme that was recorded: what a file must be before it is published is not asked again."""
    return _published(programmes.parse(request.content), request, optional_ns(request, "valid_from"))


def assign_pair_class(shape: Shape, request: pb.AssignPairClassRequest, _: int) -> commands.AssignPairClass:
    """Read AssignPairClass."""
    return commands.AssignPairClass(
        symbol=shape(required_id, request.symbol, "symbol"),
        pair_class=shape(required_id, request.pair_class, "pair_class"),
        valid_from_ns=shape(optional_ns, request, "valid_from"),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def set_pair_rates(shape: Shape, request: pb.SetPairRatesRequest, _: int) -> commands.SetPairRates:
    """Read SetPairRates."""
    return commands.SetPairRates(
        symbol=shape(required_id, request.symbol, "symbol"),
        maker_ppm=shape(_rate_ppm, request.maker_rate, "maker_rate"),
        taker_ppm=shape(_rate_ppm, request.taker_rate, "taker_rate"),
        valid_from_ns=shape(optional_ns, request, "valid_from"),
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
    )


def _published(
    programme: Programme, request: pb.PublishProgrammeRequest, valid_from_ns: int | None
) -> commands.PublishProgramme:
    content = request.content
    return commands.PublishProgramme(programme, content, sha256(content.encode()).digest(), valid_from_ns)


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
