"""Subcommands that follow from the contract alone: one for each RPC that no subcommand written by hand calls.

NoteAccount is `note-account ACCOUNT-ID --code CODE`: the first field by position, a flag for each other one. Its help
is the comments of the contract; the example has each required field, by what its comment names "for example".
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from ledger.cli import documents
from ledger.cli.arguments import UINT32_MAX, UINT64_MAX, clocks, number, sha256, time_ns
from ledger.cli.printing import at, given, send, show
from ledger.cli.subcommands import Argument, Group, Options, argument
from ledger.client import Client
from ledger.client.generated import Generated
from ledger.contract import RPCS, is_command, snake_case, values_by_word
from ledger.v1.comments import COMMENTS

_BY_TOOLS: Final = ("GetProgramme", "PublishProgramme")  # `fee-ledger programme` calls them
_KINDS: Final[Mapping[int, dict[str, Any]]] = {
    FieldDescriptor.TYPE_UINT32: {"type": number(0, UINT32_MAX), "default": 0, "metavar": "N"},
    FieldDescriptor.TYPE_UINT64: {"type": number(0, UINT64_MAX), "default": 0, "metavar": "N"},
    FieldDescriptor.TYPE_MESSAGE: {"type": time_ns, "metavar": "TIME"},
    FieldDescriptor.TYPE_BYTES: {"type": sha256, "default": b"", "metavar": "SHA256"},
    FieldDescriptor.TYPE_BOOL: {"action": "store_true"},
    FieldDescriptor.TYPE_STRING: {"default": ""},
}
_SUBJECTS: Final[Mapping[str, str]] = {"account_id": "alice", "symbol": "XRP_USDT"}  # of all examples
_EXAMPLES: Final[Mapping[int, str]] = {
    FieldDescriptor.TYPE_MESSAGE: "2024-10-01",
    FieldDescriptor.TYPE_BYTES: f"{'0' * 63}1",
}


class _Field(NamedTuple):
    """A field of a request, as the command line takes it."""

    descriptor: FieldDescriptor
    required: bool
    comment: str

    def argument(self, *, by_position: bool) -> Argument:
        """Return its argument."""
        name, settings = self.descriptor.name, dict(_KINDS.get(self.descriptor.type, {}))
        if enum := self.descriptor.enum_type:
            settings |= {"choices": [word.lower() for word in values_by_word(enum)], "default": "unspecified"}
        elif "action" not in settings:
            settings.setdefault("metavar", name.removesuffix("_id").replace("_", "-").upper())
        if self.descriptor.is_repeated:
            settings |= {"action": "append", "default": []}
        settings["help"] = _phrase(self.comment.removeprefix("Optional. ")).replace("%", "%%")
        if by_position:
            settings.pop("default", None)
            return argument(name, **settings)
        return argument(f"--{name.replace('_', '-')}", required=self.required, **settings)

    def example(self) -> str:
        """Return the value that an example has."""
        if self.descriptor.enum_type:
            return next(iter(values_by_word(self.descriptor.enum_type))).lower()
        said = re.search(r"for example ([\w.:-]*\w)", self.comment)
        return _SUBJECTS.get(self.descriptor.name) or (said[1] if said else _EXAMPLES.get(self.descriptor.type, "1"))


def derive(groups: Mapping[str, Group]) -> None:
    """Add the subcommands that are missing to the groups, which are by the names of their services."""
    declared = {rpc for group in groups.values() for one in group.subcommands for rpc in one.rpcs}
    for name, rpc in RPCS.items():
        if name not in declared and name not in _BY_TOOLS and _is_plain(rpc):
            _add(groups[rpc.containing_service.name], rpc)


def _is_plain(rpc: MethodDescriptor) -> bool:
    """Return True if a command line can say all that an RPC takes: a command, or a read by two clocks, of a subject."""
    fields = rpc.input_type.fields_by_name
    kind = "authority" if is_command(rpc) else "at"
    nested = {field.message_type.name for name, field in fields.items() if field.message_type and name != kind}
    is_said = kind in fields and nested <= {"Timestamp"} and "page_token" not in fields
    return is_said and hasattr(Generated, snake_case(rpc.name)) and _fields(rpc)[0].required


def _add(group: Group, rpc: MethodDescriptor) -> None:
    method = snake_case(rpc.name)
    subject, *others = _fields(rpc)
    flags = [f"--{field.descriptor.name.replace('_', '-')} {field.example()}" for field in others if field.required]
    line = " ".join([method.replace("_", "-"), subject.example(), *flags])
    arguments = [subject.argument(by_position=True), *(field.argument(by_position=False) for field in others)]

    def ask(ledger: Client, options: Options) -> None:
        first, values = given(options)
        answer = getattr(ledger, method)(first, **values, **at(options))
        show(options, answer, lambda found: documents.document(found).splitlines())

    if is_command(rpc):
        group.order(method.replace("_", "-"), _help(rpc), line, rpc=rpc.name, arguments=arguments)(send)
    else:
        more: dict[str, Any] = {"arguments": arguments, "parents": (clocks,)}
        group.ask(method.replace("_", "-"), _help(rpc), line, rpcs=(rpc.name,), **more)(ask)


def _fields(rpc: MethodDescriptor) -> list[_Field]:
    """Return the fields of a request that are its own, in the order in which the client's method takes them."""
    request, parameters = rpc.input_type, inspect.signature(getattr(Client, snake_case(rpc.name))).parameters
    return [
        _Field(request.fields_by_name[name], taken.default is taken.empty, COMMENTS[f"{request.name}.{name}"])
        for name, taken in parameters.items()
        if name in request.fields_by_name and name != "at"
    ]


def _help(rpc: MethodDescriptor) -> str:
    """Return the first clause of an RPC's comment, that of a command in the imperative: "close" for "Closes"."""
    clause = re.sub(r" \([RA][^)]*\)", "", re.split(r"[.:;](?: |$)", COMMENTS[rpc.name])[0])
    verb, _, rest = _phrase(clause).partition(" ")
    if is_command(rpc):
        return f"{re.sub('(?<=sh|ch|ss)es$|s$', '', re.sub('ies$', 'ys', verb))} {rest}"
    return rest if verb == "tells" else f"{verb} {rest}"


def _phrase(sentence: str) -> str:
    """Return a sentence as a phrase of a help: without its capital, but for that of an abbreviation, and its stop."""
    is_word = sentence[1:2].islower()
    return f"{sentence[:1].lower() if is_word else sentence[:1]}{sentence[1:]}".rstrip(".")
