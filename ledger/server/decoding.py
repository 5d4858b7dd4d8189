"""From bytes to requests, for every RPC in one place: bounded by size and count before a message is built of them."""

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
from ledger.server.receiving import Receiving
from ledger.wire.list_bounds import ListBounds
from ledger.wire.status import RefusedError, abort, refusals, refuse

_log: Final = logging.getLogger(__name__)

_TOO_MANY: Final = object()  # in place of a message for which there was no room


class Decoding(grpc.ServerInterceptor):
    """Has handlers called with requests that were counted first, and decoded in the thread of the handler.

    gRPC decodes in the one thread that takes messages off the wire, whatever comes of it, and answers INTERNAL with a
    traceback in the log to bytes that are none. Here that thread only counts bytes. They belong to the request for as
    long as somebody keeps them.
    """

    def __init__(self, config: Config) -> None:
        self._entries_max = config.fills_per_batch_max
        self.receiving = Receiving(config.receiving_max)
        self.under_way = BytesUnderWay(config.request_bytes_max)
        self._handlers: dict[str, Any] = {}
        self._unreadable = Seldom(_log)

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """The handler of an RPC; gRPC calls this for each call."""
        method = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            handler = continuation(handler_call_details)
            if handler is not None:  # otherwise nobody knows the RPC, and its name could be any
                handler = self._handlers[method] = self._bounded(method, handler)
        return handler

    def _bounded(self, method: str, handler: Any) -> Any:
        """The same handler behind the bounds; one that no contract describes, as a benchmark's, stays as it is."""
        try:
            request = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", ".")).input_type
        except KeyError:
            return handler
        decode = self._decode(request, handler.request_deserializer)
        serialize = handler.response_serializer
        if handler.request_streaming:
            behaviour = self._on_a_stream(handler.stream_stream, decode)
            return grpc.stream_stream_rpc_method_handler(behaviour, self._arrived, serialize)
        # On the wire one message is a stream of one: as such it is received when the handler asks for it.
        if handler.response_streaming:
            behaviour = self._alone(handler.unary_stream, decode)
            return grpc.stream_stream_rpc_method_handler(behaviour, self._arrived, serialize)
        return grpc.stream_unary_rpc_method_handler(self._alone(handler.unary_unary, decode), self._arrived, serialize)

    def _arrived(self, data: bytes) -> object:
        counted = self.under_way.taken(data)
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

    def _alone(self, behaviour: Callable[..., Any], decode: Callable[[Any], Any]) -> Callable[..., Any]:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            arrived = self.receiving.only_message(requests, context)
            with refusals(context):
                request = decode(arrived)
            return behaviour(request, context)

        return handle

    def _on_a_stream(self, behaviour: Callable[..., Any], decode: Callable[[Any], Any]) -> Callable[..., Any]:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from behaviour(self._requests(requests, decode, context), context)
            except RefusedError as error:  # of a service that is not ours, and knows no refusals
                abort(context, error)

        return handle

    def _requests(
        self, arriving: Iterator[Any], decode: Callable[[Any], Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """The requests of a stream: none is taken off the wire while there is no room for it."""
        while True:
            self.under_way.wait_for_room(context.is_active)
            try:
                arrived = next(arriving, None)
            except grpc.RpcError:  # the call is over: its client hung up
                return
            if arrived is None:
                return
            yield decode(arrived)
