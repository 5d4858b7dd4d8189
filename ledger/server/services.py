"""The services of the contract on a server: each RPC with the function that answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from ledger.contract import SERVICES
from ledger.wire.status import refusals

Answer: TypeAlias = Callable[[Any], Any]  # a request to its response, or to an iterator of them; may raise RefusedError


def add_services(server: grpc.Server, answers: Mapping[str, Answer]) -> None:
    """Have a server answer the RPCs of every service of which there are answers, by the names of the RPCs.

    A service has an answer of each of its RPCs, or of none: then somebody else adds it.
    """
    for service in SERVICES:
        names = {rpc.name for rpc in service.methods}
        if names.isdisjoint(answers):
            continue
        assert names <= answers.keys(), f"{service.name} lacks an answer of {', '.join(sorted(names - answers.keys()))}"
        handlers = {rpc.name: _handler(rpc, answers[rpc.name]) for rpc in service.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        server.add_registered_method_handlers(service.full_name, handlers)


def _handler(rpc: MethodDescriptor, answer: Answer) -> grpc.RpcMethodHandler[Any, Any]:
    """Return what calls an answer, and turns a refusal into the status of the call."""

    def unary(request: Any, context: grpc.ServicerContext) -> Any:
        with refusals(context):
            return answer(request)

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with refusals(context):
            yield from answer(request)

    reads, writes = GetMessageClass(rpc.input_type).FromString, GetMessageClass(rpc.output_type).SerializeToString
    if rpc.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, reads, writes)
    return grpc.unary_unary_rpc_method_handler(unary, reads, writes)
