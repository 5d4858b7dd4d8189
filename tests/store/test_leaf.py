"""The leaf of an event: which part says what, and that the leaf vouches for all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.arrays.protobuf_wire import Heads, wire_fields
from ledger.store.codec.events import encode
from ledger.store.leaf import (
    LEAF_BYTES,
    NOTHING,
    Part,
    hashes_of,
    leaf,
    leaf_of,
    opened,
    part_sha256,
    parts_of,
)
from ledger.v1 import events_pb2, part_pb2
from tests.store.codec.test_events import ENVELOPE, SAMPLES
from tests.store.leaf_vectors import OUTSIDE, SECRET, Stored, kept, outside, stored, vector

EVENTS: Final = {topic: getattr(events_pb2, topic) for topic in sorted({event.topic for _, event in stored()})}
STORED: Final = dict(stored())
NAME: Final = ("account/alice", 3)
PREFIX: Final = b"\0\0\0\x0daccount/alice"  # of what a SHOWN part begins with
T: Final = ENVELOPE.effective_time_ns


# --- the contract


def said(field: FieldDescriptor) -> int:
    part: int = field.GetOptions().Extensions[part_pb2.part]
    return part


def inside(message: Descriptor) -> Iterator[FieldDescriptor]:
    """Fields of a message and of those that lie in it, but for the envelope's."""
    for field in message.fields:
        yield field
        if field.message_type is not None and field.message_type.name != "Envelope":
            yield from inside(field.message_type)


def test_every_event_of_the_log_is_looked_at_here() -> None:
    assert set(EVENTS) == {type(event).__name__ for event in SAMPLES.values()}


@pytest.mark.parametrize("topic", [*EVENTS, "Envelope"])
def test_every_field_says_its_part_and_what_lies_in_it_says_the_same(topic: str) -> None:
    """Whoever adds a field decides who may see it, for ever: leaves are made of it."""
    message = events_pb2.DESCRIPTOR.message_types_by_name[topic]
    for field in message.fields:
        if field.message_type is events_pb2.Envelope.DESCRIPTOR:
            assert (field.number, said(field)) == (1, 0), f"{field.full_name}: an envelope is divided, as field 1"
            continue
        assert said(field) in set(Part), f"{field.full_name} has no part: say [(part) = ...]"
        for nested in inside(field.message_type) if field.message_type else ():
            assert said(nested) == said(field), f"{nested.full_name} lies in {field.full_name}"


def test_parts_have_the_numbers_of_the_contract() -> None:
    named = {value.name.removeprefix("PART_"): value.number for value in part_pb2.Part.DESCRIPTOR.values}
    assert {part.name: part.value for part in Part} | {"UNSPECIFIED": 0} == named


# --- dividing


def messages(kind: Descriptor) -> st.SearchStrategy[Any]:
    """Messages of a kind with any of its fields."""
    return st.fixed_dictionaries({}, optional={field.name: values(field) for field in kind.fields})


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        one = messages(field.message_type)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        one = st.binary(max_size=9) if field.type == FieldDescriptor.TYPE_BYTES else st.text(max_size=9)
    else:
        one = st.booleans() if field.type == FieldDescriptor.TYPE_BOOL else st.integers(0, 2**31 - 1)
    return st.lists(one, max_size=3) if field.is_repeated else one


def shuffled(data: bytes, chance: random.Random, *, deep: bool = True) -> bytes:
    """The same message with its fields in another order, those of its envelope too; those of one number keep theirs."""
    fields = list(wire_fields(data))
    order = [field.number for field in fields]
    chance.shuffle(order)
    queues = {number: [field for field in fields if field.number == number] for number in order}
    found = b""
    for number in order:
        _, whole, content = queues[number].pop(0)
        found += Heads(1)(shuffled(content, chance, deep=False)) if deep and number == 1 else whole
    return found


def joined(topic: str, state: bytes) -> Message:
    """The message that the three parts are together."""
    parts, name = parts_of(*NAME, topic, state), parts_of(*NAME, topic, b"").shown
    assert parts.shown.startswith(name)
    message: Message = EVENTS[topic].FromString(parts.shown.removeprefix(name) + parts.hidden + parts.erasable)
    return message


@settings(max_examples=25)
@given(data=st.data(), seed=st.integers(0, 2**32))
@pytest.mark.parametrize("topic", EVENTS)
def test_parts_together_say_what_was_stored_in_whatever_order_it_was(topic: str, data: Any, seed: int) -> None:
    values = data.draw(messages(EVENTS[topic].DESCRIPTOR))
    values.get("envelope", {}).pop("erasable_sha256", None)
    message = EVENTS[topic](**values)
    state = message.SerializeToString(deterministic=True)
    assert joined(topic, state) == message
    assert parts_of(*NAME, topic, shuffled(state, random.Random(seed))) == parts_of(*NAME, topic, state)


@pytest.mark.parametrize("name", STORED)
def test_golden_bytes_are_divided_as_protobuf_would_divide_them(name: str) -> None:
    """Each content is the message without the fields of other parts, as protobuf writes it: by number."""
    _, stream, version, topic, state = STORED[name]
    parts = parts_of(stream, version, topic, state)
    name_bytes = parts_of(stream, version, topic, b"").shown
    for part, content in zip(Part, (parts.shown.removeprefix(name_bytes), parts.hidden, parts.erasable), strict=True):
        message = EVENTS[topic].FromString(state)
        cleared(message.envelope, part)
        cleared(message, part)
        if part is not Part.SHOWN and not message.envelope.ByteSize():
            message.ClearField("envelope")
        assert content == message.SerializeToString(deterministic=True)


def cleared(message: Any, part: Part) -> None:
    for field in message.DESCRIPTOR.fields:
        if said(field) not in (0, part):
            message.ClearField(field.name)


def test_a_field_that_this_release_does_not_know_is_hidden() -> None:
    unknown = b"\xa2\x06\x01A"  # field 100
    _, state = encode(ENVELOPE, SAMPLES["BanLifted"])
    (envelope, lifted) = wire_fields(state)
    of_event = parts_of(*NAME, "BanLifted", unknown + state)
    of_envelope = parts_of(*NAME, "BanLifted", Heads(1)(unknown + envelope.content) + lifted.whole)
    for parts in (of_event, of_envelope):
        assert b"A" in parts.hidden
        assert parts.shown == parts_of(*NAME, "BanLifted", state).shown


def test_the_shown_part_begins_with_the_name_of_the_event() -> None:
    shown = parts_of("account/alice", 3, "BanLifted", b"").shown
    assert shown == PREFIX + b"\0\0\0\x09BanLifted" + (3).to_bytes(8)


def test_a_topic_that_this_release_does_not_know_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        parts_of(*NAME, "SomethingNew", b"")


# --- what may be erased


def test_an_event_without_anything_to_erase_has_the_same_third_hash_as_every_other_one() -> None:
    event = events_pb2.BanLifted(lifted_time_ns=T).SerializeToString()
    found = {hashes_of(position, parts_of(*NAME, "BanLifted", event), SECRET)[2] for position in (1, 2)}
    assert found == {part_sha256(Part.ERASABLE, *NOTHING)}


def test_what_was_erased_is_not_needed_for_the_leaf() -> None:
    event = STORED[OUTSIDE]
    parts = parts_of(*event[1:])
    assert parts.erasable == b""
    assert b"T-1" not in event.state
    shown, hidden, _ = hashes_of(event.position, parts, SECRET)
    by_opening = leaf_of(event.position, (shown, hidden, part_sha256(Part.ERASABLE, *outside())))
    assert leaf(*event, SECRET) == by_opening


@pytest.mark.parametrize(
    "envelope",
    [
        events_pb2.Envelope(ticket="T-1", erasable_sha256=b"\x01" * 32),
        events_pb2.Envelope(erasable_sha256=b"\x01" * 31),
    ],
    ids=["a ticket inside, too", "no SHA-256"],
)
def test_bytes_that_no_hash_would_vouch_for_have_no_leaf(envelope: events_pb2.Envelope) -> None:
    with pytest.raises(ValueError, match="erasable part"):
        leaf(7, *NAME, "BanLifted", events_pb2.BanLifted(envelope=envelope).SerializeToString(), SECRET)


# --- the leaf


@pytest.mark.parametrize("name", STORED)
def test_the_leaf_of_an_event_never_changes(name: str) -> None:
    """A vector that must change means: what was proven of ledgers out there is proven no more."""
    assert vector(name, STORED[name]) == kept()[name]


def test_the_kept_vectors_are_those_of_all_golden_bytes() -> None:
    assert list(kept()) == list(dict.fromkeys([*kept(), *STORED]))
    assert set(kept()) == set(STORED)


@pytest.mark.parametrize("name", STORED)
def test_a_leaf_vouches_for_each_byte_of_the_event_and_for_its_place(name: str) -> None:
    event, own = STORED[name], leaf(*STORED[name], SECRET)
    assert len(own) == LEAF_BYTES
    assert own[:9] == b"\x01" + event.position.to_bytes(8)
    others = [event._replace(stream="account/bob"), event._replace(version=4), event._replace(position=42)]
    for place in range(0, len(event.state), 3):
        changed = bytearray(event.state)
        changed[place] ^= 1
        others.append(event._replace(state=bytes(changed)))
    assert own not in {made for other in others if (made := leaf_or_none(other)) is not None}
    assert leaf(*event, SECRET[::-1])[9:] != own[9:]


def leaf_or_none(event: Stored) -> bytes | None:
    try:
        return leaf(*event, SECRET)
    except ValueError:
        return None


def test_each_part_of_each_position_has_a_nonce_of_its_own() -> None:
    nonces = {opened(position, part, b"A", SECRET).nonce for position in (1, 2, 256) for part in Part}
    assert len(nonces) == 9
    assert {len(nonce) for nonce in nonces} == {16}
