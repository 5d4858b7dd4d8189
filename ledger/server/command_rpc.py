"""The steps of every RPC that commands: read the request, wait for the commit, answer with receipt and event."""

from __future__ import annotations

import os
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from ledger.domain.commands import Request, request_sha256
from ledger.domain.events import Event
from ledger.server.to_writer import Handling
from ledger.v1 import command_pb2
from ledger.wire.commands.kept import kept
from ledger.wire.commands.reading import command_of
from ledger.wire.fields import REASON_TEXT_CHARACTERS_MAX, Shape, optional_id, required_id, text
from ledger.wire.status import refusals, timestamp
from ledger.writing.messages import Accepted, Ask

_TICKET_CHARACTERS_MAX: Final = 200


class Asking:
    """The base of services whose RPCs are commands."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def ask(self, request: Message, context: grpc.ServicerContext) -> tuple[command_pb2.Receipt, Event]:
        """The receipt and the first event of a command, or the end of the call with a status."""
        with refusals(context):
            self._handling.check_clock()  # its times are compared with now
            answer = self._handling.submit(self.asked(request))
            assert isinstance(answer, Accepted), answer
            return self.receipt(answer), answer.recorded.event
        raise AssertionError("refusals end the call")

    def asked(self, request: Message) -> Ask:
        """A command and who asks, or the end of the call with everything that is wrong."""
        with Shape() as shape:
            return Ask(request_of(shape, request), command_of(shape, request, self._handling.latest_ns()))
        raise AssertionError("faults end the call")

    def receipt(self, answer: Accepted) -> command_pb2.Receipt:
        """Proof that a command was recorded."""
        return command_pb2.Receipt(
            ledger_id=self._handling.ledger_id,
            position=answer.recorded.position,
            recorded_time=timestamp(answer.recorded.envelope.recorded_time_ns),
            replayed=answer.replayed,
        )


def request_of(shape: Shape, request: Any) -> Request:
    """Return who asks, and what is kept of the request; `shape` takes what is wrong."""
    authority, message, body = request.authority, request.DESCRIPTOR.full_name, kept(request)
    return Request(
        request_id=shape(required_id, request.request_id, "request_id"),
        sha256=request_sha256(message, body),
        actor=shape(optional_id, authority.actor, "authority.actor"),
        approver=shape(optional_id, authority.approver, "authority.approver"),
        ticket=shape(text, authority.ticket, "authority.ticket", _TICKET_CHARACTERS_MAX),
        reason=shape(text, authority.reason, "authority.reason", REASON_TEXT_CHARACTERS_MAX),
        reason_salt=os.urandom(16),
        message=message,
        body=body,
        sha256_of_all=request_sha256(message, request.SerializeToString(deterministic=True)),
    )
