"""Decodes requests, for every RPC in one place: size and count are bounded before a message is built of the bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.seldom import Seldom
from ledger.server.bytes_under_way import BytesUnderWay
from ledger.server.lanes import HEALTH, LANES, PAGES, PLANS, READS, WATCHES
from ledger.server.receiving import Receiving
from ledger.wire.list_bounds import ListBounds
from ledger.wire.status import RefusedError, abort, refuse

_log: Final = logging.getLogger(__name__)

_TOO_MANY: Final = object()  # in place of a message for which there was no room
_SLOW_S: Final = 5.0  # after which a message that is still coming in may be ended for those that wait,
_SLOW_SMALL_S: Final = 0.05  # and one of the RPCs whose requests are small: they are there with their headers
_SMALL: Final = {f"/{method}" for lane in (READS, PAGES, PLANS, HEALTH, WATCHES) for method in LANES[lane]}


class Decoding(grpc.ServerInterceptor):
    """Has handlers called with requests that were counted first, and decoded in the thread of the handler.

    gRPC decodes in the one thread that takes messages off the wire, and answers INTERNAL with a traceback in the log to
    bytes that are no message. Here that thread only counts bytes. They count for as long as somebody keeps the request.
    """

    def __init__(self, config: Config) -> None:
        self._entries_max = config.fills_per_batch_max
        # Who reads is not to wait while large messages come in: of the places half are theirs.
        self._small = Receiving(max(config.receiving_max // 2, 1), _SLOW_SMALL_S)
        self._large = Receiving(max(config.receiving_max - config.receiving_max // 2, 1), _SLOW_S)
        self.under_way = BytesUnderWay(config.request_bytes_max)
        self._handlers: dict[str, Any] = {}
        self._unreadable = Seldom(_log)

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Return the handler of an RPC: asked once of one that has a lane, by each call of another."""
        method = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            handler = continuation(handler_call_details)
            if handler is not None:  # otherwise nobody knows the RPC, and its name could be any
                handler = self._handlers[method] = self._bounded(method, handler)
        return handler

    def end_receiving(self) -> None:
        """End the calls whose message has not come: the service stops, and would wait for them."""
        self._small.end()
        self._large.end()

    def _bounded(self, method: str, handler: Any) -> Any:
        """Return the handler with the bounds before it; one that no contract describes, as a benchmark's, as it is."""
        try:
            request = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", ".")).input_type
        except KeyError:
            return handler
        decode = self._decode(request, handler.request_deserializer)
        serialize = handler.response_serializer
        if handler.request_streaming:
            behaviour = self._stream_of_requests(handler.stream_stream, decode)
            return grpc.stream_stream_rpc_method_handler(behaviour, self._counted, serialize)
        # On the wire one message is a stream of one: as such it is received when the handler asks for it.
        receiving = self._small if method in _SMALL else self._large
        if handler.response_streaming:
            behaviour = self._one_request(handler.unary_stream, decode, receiving)
            return grpc.stream_stream_rpc_method_handler(behaviour, self._counted, serialize)
        behaviour = self._one_request(handler.unary_unary, decode, receiving)
        return grpc.stream_unary_rpc_method_handler(behaviour, self._counted, serialize)

    def _counted(self, data: bytes) -> object:
        counted = self.under_way.count(data)
        return _TOO_MANY if counted is None else counted

    def _decode(self, request: Descriptor, decode: Callable[[bytes], Any]) -> Callable[[Any], Any]:
        bounds = ListBounds(request, self._entries_max)

        def decoded(arrived: Any) -> Any:
            if arrived is None:
                refuse(Reason.MESSAGE_MALFORMED, "", f"there is no {request.full_name}")
            if arrived is _TOO_MANY:
                refuse(Reason.QUEUE_FULL, "", "the requests under way have as many bytes as may be: send it later")
            bounds.check(arrived)
            try:
                return decode(arrived)
            except DecodeError:
                self._unreadable.warning("the bytes of a request were no %s", request.full_name)
                refuse(Reason.MESSAGE_MALFORMED, "", f"the bytes are no {request.full_name}")

        return decoded

    def _one_request(
        self, behaviour: Callable[..., Any], decode: Callable[[Any], Any], receiving: Receiving
    ) -> Callable[..., Any]:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            return behaviour(receiving.only_message(requests, context, decode), context)

        return handle

    def _stream_of_requests(self, behaviour: Callable[..., Any], decode: Callable[[Any], Any]) -> Callable[..., Any]:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from behaviour(self._requests(requests, decode, context), context)
            except RefusedError as error:  # of a service that is not ours, and knows no refusals
                abort(context, error)

        return handle

    def _requests(
        self, arriving: Iterator[Any], decode: Callable[[Any], Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Yield the requests of a stream: none is taken off the wire while there is no room for it."""
        while True:
            self.under_way.wait_for_room(context.is_active)
            try:
                arrived = next(arriving, None)
            except grpc.RpcError:  # the call is over: its client hung up
                return
            if arrived is None:
                return
            yield decode(arrived)
