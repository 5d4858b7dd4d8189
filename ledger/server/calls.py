"""The calls that the server answers: each runs in the lane of its RPC, its request is bounded, its end is a status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import grpc

from ledger.config import Config
from ledger.server.call import Call, hand_over
from ledger.server.call_counts import CallCounts, RpcCounts
from ledger.server.decoding import Decoding
from ledger.server.lanes import Behaviour, Handler, Lane, Lanes, in_pool
from ledger.wire.status import RefusedError, abort, end_call

Around: TypeAlias = Callable[[str, Behaviour], Behaviour]  # of an RPC, for example ledger.v1.QueryService/GetRates

_Requests: TypeAlias = Iterator[Any]
_Receive: TypeAlias = Callable[[_Requests, grpc.ServicerContext], Any]


class _Rpc(NamedTuple):
    """An RPC that is served, for example ledger.v1.QueryService/GetRates."""

    name: str
    lane: Lane
    counts: RpcCounts


class _Served(NamedTuple):
    """The handlers of an RPC: of calls for which its lane has room, and of the others."""

    lane: Lane
    answers: Handler
    refuses: Handler


class Calls(grpc.GenericRpcHandler):
    """Finds the handler of each call, where gRPC's own functions add those of a service as they do to a server.

    A call for which its lane has no room is refused before a thread takes it.
    """

    def __init__(self, config: Config, around: Around | None = None) -> None:
        """`around` is asked once for each RPC, for a behaviour in place of its own."""
        self._around = around
        self.decoding = Decoding(config)
        self.lanes = Lanes(config)
        self.counts = CallCounts()
        self._served: dict[str, _Served] = {}  # by the path of the RPC, with a slash before it

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Add the handlers of a service, by the names of its RPCs. KeyError: an RPC has no lane."""
        for name, handler in handlers.items():
            rpc = f"{service}/{name}"
            self._served[f"/{rpc}"] = self._handlers(_Rpc(rpc, self.lanes[rpc], self.counts.of(rpc)), handler)

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Do nothing: the same handlers come by their names."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the handler of a call, or one that refuses it; None if there is no such RPC."""
        served = self._served.get(handler_call_details.method)
        if served is None:
            return None
        hand_over()
        return served.refuses if served.lane.is_full else served.answers

    def _handlers(self, rpc: _Rpc, handler: Handler) -> _Served:
        """Return the handler with the threads of its lane and the bounds on its requests, and one that refuses calls.

        On the wire one request is a stream of one: as such it is received when a thread asks for it.
        """
        counted, reads, writes = self.decoding.counted, handler.request_deserializer, handler.response_serializer
        assert reads is not None, rpc
        behaviour = next(filter(None, (getattr(handler, kind) for kind in _KINDS)))
        if self._around is not None:
            behaviour = self._around(rpc.name, behaviour)
        if handler.request_streaming:
            receive = self.decoding.requests(rpc.name, reads)
        else:
            receive = self.decoding.only_request(rpc.name, reads)
        if handler.response_streaming:
            run, make = _stream, grpc.stream_stream_rpc_method_handler
        else:
            run, make = _unary, grpc.stream_unary_rpc_method_handler
        answers = make(in_pool(partial(run, rpc, receive, behaviour), rpc.lane.pool), counted, writes)
        # As a stream, so that a thread refuses a call without having received the request.
        refuses: Handler = grpc.stream_unary_rpc_method_handler(in_pool(partial(_refuse, rpc), rpc.lane.refuses))
        return _Served(rpc.lane, answers, refuses)


_KINDS = ("unary_unary", "unary_stream", "stream_stream")


def _unary(
    rpc: _Rpc, receive: _Receive, behaviour: Behaviour, requests: _Requests, context: grpc.ServicerContext
) -> Any:
    """Answer a call with one response."""
    call, answered = Call(rpc.name, rpc.lane, context), False
    try:
        response = behaviour(receive(requests, context), context)
        answered = True
        return response
    except Exception as error:
        end_call(context, error)
    finally:
        call.count(rpc.counts, context, answered=answered)


def _refuse(rpc: _Rpc, _: _Requests, context: grpc.ServicerContext) -> None:
    """End a call for which its lane has no room."""
    call = Call(rpc.name, rpc.lane, context)
    try:
        rpc.lane.refuse()
    except RefusedError as error:
        abort(context, error)
    finally:
        call.count(rpc.counts, context, answered=False)


def _stream(
    rpc: _Rpc, receive: _Receive, behaviour: Behaviour, requests: _Requests, context: grpc.ServicerContext
) -> Iterator[Any]:
    """Answer a call with any number of responses."""
    call, answered = Call(rpc.name, rpc.lane, context), False
    try:
        yield from behaviour(receive(requests, context), context)
        answered = True
    except Exception as error:
        end_call(context, error)
    finally:
        call.count(rpc.counts, context, answered=answered)
