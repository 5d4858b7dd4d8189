"""The commands of EvaluationService."""

from __future__ import annotations

from typing import Final

from ledger.domain import commands
from ledger.domain.events import PERIODIC, POST_TRIAL, DailyCloseRecorded, Recorded
from ledger.domain.instants import day_text
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.wire.fields import (
    Shape,
    amount,
    number,
    optional_id,
    optional_ids,
    optional_ns,
    required_digest,
    required_id,
    utc_day,
)
from ledger.wire.status import timestamp

COMPLETE_SOURCES_MAX: Final = 100
KINDS: Final = {0: PERIODIC, 1: PERIODIC, 2: POST_TRIAL}  # by number of the enum EvaluationKind


def record_daily_close(shape: Shape, request: pb.RecordDailyCloseRequest, _: int) -> commands.RecordDailyClose:
    """Read RecordDailyClose."""
    return commands.RecordDailyClose(
        asset=shape(required_id, request.asset, "asset"),
        currency=shape(optional_id, request.currency, "currency"),
        day=shape(utc_day, request.day, "day"),
        price=shape(amount, request.price, "price"),
        source=shape(required_id, request.source, "source"),
        source_sha256=shape(required_digest, request.source_sha256, "source_sha256"),
        restates=request.restates,
    )


def record_daily_close_response(recorded: Recorded) -> pb.RecordDailyCloseResponse:
    """Answer with the close."""
    return pb.RecordDailyCloseResponse(close=close_message(recorded))


def close_message(recorded: Recorded) -> pb.Close:
    """Return a daily close as the contract shows it, whatever came after it."""
    event = recorded.event
    assert isinstance(event, DailyCloseRecorded), recorded
    return pb.Close(
        asset=event.asset,
        day=day_text(event.day),
        currency=event.currency,
        price=event.price,
        source=event.source,
        source_sha256=event.source_sha256,
        position=recorded.position,
        recorded_time=timestamp(recorded.envelope.recorded_time_ns),
        restates=event.restates,
    )


def run_evaluation(shape: Shape, request: pb.RunEvaluationRequest, _: int) -> commands.RunEvaluation:
    """Read RunEvaluation."""
    return commands.RunEvaluation(
        programme_id=shape(optional_id, request.programme_id, "programme_id"),
        kind=KINDS.get(shape(number, request.kind, tuple(KINDS), "kind"), PERIODIC),
        instant_ns=shape(optional_ns, request, "instant"),
        read_position=request.read_position,
        complete_sources=shape(optional_ids, request.complete_sources, "complete_sources", COMPLETE_SOURCES_MAX),
    )
