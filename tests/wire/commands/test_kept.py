"""What is kept of a request: all that it asked for, and nothing that may be erased."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from google.protobuf.descriptor import FieldDescriptor

from ledger.domain.commands import request_sha256
from ledger.domain.instants import LATEST_NS
from ledger.server.command_rpc import request_of
from ledger.wire.commands import members
from ledger.wire.commands.kept import ERASABLE, kept, read_kept
from ledger.wire.commands.rpcs import COMMANDS, command_rpc
from ledger.wire.fields import Shape
from tests.server.good_requests import METHODS, good, leaves

TEXTS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
ANYTHING: Final = "Alice Liddell, \u00e9"  # no id, number, digest, day or file
UNKNOWN: Final = b"\xfa\x3f\x05Alice"  # a field that this release does not know, number 1023


def name_of(request: Any) -> str:
    return str(request.DESCRIPTOR.full_name)


def paths_of_texts(method: str) -> Iterator[tuple[str, Any]]:
    """(path of a field that takes text or bytes, such a text)."""
    for path in leaves(METHODS[method].input_type):
        message, field = METHODS[method].input_type, None
        for name in path.split("."):
            field = message.fields_by_name[name]
            message = field.message_type
        assert field is not None
        if field.type in TEXTS:
            value = ANYTHING if field.type == FieldDescriptor.TYPE_STRING else ANYTHING.encode()
            yield path, [value] if field.is_repeated else value


def command_of(shape: Shape, request: Any) -> Any:
    """The command of a request, as its RPC reads it."""
    return COMMANDS[request.DESCRIPTOR.name.removesuffix("Request")].read(shape, request, LATEST_NS)


def faults(request: Any) -> list[str]:
    """The fields that are refused."""
    shape = Shape()
    request_of(shape, request)
    command_of(shape, request)
    return [fault.field for fault in shape.faults]


def test_every_rpc_that_commands_has_a_reader() -> None:
    asked = {name for name, method in METHODS.items() if "authority" in method.input_type.fields_by_name}
    assert set(COMMANDS) == asked
    assert all(rpc.request.DESCRIPTOR is METHODS[name].input_type for name, rpc in COMMANDS.items())


def test_an_rpc_that_nothing_reads_is_named_with_the_function_that_it_lacks() -> None:
    with pytest.raises(
        AssertionError, match=r"commands.members has no function lift_ban, which reads what .*\.LiftBan"
    ):
        command_rpc(METHODS["LiftBan"], members)


@pytest.mark.parametrize("method", COMMANDS)
def test_of_a_request_all_is_kept_but_what_may_be_erased(method: str) -> None:
    request = good(method)
    found = read_kept(name_of(request), kept(request))
    assert found.commands[0] == command_of(Shape(), request)
    by = request.authority
    assert (found.request_id, found.actor, found.approver) == (request.request_id, by.actor, by.approver)
    again = type(request).FromString(kept(request))
    for field in ERASABLE:
        assert getattr(by, field)
        assert not getattr(again.authority, field)
        setattr(again.authority, field, getattr(by, field))
    assert again == request


@pytest.mark.parametrize("method", COMMANDS)
def test_a_field_takes_free_text_only_if_it_may_be_erased(method: str) -> None:
    """A new text field must be read as an id, a digest or the like, or become one of `ERASABLE`."""
    assert faults(good(method)) == []
    takes_it = []
    for path, value in paths_of_texts(method):
        request = good(method, {path: value})
        if path.partition("[")[0] not in {field.partition("[")[0] for field in faults(request)}:
            takes_it.append(path)
    assert takes_it == [f"authority.{field}" for field in ERASABLE]


def test_an_authority_of_nothing_but_what_may_be_erased_is_none() -> None:
    request = good("LiftBan")
    request.ClearField("authority")
    without = kept(request)
    request.authority.reason = "because"
    assert kept(request) == without


def test_what_this_release_does_not_know_is_not_kept() -> None:
    request = good("LiftBan")
    newer = type(request).FromString(request.SerializeToString() + UNKNOWN)
    assert b"Alice" in newer.SerializeToString()
    assert kept(newer) == kept(request)


def test_a_request_without_what_may_be_erased_has_the_hash_that_0_1_recorded() -> None:
    request = good("LiftBan")
    for field in ERASABLE:
        request.authority.ClearField(field)
    found = request_of(Shape(), request)
    assert found.sha256 == found.sha256_of_all == request_sha256(name_of(request), request.SerializeToString())


def test_the_ledgers_own_evaluation_is_read_as_what_either_may_have_asked() -> None:
    request = good("RunEvaluation")
    assert len(read_kept(name_of(request), kept(request)).commands) == 1
    request.ClearField("authority")
    asked, automatic = read_kept(name_of(request), kept(request)).commands
    assert (getattr(asked, "automatic"), getattr(automatic, "automatic")) == (False, True)  # noqa: B009


BAN: Final = "ledger.v1.BanAccountRequest"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("", b""),
        ("ledger.v1.GetRatesRequest", b""),
        (BAN, b""),
        (BAN, b"\xff"),
        (BAN, kept(good("BanAccount")) + UNKNOWN),
        (BAN, good("BanAccount").SerializeToString()),
        (BAN, kept(good("BanAccount", {"account_id": "no id"}))),
    ],
    ids=["nothing", "no command", "empty", "no message", "an unknown field", "with its reason", "malformed"],
)
def test_bytes_that_were_never_kept_are_no_request(message: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"is no command|the bytes"):
        read_kept(message, body)
