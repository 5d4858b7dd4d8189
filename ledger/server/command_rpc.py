"""The answer of every RPC that commands: read the request, wait for the commit, tell what was recorded."""

from __future__ import annotations

import os
from typing import Any, Final

from ledger.contract import RPCS
from ledger.domain.commands import Request, request_sha256
from ledger.log_lines import about
from ledger.server.later_commits import LaterCommits
from ledger.server.preview import preview_message
from ledger.server.services import Answer
from ledger.server.to_writer import ToWriter
from ledger.v1 import command_pb2
from ledger.wire.commands.kept import kept
from ledger.wire.commands.rpcs import COMMANDS, CommandRpc
from ledger.wire.fields import REASON_TEXT_CHARACTERS_MAX, Shape, optional_id, required_id, text
from ledger.wire.status import timestamp
from ledger.writing.messages import Accepted, DecideCommand

_TICKET_CHARACTERS_MAX: Final = 200


class CommandRpcs:
    """Answers every RPC that commands: reads the request, waits for the commit, and answers from what was recorded."""

    def __init__(self, to_writer: ToWriter, later_commits: LaterCommits) -> None:
        self._to_writer = to_writer
        self._later_commits = later_commits

    def answers(self) -> dict[str, Answer]:
        """Return the answer of each RPC that commands and sends one response, by the name of the RPC."""
        return {name: self._answer(rpc) for name, rpc in COMMANDS.items() if not RPCS[name].server_streaming}

    def _answer(self, rpc: CommandRpc) -> Answer:
        def answer(request: Any) -> Any:
            with about(request_id=request.request_id):
                self._to_writer.check_clock()  # its times are compared with now
                accepted = self._to_writer.submit(self.read(rpc, request))
                assert isinstance(accepted, Accepted), accepted
                response = rpc.respond(accepted.recorded)
                response.receipt.CopyFrom(self.receipt(accepted))
                return response

        return answer

    def read(self, rpc: CommandRpc, request: Any) -> DecideCommand:
        """Return the command of a request, and who asks. Refuses with everything that is wrong with its shape."""
        with Shape() as shape:
            command = rpc.read(shape, request, self._to_writer.latest_ns())
            validate_only, request.validate_only = request.validate_only, False  # it is no part of the request
            return DecideCommand(request_of(shape, request), command, validate_only)

    def receipt(self, accepted: Accepted) -> command_pb2.Receipt:
        """Return the proof that a command was recorded, or what it would record."""
        if accepted.preview is not None:
            preview = preview_message(accepted.preview, self._later_commits.of(accepted.preview))
            return command_pb2.Receipt(ledger_id=self._to_writer.ledger_id, preview=preview)
        return command_pb2.Receipt(
            ledger_id=self._to_writer.ledger_id,
            position=accepted.recorded.position,
            recorded_time=timestamp(accepted.recorded.envelope.recorded_time_ns),
            replayed=accepted.replayed,
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
