"""The targets of the fuzz: each takes any bytes, and ends, or raises if the code does what it says it never does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from ledger import programmes
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Reason
from ledger.fills.batch import FillBatch
from ledger.programmes import ProgrammeError
from ledger.replay.compare import UNDECIDABLE
from ledger.server.fills.read_message_bytes import read_fill_bytes
from ledger.server.fills.read_messages import read_batch, shape_fault
from ledger.server.fills.request_bytes import ListedOrigin, origin_of
from ledger.store.codec.events import decode, encode, is_canonical
from ledger.store.codec.fills import decode_totals, exec_id_digests
from ledger.store.codec.run_front import totals_in
from ledger.v1 import events_pb2
from ledger.v1.command_service_pb2 import BanAccountRequest
from ledger.v1.evaluation_service_pb2 import RunEvaluationRequest
from ledger.v1.fill_pb2 import ChargedFee, Fill, TokenPayment
from ledger.v1.fill_service_pb2 import RecordFillsRequest, StreamFillsRequest
from ledger.v1.member_service_pb2 import RequestMatchRequest
from ledger.wire.list_bounds import ListBounds
from ledger.wire.status import RefusedError

_TESTS: Final = Path(__file__).resolve().parents[2] / "tests"
_GOLDEN: Final = _TESTS / "store" / "codec" / "golden"
_STORED: Final = _TESTS / "store" / "codec" / "stored_runs"
_CORPUS: Final = _TESTS / "fuzz" / "corpus"  # what once failed, by target; of events as in _GOLDEN
_TOPICS: Final = sorted(
    name
    for name, message in events_pb2.DESCRIPTOR.message_types_by_name.items()
    if "envelope" in message.fields_by_name
)


def events(data: bytes) -> None:
    """Stored bytes are an event, or end in what the audit knows; an event that is stored again is the same one."""
    if not data:
        return
    topic, state = _TOPICS[data[0] % len(_TOPICS)], data[1:]
    for read in _PARTIAL if topic == "VolumeRecorded" else ():
        with suppress(*UNDECIDABLE):
            read(state)
    try:
        found = decode(1, "any", 1, topic, state)
        is_canonical(topic, state)
        stored = encode(found.envelope, found.event)
    except UNDECIDABLE:
        return
    again = decode(1, "any", 1, *stored)
    assert again == found, "what is read back is another event"
    assert encode(again.envelope, again.event) == stored, "it is stored in other bytes"


_PARTIAL: Final[tuple[Callable[[bytes], Any], ...]] = (
    decode_totals,
    totals_in,
    lambda state: exec_id_digests([state]),
)

_LATEST_NS: Final = 1_800_000_000 * SECOND_NS
_ORIGIN: Final = RecordFillsRequest(venue="bitmart", source="engine", first_sequence=7)


def fills(data: bytes) -> None:
    """Fills read from their bytes are those read from their messages, or it is left to the messages to decide."""
    pieces = list(_pieces(data))
    if not pieces:
        return
    try:
        messages = [Fill.FromString(piece) for piece in pieces]
    except DecodeError:
        return
    read = read_fill_bytes(pieces, origin_of(_ORIGIN, len(pieces)), _LATEST_NS)
    if not isinstance(read, FillBatch):
        wrong = [place for place in np.flatnonzero(read) if shape_fault(messages[place], _LATEST_NS)]
        # Texts are looked at only once all else is ordinary.
        assert not wrong or not read.all(), f"fills {wrong} are refused one by one"
        return
    batch, refused = read_batch(messages, ListedOrigin.of([_ORIGIN], [len(pieces)]), _LATEST_NS)
    assert batch is not None, "all are refused one by one"
    assert not refused, refused
    assert _rows(read) == _rows(batch), "they say something else"


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield stretches of bytes, each of which follows its length."""
    place = 0
    while place < len(data):
        end = place + 1 + data[place]
        yield data[place + 1 : end]
        place = end


def _rows(batch: FillBatch) -> list[Any]:
    columns = (batch.account, batch.source, batch.sequence, batch.index, batch.product)
    return [
        (
            batch.accounts[batch.account[place]],
            batch.name(place),
            batch.content(place, int(batch.product[place])),
            *(int(column[place]) for column in columns),
        )
        for place in range(len(batch))
    ]


_REQUESTS: Final = (
    RecordFillsRequest,
    StreamFillsRequest,
    RequestMatchRequest,
    RunEvaluationRequest,
    BanAccountRequest,
)
_ENTRIES_MAX: Final = 3
_ENTRIES_UNCOUNTED_MAX: Final = 4 * _ENTRIES_MAX


def bounds(data: bytes) -> None:
    """A list is never longer than the bounds believe, nor one refused that is short enough."""
    if not data:
        return
    request = _REQUESTS[data[0] % len(_REQUESTS)]
    reason = ""
    try:
        ListBounds(request.DESCRIPTOR, _ENTRIES_MAX, small_bytes=0).check(data[1:])
    except RefusedError as error:
        if error.refusal.reason not in (Reason.BATCH_TOO_LARGE, Reason.LIST_TOO_LONG):
            raise
        reason = error.refusal.field
    try:
        longest = _longest(request.FromString(data[1:]))
    except DecodeError:
        return
    if reason:
        assert longest[reason] > _ENTRIES_MAX, f"{reason} is short enough"
    else:
        assert max(longest.values(), default=0) <= _ENTRIES_UNCOUNTED_MAX, longest


def _longest(message: Message, path: str = "") -> dict[str, int]:
    """The lengths of the lists of a message, by path; those of entries of a list are no lists of the message."""
    found: dict[str, int] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            found[f"{path}{field.name}"] = len(value)
        elif field.message_type is not None:
            found.update(_longest(value, f"{path}{field.name}."))
    return found


def programme(data: bytes) -> None:
    """A programme file has faults, or can be read."""
    content = data.decode(errors="ignore")
    if programmes.faults(content):
        if programmes.out_of_bounds(content) is None:
            with suppress(ProgrammeError):
                programmes.parse(content)
        return
    programmes.parse(content)
    programmes.warnings(content)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "events": events,
    "fills": fills,
    "bounds": bounds,
    "programme": programme,
}


def seeds(target: str) -> Iterator[bytes]:
    """Inputs to begin with: good ones, and those that once failed."""
    if target != "events":
        yield from (bytes.fromhex(path.read_text()) for path in sorted(_CORPUS.glob(f"{target}/*.hex")))
    if target == "events":
        for path in sorted((*_GOLDEN.glob("**/*.hex"), *_STORED.glob("*.hex"), *_CORPUS.glob("events/*.hex"))):
            topic = path.stem.partition("_")[0]
            yield bytes([_TOPICS.index(topic)]) + bytes.fromhex(path.read_text())
    elif target == "fills":
        good = [_fill(number).SerializeToString() for number in range(3)]
        yield b"".join(bytes([len(each)]) + each for each in good)
        yield from (bytes([len(each)]) + each for each in good)
        everything = _fill(7)
        everything.token_payment.CopyFrom(TokenPayment(token="BMX", price="0.2", price_source="book"))  # noqa: S106 - a currency
        everything.charged_fee.CopyFrom(ChargedFee(amount="-0.1", currency="USDT", rate="0.001"))
        yield bytes([everything.ByteSize()]) + everything.SerializeToString()
    elif target == "bounds":
        for place, request in enumerate(_REQUESTS):
            yield bytes([place]) + _full(request.DESCRIPTOR).SerializeToString()
    else:
        yield from (programmes.packaged(name).encode() for name in programmes.packaged_names())


def _fill(number: int) -> Fill:
    return Fill(
        account_id="alice",
        exec_id=f"E{number}",
        symbol="XRP_USDT",
        side=1 + number % 2,  # type: ignore[arg-type]
        liquidity=2 - number % 2,  # type: ignore[arg-type]
        last_px="0.5",
        last_qty=f"{number + 1}",
        transact_time=Timestamp(seconds=1_728_043_200, nanos=number * 1_000),
        channel=number % 4,  # type: ignore[arg-type]
        trade_id=f"{number}",
        order_id="O",
        cl_ord_id="C",
        order_time=Timestamp(seconds=1_728_043_199),
        owner_id="owner",
        counterparty_owner_id="other",
    )


def _full(message: Descriptor) -> Any:
    """A message whose lists have as many entries as may be, and one more."""
    found: Any = GetMessageClass(message)()
    for field in message.fields:
        if not field.is_repeated:
            if field.message_type is not None:
                getattr(found, field.name).CopyFrom(_full(field.message_type))
            continue
        entries = getattr(found, field.name)
        for _ in range(_ENTRIES_MAX + 1):
            if field.message_type is not None:
                entries.add()
            else:
                entries.append("" if field.cpp_type == field.CPPTYPE_STRING else 300)
    return found
