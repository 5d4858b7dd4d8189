"""The services of the contract on a server: each RPC with the function that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from ledger.contract import SERVICES
from ledger.server.calls import Calls

Answer: TypeAlias = Callable[[Any], Any]  # a request to its response, or to an iterator of them; may raise RefusedError


def add_services(calls: Calls, answers: Mapping[str, Answer]) -> None:
    """Answer the RPCs of every service of which there are answers, by the names of the RPCs.

    A service has an answer of each of its RPCs, or of none: then somebody else adds it.
    """
    for service in SERVICES:
        names = {rpc.name for rpc in service.methods}
        if names.isdisjoint(answers):
            continue
        assert names <= answers.keys(), f"{service.name} lacks an answer of {', '.join(sorted(names - answers.keys()))}"
        handlers = {rpc.name: _handler(rpc, answers[rpc.name]) for rpc in service.methods}
        calls.add_registered_method_handlers(service.full_name, handlers)


def _handler(rpc: MethodDescriptor, answer: Answer) -> grpc.RpcMethodHandler[Any, Any]:
    """Return what calls an answer, which knows the caller by `ledger.caller`."""

    def behaviour(request: Any, _: grpc.ServicerContext) -> Any:
        return answer(request)

    reads, writes = GetMessageClass(rpc.input_type).FromString, GetMessageClass(rpc.output_type).SerializeToString
    if rpc.server_streaming:
        return grpc.unary_stream_rpc_method_handler(behaviour, reads, writes)
    return grpc.unary_unary_rpc_method_handler(behaviour, reads, writes)
