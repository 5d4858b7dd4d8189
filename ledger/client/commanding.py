"""How the client sends every command: under one request_id, however often, with who asks and who approves."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar, cast

import grpc

from ledger.client.calls import Calls
from ledger.client.reads import Reads
from ledger.v1.command_pb2 import Authority

Response = TypeVar("Response")


class Command(TypedDict, total=False):
    """The arguments of every command beside its own fields; what is left out is as the Client says."""

    actor: str  # who asks: a pseudonymous id
    approver: str  # a second person who approved
    ticket: str  # reference to the case
    reason: str  # why, in free text
    request_id: str  # names the command for ever; default: a new one per call
    timeout_s: float | None


class Commanding(Reads):
    """The base of what commands."""

    def __init__(
        self, channel: grpc.Channel, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool
    ) -> None:
        """`authority` is by the field names of Authority; each command may say otherwise."""
        super().__init__(channel, call, read_your_writes=read_your_writes)
        self._authority = dict(authority)

    def _command(
        self,
        method: Callable[..., Response],
        request: Any,
        *,
        request_id: str = "",
        timeout_s: float | None = None,
        **authority: str,
    ) -> Response:
        """Send a command under one request_id, however often it takes."""
        self._sign(request, request_id, authority)
        response: Any = self._call(method, request, timeout_s)
        self._wrote(response.receipt.position)
        return cast("Response", response)

    def _sign(self, request: Any, request_id: str, authority: Mapping[str, str]) -> None:
        """Name a command for ever, and say who asks and who approves."""
        request.request_id = request_id or uuid.uuid4().hex
        request.authority.CopyFrom(Authority(**{**self._authority, **authority}))
