"""FillService: the matching engine's door."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from ledger import jobs
from ledger.domain.fill_batch import FillBatch
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state import SourceState, evolve_source
from ledger.domain.streams import source_stream
from ledger.server.batch import read_batch, repeated_fill
from ledger.server.fill_columns import fill_at, read_columns
from ledger.server.handling import Handling
from ledger.server.streaming import Streams, TakenAhead
from ledger.shape import Shape, optional_id, required_id, within
from ledger.store.log import Log
from ledger.v1 import fill_pb2
from ledger.v1 import fill_service_pb2 as pb
from ledger.v1 import fill_service_pb2_grpc as pb_grpc
from ledger.wire import RefusedError, refusals, refuse, refuse_all, timestamp


class FillService(pb_grpc.FillServiceServicer):
    """Handlers of the engine's RPCs."""

    def __init__(self, handling: Handling, log: Log) -> None:
        self._handling = handling
        self._log = log
        self._streams = Streams(handling.config.streams_max)

    def RecordFills(self, request: pb.RecordFillsRequest, context: Any) -> pb.RecordFillsResponse:
        with refusals(context):
            answer = self._handling.submit(self._unread(request), context)
            return self._answer(request, answer)
        raise AssertionError("refusals end the call")

    def StreamFills(self, requests: Iterator[pb.StreamFillsRequest], context: Any) -> Iterator[pb.StreamFillsResponse]:
        with refusals(context), self._streams.one():
            ahead = TakenAhead(self._jobs(requests), self._handling, context)
            for batch, answer in ahead.taken():
                with within("batch"):
                    response = self._answer(batch, self._handling.wait(answer, context))
                yield pb.StreamFillsResponse(batch=response)

    def GetSourcePosition(self, request: pb.GetSourcePositionRequest, context: Any) -> pb.GetSourcePositionResponse:
        with refusals(context):
            source = required_id(request.source, "source")
            position = self._log.head().position
            last = self._log.last_of(source_stream(source))
            state = evolve_source(SourceState(source), last) if last else SourceState(source)
            return pb.GetSourcePositionResponse(
                ledger_id=self._handling.ledger_id,
                last_sequence=state.last_sequence,
                position=max(position, last.position if last else 0),
            )
        raise AssertionError("refusals end the call")

    def _jobs(self, requests: Iterator[pb.StreamFillsRequest]) -> Iterator[tuple[pb.RecordFillsRequest, jobs.Unread]]:
        """What a stream asks, request by request; refuses those of another source than the first."""
        source = ""
        for request in requests:
            batch = request.batch
            if source and batch.source and batch.source != source:
                refuse(Reason.SOURCE_CHANGED, "batch.source", f"a stream is of one source, and this one of {source}")
            source = batch.source
            yield batch, self._unread(batch, required_id)

    def _answer(self, request: pb.RecordFillsRequest, answer: jobs.Answer) -> pb.RecordFillsResponse:
        if isinstance(answer, jobs.Refused):
            raise RefusedError(answer.refusal)
        assert isinstance(answer, jobs.FillsTaken), answer
        response = pb.RecordFillsResponse(
            ledger_id=self._handling.ledger_id,
            position=answer.head.position,
            recorded_time=timestamp(answer.head.recorded_time_ns),
            recorded=answer.recorded,
            replayed=answer.replayed,
            source_sequence=answer.source_sequence,
        )
        for index, refusal in answer.refused:
            response.refusals.add(index=index, reason=refusal.reason.value, field=refusal.field, message=refusal.detail)
        if request.include_fees:
            for index in range(_size(request)):
                fee = response.fees.add()
                if index in answer.fees:
                    amount, basis = answer.fees[index]
                    fee.fee_amount = decimal_text(amount, basis.fee_decimals)
                    fee.fee_currency = basis.fee_currency
                    fee.fee_rate = rate_text(basis.rate_ppm)
        return response

    def _unread(self, request: pb.RecordFillsRequest, source: Callable[[str, str], str] = optional_id) -> jobs.Unread:
        """A batch that the writer reads when its turn comes.

        Columns let go of the interpreter at every step: many threads that want it back get nothing done.
        """
        return jobs.Unread(max(_size(request), 1), partial(self._read, request, source))

    def _read(self, request: pb.RecordFillsRequest, source: Callable[[str, str], str]) -> jobs.RecordFills:
        """The shape of a batch, `source` that of its source. Without one a malformed fill refuses all of it."""
        with Shape() as shape:
            for field in ("venue", "actor"):
                shape(optional_id, getattr(request, field), field)
            shape(source, request.source, "source")
            shape(_check_sequence, request)
            shape(_check_size, request, self._handling.config.fills_per_batch_max)
            batch, malformed = shape(self._read_fills, request) or (None, [])
        return jobs.RecordFills(
            batch=batch,
            venue=request.venue,
            source=request.source,
            first_sequence=request.first_sequence,
            size=_size(request),
            fill_sha256=lambda index: _sha256(_fill(request, index)),
            malformed=malformed,
            with_fees=request.include_fees,
        )

    def _read_fills(self, request: pb.RecordFillsRequest) -> tuple[FillBatch | None, list[tuple[int, Refusal]]]:
        """The fills as columns, and with a source those that are malformed."""
        if not 0 < _size(request) <= self._handling.config.fills_per_batch_max:
            return None, []
        read = partial(read_batch, request.fills) if request.fills else partial(read_columns, request.columns)
        batch, malformed = read(
            venue=request.venue,
            source=request.source,
            first_sequence=request.first_sequence,
            actor=request.actor,
            latest_ns=self._handling.latest_ns(),
        )
        if request.source:
            return batch, malformed
        if malformed:
            refuse_all([replace(fault, field=f"fills[{index}].{fault.field}") for index, fault in malformed])
        twice = repeated_fill(batch) if batch else None
        if twice is not None:
            detail = f"{_fill(request, twice).exec_id} stands twice for this account and day"
            refuse(Reason.FILL_TWICE_IN_BATCH, f"fills[{twice}].exec_id", detail)
        return batch, []


def _sha256(fill: fill_pb2.Fill) -> bytes:
    return hashlib.sha256(fill.SerializeToString(deterministic=True)).digest()


def _check_sequence(request: pb.RecordFillsRequest) -> None:
    if request.source and not request.first_sequence:
        refuse(Reason.SEQUENCE_MALFORMED, "first_sequence", "a source needs a first_sequence of at least 1")
    if request.first_sequence and not request.source:
        refuse(Reason.SEQUENCE_MALFORMED, "source", "a sequence needs a source")


def _check_size(request: pb.RecordFillsRequest, fills_max: int) -> None:
    if request.fills and request.HasField("columns"):
        refuse(Reason.COLUMN_MALFORMED, "columns", "fills come as rows or as columns, not both")
    if not _size(request):
        refuse(Reason.BATCH_EMPTY, "fills", "a batch has at least one fill")
    if _size(request) > fills_max:
        refuse(Reason.BATCH_TOO_LARGE, "fills", f"{_size(request)} fills, at most {fills_max}")


def _size(request: pb.RecordFillsRequest) -> int:
    """Fills of a batch, in whichever form."""
    return len(request.fills) or len(request.columns.side)


def _fill(request: pb.RecordFillsRequest, index: int) -> fill_pb2.Fill:
    return request.fills[index] if request.fills else fill_at(request.columns, index)
