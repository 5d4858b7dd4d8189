"""What the contract says of each field of a request, REQUIRED or OPTIONAL, is what the service does without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import grpc
from google.api.field_behavior_pb2 import OPTIONAL, REQUIRED, field_behavior
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ledger.domain.refusal import Reason
from tests.conftest import Ledger, refusal
from tests.samples import symbol
from tests.server.bad_columns import GOOD as COLUMNS
from tests.server.calls import await_tables, calling, send
from tests.server.good_requests import METHODS, RPCS, a_new, good

# Required in a place where the message is optional elsewhere, as the comment of the field that holds it says.
REQUIRED_HERE: Final = {("StreamFills", "batch.source"), ("StreamFills", "batch.first_sequence")}
# In words of rows: without a byte for each fill there is no fill, and a malformed symbol is that of its fills.
NAMED_OTHERWISE: Final = {"columns.side": "fills", "columns.symbols.symbol": "fills.symbol"}


def fields(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Yield (path, field) of every field that a request may hold, also of those that hold others."""
    for field in message.fields:
        yield prefix + field.name, field
        if field.message_type is not None and field.message_type.full_name != "google.protobuf.Timestamp":
            yield from fields(field.message_type, f"{prefix}{field.name}.")


def behaviors(field: FieldDescriptor) -> list[int]:
    return list(field.GetOptions().Extensions[field_behavior])


def asked(behavior: int) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of the fields of all requests that are said to behave so."""
    for name, method in METHODS.items():
        for path, field in fields(method.input_type):
            here = REQUIRED if (name, path) in REQUIRED_HERE else behaviors(field)[0]
            if here == behavior:
                yield name, path


def without(ledger: Ledger, method: str, path: str) -> tuple[Reason, str] | None:
    """(reason, field) by which a good request is refused when a field is left out, or a fill of it; None: it is not.

    Fills come as rows, or as columns where it is rows or one of the columns that is left out.
    """
    values: dict[str, Any] = {"batch.source": a_new("source")} if method == "StreamFills" else {}
    if path.endswith("fills") or "columns." in path:
        batch = path.partition("fills")[0].partition("columns")[0]
        values |= {f"{batch}fills": [], **{f"{batch}columns.{name}": value for name, value in COLUMNS.items()}}
    request = good(method, values)
    *parents, name = path.split(".")
    holder = request
    for parent in parents:
        repeated = holder.DESCRIPTOR.fields_by_name[parent].is_repeated
        holder = getattr(holder, parent)[-1] if repeated else getattr(holder, parent)
    holder.ClearField(name)
    try:
        answer = calling(ledger, method)(request)
    except grpc.RpcError:
        found = refusal(calling(ledger, method), request)
        return Reason[found.reason], re.sub(r"\[\d+\]", "", found.field)
    answer = answer[-1].batch if method == "StreamFills" else answer
    refused = (Reason(each.reason) for each in getattr(answer, "refusals", ()) if path.endswith(f".{each.field}"))
    return next(((reason, path) for reason in refused if reason < 100), None)


def test_every_field_of_every_request_is_said_to_be_required_or_optional() -> None:
    told = {field.full_name: behaviors(field) for rpc in RPCS for _, field in fields(rpc.input_type)}
    assert [name for name, found in told.items() if found not in ([REQUIRED], [OPTIONAL])] == []


def test_a_request_without_a_required_field_is_refused_with_its_name(ledger: Ledger) -> None:
    """Where it holds others, with the name of one of these."""
    found = [(each, without(ledger, *each)) for each in asked(REQUIRED)]
    assert [(each, refused) for each, refused in found if refused is None or not names(refused[1], each[1])] == []


def names(field: str, path: str) -> bool:
    otherwise = (path.replace(one, other) for one, other in NAMED_OTHERWISE.items())
    return any(f"{field}.".startswith(f"{name}.") for name in (path, *otherwise))


def test_a_field_that_is_optional_may_be_left_out(ledger: Ledger) -> None:
    """What the state of the ledger makes of the rest is no matter here: its reasons are above 99."""
    send(ledger, symbol())
    send(ledger, good("RecordFills"))
    await_tables(ledger)
    found = [(each, without(ledger, *each)) for each in asked(OPTIONAL)]
    assert [(each, refused) for each, refused in found if refused and refused[0] < 100] == []
