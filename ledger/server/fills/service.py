"""FillService: RecordFills, StreamFills and GetSourcePosition, which engines call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.caller import Caller, caller
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.refusal import Reason
from ledger.domain.state.account import SourceState, evolve_source
from ledger.domain.streams import source_stream
from ledger.metrics.page import Readings
from ledger.server.calls import Calls
from ledger.server.fills.open_streams import Streams
from ledger.server.fills.read_requests import FillRequests
from ledger.server.fills.request_bytes import ReceivedRequest
from ledger.server.fills.stream import TakenAhead
from ledger.server.to_writer import ToWriter
from ledger.store.log import Log
from ledger.v1 import fill_service_pb2 as pb
from ledger.wire.fields import required_id, within
from ledger.wire.status import refuse, timestamp
from ledger.writing import messages

_HURRIES_S: Final = 2.0  # before the deadline of a stream: its last answers come as soon as those of other calls


class FillService:
    """Handlers of the engine's RPCs."""

    def __init__(self, to_writer: ToWriter, log: Log) -> None:
        self._to_writer = to_writer
        self._log = log
        self._streams = Streams(to_writer.config)
        self._requests = FillRequests(to_writer.config.fills_per_batch_max, to_writer.latest_ns)
        self._answers = _PlainAnswers(lambda answer: self._answer(0, answer))

    def stop(self) -> None:
        """Have all streams end, once the requests that they sent are answered; clients open them again elsewhere."""
        self._streams.end()

    def readings(self) -> Readings:
        """Return what metrics tell of requests of fills and of their streams."""
        return {
            "fee_ledger_fill_messages_total": self._requests.messages,
            "fee_ledger_fill_bytes_total": self._requests.bytes,
            "fee_ledger_fill_streams": self._streams.open,
            "fee_ledger_fill_streams_max": self._to_writer.config.streams_max,
        }

    def add_to(self, calls: Calls) -> None:
        """Have the calls of engines answered. Requests of fills come with their bytes."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        answers = pb.StreamFillsResponse.SerializeToString
        asked, position = pb.GetSourcePositionRequest.FromString, pb.GetSourcePositionResponse.SerializeToString
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "RecordFills": unary(self.RecordFills, ReceivedRequest.unary, None),
            "StreamFills": stream(self.StreamFills, ReceivedRequest.on_stream, answers),
            "GetSourcePosition": unary(self.GetSourcePosition, asked, position),
        }
        name = pb.DESCRIPTOR.services_by_name["FillService"].full_name
        calls.add_registered_method_handlers(name, handlers)

    def RecordFills(self, received: ReceivedRequest, _: object) -> bytes:
        answer = self._to_writer.submit(self._unread(received, caller()))
        assert isinstance(answer, messages.FillsTaken), answer
        if received.fees_wanted or answer.refused:
            return self._answer(received.fees_wanted, answer).SerializeToString()
        return self._answers.of(answer)

    def StreamFills(self, requests: Iterator[ReceivedRequest], context: Any) -> Iterator[pb.StreamFillsResponse]:
        with self._streams.one(context) as stream:
            ahead = TakenAhead(self._jobs(requests, caller()), self._to_writer, context, stream)
            for fees_wanted, answer in ahead.taken():
                with within("batch"):
                    response = self._answer(fees_wanted, self._to_writer.wait(answer))
                with stream.waiting_for_client():
                    yield pb.StreamFillsResponse(batch=response)

    def GetSourcePosition(self, request: pb.GetSourcePositionRequest, _: object) -> pb.GetSourcePositionResponse:
        source = required_id(request.source, "source")
        position = self._log.head().position
        last = self._log.last_of(source_stream(source))
        state = evolve_source(SourceState(source), last) if last else SourceState(source)
        return pb.GetSourcePositionResponse(
            ledger_id=self._to_writer.ledger_id,
            last_sequence=state.last_sequence,
            position=max(position, last.position if last else 0),
            complete_until=_optional_timestamp(state.complete_until_ns),
        )

    def _jobs(self, requests: Iterator[ReceivedRequest], who: Caller) -> Iterator[tuple[int, messages.UnreadFills]]:
        """Yield the number of fees wanted, and the job, of each request. Refuses another source than the first one."""
        source = ""
        for received in requests:
            batch = received.request
            if source and batch.source and batch.source != source:
                refuse(Reason.SOURCE_CHANGED, "batch.source", f"a stream is of one source, and this one of {source}")
            source = batch.source
            yield received.fees_wanted, self._unread(received, who)

    def _answer(self, fees_wanted: int, answer: messages.Answer) -> pb.RecordFillsResponse:
        assert isinstance(answer, messages.FillsTaken), answer
        response = pb.RecordFillsResponse(
            ledger_id=self._to_writer.ledger_id,
            position=answer.head.position,
            recorded_time=timestamp(answer.head.recorded_time_ns),
            recorded=answer.recorded,
            replayed=answer.replayed,
            source_sequence=answer.source_sequence,
            complete_until=_optional_timestamp(answer.complete_until_ns),
        )
        for index, refusal in answer.refused:
            response.refusals.add(index=index, reason=refusal.reason.value, field=refusal.field, message=refusal.detail)
        for index in range(fees_wanted):
            fee = response.fees.add()
            if index in answer.fees:
                amount, basis = answer.fees[index]
                fee.fee_amount = decimal_text(amount, basis.fee_decimals)
                fee.fee_currency = basis.fee_currency
                fee.fee_rate = rate_text(basis.rate_ppm)
        return response

    def _unread(self, received: ReceivedRequest, who: Caller) -> messages.UnreadFills:
        """Return the job of a request, which the writer reads together with all that wait beside it."""
        source = received.request.source
        line = f"source {source}" if source else f"caller {who.peer}"
        hurries = not received.streamed or who.left_s < _HURRIES_S
        return messages.UnreadFills(max(received.size, 1), line, received, self._requests.read, who, hurries)


class _PlainAnswers:
    """The bytes of answers without refusals and fees: callers that one commit answers alike get the same ones."""

    def __init__(self, make: Callable[[messages.FillsTaken], pb.RecordFillsResponse]) -> None:
        self._make = make
        self._last: tuple[tuple[object, ...], bytes] = ((), b"")  # what it says, and its bytes

    def of(self, answer: messages.FillsTaken) -> bytes:
        """Return the bytes of an answer; those of the last one are kept, whichever thread made it."""
        says = (answer.head, answer.recorded, answer.replayed, answer.source_sequence, answer.complete_until_ns)
        said, data = self._last
        if said != says:
            data = self._make(answer).SerializeToString()
            self._last = (says, data)
        return data


def _optional_timestamp(complete_until_ns: int) -> Timestamp | None:
    """Return an instant as a message; None for 0: the source never said one."""
    return timestamp(complete_until_ns) if complete_until_ns else None
