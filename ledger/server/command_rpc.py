"""The steps of every RPC that commands: read the request, wait for the commit, answer with receipt and event."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.commands import Command, Request
from ledger.domain.events import Event
from ledger.server.to_writer import Handling
from ledger.v1 import command_pb2
from ledger.wire.fields import REASON_TEXT_CHARACTERS_MAX, Shape, optional_id, past_ns, required_id, text, time_ns
from ledger.wire.status import refusals, timestamp
from ledger.writing.messages import Accepted, Ask

_TICKET_CHARACTERS_MAX: Final = 200


class Asking:
    """The base of services whose RPCs are commands."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def past(self, request: Message, field: str) -> int | None:
        """A time of something that has happened; None: not given."""
        if not request.HasField(field):
            return None
        return past_ns(getattr(request, field), field, self._handling.latest_ns())

    def ask(
        self, request: Any, context: grpc.ServicerContext, read: Callable[[Shape], Command]
    ) -> tuple[command_pb2.Receipt, Event]:
        """The receipt and the first event of a command, or the end of the call with a status."""
        with refusals(context):
            self._handling.check_clock()  # its times are compared with now
            answer = self._handling.submit(asked(request, read))
            assert isinstance(answer, Accepted), answer
            return self.receipt(answer), answer.recorded.event
        raise AssertionError("refusals end the call")

    def receipt(self, answer: Accepted) -> command_pb2.Receipt:
        """Proof that a command was recorded."""
        return command_pb2.Receipt(
            ledger_id=self._handling.ledger_id,
            position=answer.recorded.position,
            recorded_time=timestamp(answer.recorded.envelope.recorded_time_ns),
            replayed=answer.replayed,
        )


def asked(request: Any, read: Callable[[Shape], Command]) -> Ask:
    """A command and who asks, or the end of the call with everything that is wrong."""
    with Shape() as shape:
        return Ask(_request(shape, request), read(shape))
    raise AssertionError("faults end the call")


def _request(shape: Shape, request: Any) -> Request:
    """Who asks. The hash is of the RPC and its body, as this release serialises it, deterministically."""
    authority = request.authority
    return Request(
        request_id=shape(required_id, request.request_id, "request_id"),
        sha256=hashlib.sha256(
            request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
        ).digest(),
        actor=shape(optional_id, authority.actor, "authority.actor"),
        approver=shape(optional_id, authority.approver, "authority.approver"),
        ticket=shape(text, authority.ticket, "authority.ticket", _TICKET_CHARACTERS_MAX),
        reason=shape(text, authority.reason, "authority.reason", REASON_TEXT_CHARACTERS_MAX),
        reason_salt=os.urandom(16),
    )


def given(request: Message, field: str, default: Any) -> Any:
    """A time field in ns, or the default where it is not set."""
    if not request.HasField(field):
        return default
    value: Timestamp = getattr(request, field)
    return time_ns(value, field)
