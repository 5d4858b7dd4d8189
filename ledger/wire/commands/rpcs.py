"""The RPCs that command, each with the functions that read its request and make its response, found by its name.

BanAccount is read by `ban_account` in the module of its service; `ban_account_response` makes its response out of what
was recorded, all but the receipt. An RPC without such a function answers with what its event has under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.contract import RPCS, is_command, snake_case
from ledger.domain.commands import Command
from ledger.domain.events import Recorded
from ledger.wire.commands import back_office, evaluations, members, programmes, rewards
from ledger.wire.fields import Shape
from ledger.wire.status import timestamp

# Read a request field by field; what says that something has happened says an instant of at most so many ns.
Read = Callable[[Shape, Any, int], Command]

_MODULES: Final[Mapping[str, ModuleType]] = {
    "CommandService": back_office,
    "MemberService": members,
    "RewardService": rewards,
    "ProgrammeService": programmes,
    "EvaluationService": evaluations,
}


class CommandRpc(NamedTuple):
    """An RPC that commands."""

    request: type[Message]
    read: Read
    respond: Callable[[Recorded], Any]  # makes its response out of the first event it recorded, but for the receipt


def command_rpc(rpc: MethodDescriptor, module: ModuleType) -> CommandRpc:
    """Return an RPC with its functions in a module; the one that reads its request must be there."""
    name = snake_case(rpc.name)
    read = getattr(module, name, None)
    assert read is not None, f"{module.__name__} has no function {name}, which reads what {rpc.full_name} takes"
    respond = getattr(module, f"{name}_response", partial(_by_names, GetMessageClass(rpc.output_type)))
    return CommandRpc(GetMessageClass(rpc.input_type), read, respond)


def _by_names(response: type[Message], recorded: Recorded) -> Message:
    """Return a response with the fields of the event that was recorded: `owner_id` of `owner_id`, a time of its ns."""
    found = response()
    for name, field in found.DESCRIPTOR.fields_by_name.items():
        if field.message_type is Timestamp.DESCRIPTOR:
            getattr(found, name).CopyFrom(timestamp(getattr(recorded.event, f"{name}_ns")))
        elif name != "receipt":
            setattr(found, name, getattr(recorded.event, name))
    return found


COMMANDS: Final[Mapping[str, CommandRpc]] = {
    name: command_rpc(rpc, _MODULES[rpc.containing_service.name]) for name, rpc in RPCS.items() if is_command(rpc)
}
