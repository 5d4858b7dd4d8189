"""FillService: the matching engine's door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.caller import Caller, caller
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.refusal import Reason
from ledger.domain.state.account import SourceState, evolve_source
from ledger.domain.streams import source_stream
from ledger.server.fills.open_streams import Streams
from ledger.server.fills.read_requests import FillRequests
from ledger.server.fills.request_bytes import Arrived
from ledger.server.fills.stream import TakenAhead
from ledger.server.to_writer import Handling
from ledger.store.log import Log
from ledger.v1 import fill_service_pb2 as pb
from ledger.wire.fields import required_id, within
from ledger.wire.status import refusals, refuse, timestamp
from ledger.writing import messages


class FillService:
    """Handlers of the engine's RPCs."""

    def __init__(self, handling: Handling, log: Log) -> None:
        self._handling = handling
        self._log = log
        self._streams = Streams(handling.config)
        self._requests = FillRequests(handling.config.fills_per_batch_max, handling.latest_ns)

    def stop(self) -> None:
        """Have all streams end: what they have sent is answered, and their clients open them elsewhere, or later."""
        self._streams.end()

    def add_to(self, server: grpc.Server) -> None:
        """Have a server call the handlers; requests of fills come with their bytes."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        answer, answers = pb.RecordFillsResponse.SerializeToString, pb.StreamFillsResponse.SerializeToString
        asked, position = pb.GetSourcePositionRequest.FromString, pb.GetSourcePositionResponse.SerializeToString
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "RecordFills": unary(self.RecordFills, Arrived.alone, answer),
            "StreamFills": stream(self.StreamFills, Arrived.on_a_stream, answers),
            "GetSourcePosition": unary(self.GetSourcePosition, asked, position),
        }
        name = pb.DESCRIPTOR.services_by_name["FillService"].full_name
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        server.add_registered_method_handlers(name, handlers)

    def RecordFills(self, arrived: Arrived, context: Any) -> pb.RecordFillsResponse:
        with refusals(context):
            answer = self._handling.submit(self._unread(arrived, caller()))
            return self._answer(arrived.fees_asked, answer)
        raise AssertionError("refusals end the call")

    def StreamFills(self, requests: Iterator[Arrived], context: Any) -> Iterator[pb.StreamFillsResponse]:
        with refusals(context), self._streams.one(context) as stream:
            ahead = TakenAhead(self._jobs(requests, caller()), self._handling, context, stream)
            for fees_asked, answer in ahead.taken():
                with within("batch"):
                    response = self._answer(fees_asked, self._handling.wait(answer))
                with stream.waiting_for_client():
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
                complete_until=_said(state.complete_until_ns),
            )
        raise AssertionError("refusals end the call")

    def _jobs(self, requests: Iterator[Arrived], who: Caller) -> Iterator[tuple[int, messages.Unread]]:
        """Yield the number of fees asked for, and the job; refuse requests of another source than the first."""
        source = ""
        for arrived in requests:
            batch = arrived.request
            if source and batch.source and batch.source != source:
                refuse(Reason.SOURCE_CHANGED, "batch.source", f"a stream is of one source, and this one of {source}")
            source = batch.source
            yield arrived.fees_asked, self._unread(arrived, who)

    def _answer(self, fees_asked: int, answer: messages.Answer) -> pb.RecordFillsResponse:
        assert isinstance(answer, messages.FillsTaken), answer
        response = pb.RecordFillsResponse(
            ledger_id=self._handling.ledger_id,
            position=answer.head.position,
            recorded_time=timestamp(answer.head.recorded_time_ns),
            recorded=answer.recorded,
            replayed=answer.replayed,
            source_sequence=answer.source_sequence,
            complete_until=_said(answer.complete_until_ns),
        )
        for index, refusal in answer.refused:
            response.refusals.add(index=index, reason=refusal.reason.value, field=refusal.field, message=refusal.detail)
        for index in range(fees_asked):
            fee = response.fees.add()
            if index in answer.fees:
                amount, basis = answer.fees[index]
                fee.fee_amount = decimal_text(amount, basis.fee_decimals)
                fee.fee_currency = basis.fee_currency
                fee.fee_rate = rate_text(basis.rate_ppm)
        return response

    def _unread(self, arrived: Arrived, who: Caller) -> messages.Unread:
        """Return what the writer reads when its turn comes, with all that waits beside it."""
        source = arrived.request.source
        line = f"source {source}" if source else f"caller {who.peer}"
        return messages.Unread(max(arrived.size, 1), line, arrived, self._requests.read)


def _said(complete_until_ns: int) -> Timestamp | None:
    """How far a source said it is, if it ever did."""
    return timestamp(complete_until_ns) if complete_until_ns else None
