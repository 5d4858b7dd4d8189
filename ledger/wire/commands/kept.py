"""The part of a request that its first event keeps, and how the audit reads that again.

A request is kept as the message that was sent, without what may be erased, and without fields that this release does
not know: they had no effect. Two requests that are kept alike are one request. The file of a PublishProgramme is kept
twice, in the event and in its request: the audit compares the two, and files are few and small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from ledger.domain.commands import Command, KeptRequest, RunEvaluation
from ledger.domain.instants import LATEST_NS
from ledger.wire.commands.programmes import publish_kept, publish_programme
from ledger.wire.commands.rpcs import COMMANDS, CommandRpc
from ledger.wire.fields import Shape
from ledger.wire.status import RefusedError

# The fields of the message Authority that may be erased: free text, in which anybody may write a name. Everything else
# that a command says is an id, a number, a time, a digest, or a programme file.
ERASABLE: Final = ("ticket", "reason")

_BY_REQUEST: Final[Mapping[str, CommandRpc]] = {rpc.request.DESCRIPTOR.full_name: rpc for rpc in COMMANDS.values()}


def kept(request: Message) -> bytes:
    """Return the bytes that are kept of a request, previewed or not.

    An authority of nothing but erasable fields is none.
    """
    copy: Any = type(request)()
    copy.CopyFrom(request)
    copy.DiscardUnknownFields()
    copy.ClearField("validate_only")  # the request that is previewed is the request that may follow
    for field in ERASABLE:
        copy.authority.ClearField(field)
    if not copy.authority.ByteSize():
        copy.ClearField("authority")
    found: bytes = copy.SerializeToString(deterministic=True)
    return found


def read_kept(message: str, body: bytes) -> KeptRequest:
    """Return what a kept request says. Raises ValueError if it is none."""
    if message not in _BY_REQUEST:
        raise ValueError(f"{message} is no command")
    rpc = _BY_REQUEST[message]
    read = publish_kept if rpc.read is publish_programme else rpc.read
    try:
        request: Any = rpc.request.FromString(body)
        with Shape() as shape:
            command = read(shape, request, LATEST_NS)
    except (DecodeError, RefusedError) as error:
        raise ValueError(f"the bytes are no {message}: {error}") from error
    if kept(request) != body:
        raise ValueError(f"the bytes say more than is kept of a {message}")
    by = request.authority
    by_nobody = not (by.actor or by.approver)
    return KeptRequest(request.request_id, by.actor, by.approver, _variants(command, by_nobody=by_nobody))


def _variants(command: Command, *, by_nobody: bool) -> tuple[Command, ...]:
    """Return what it may have asked: an evaluation that nobody stands behind may be the ledger's own."""
    if isinstance(command, RunEvaluation) and by_nobody:
        return (command, replace(command, automatic=True))
    return (command,)
