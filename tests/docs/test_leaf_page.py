"""docs/leaf.md is enough to make leaves: its tables and its code, on their own, make every vector."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest

from ledger.store.leaf import Part
from ledger.v1 import events_pb2, part_pb2
from tests.docs.pages import ROOT, code, rows
from tests.store.leaf_vectors import OUTSIDE, SECRET, kept

PAGE: Final = "docs/leaf.md"
(CODE,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / PAGE).read_text(), re.DOTALL | re.MULTILINE)
MESSAGES: Final = events_pb2.DESCRIPTOR.message_types_by_name
# The parts that the page names, by message and number of the field.
NAMED: Final = {
    (code(message)[0], int(number), name): part
    for message, *columns in rows(PAGE, r"`[A-Z]\w+`")
    for part, column in zip((Part.HIDDEN, Part.ERASABLE), columns, strict=True)
    for number, name in re.findall(r"(\d+) (\w+)", column)
}


@pytest.fixture(scope="module")
def page() -> Any:
    """The functions of the page, which know nothing of ours."""
    found: dict[str, Any] = {}
    exec(CODE, found)
    return SimpleNamespace(**found)


def parts_of(message: str) -> Mapping[int, int]:
    """What a reader of the page and of events.proto takes each field of a message for."""
    named = {number: part.value for (name, number, _), part in NAMED.items() if name == message}
    return {field.number: named.get(field.number, Part.SHOWN.value) for field in MESSAGES[message].fields}


def test_the_page_names_every_field_that_is_not_shown() -> None:
    said = {
        (message, field.number, field.name): Part(part)
        for message in ("Envelope", *(each["topic"] for each in kept().values()))
        for field in MESSAGES[message].fields
        if (part := field.GetOptions().Extensions[part_pb2.part]) not in (0, Part.SHOWN)
    }
    assert said == NAMED


@pytest.mark.parametrize("name", kept())
def test_the_code_of_the_page_makes_every_leaf(page: Any, name: str) -> None:
    vector = kept()[name]
    state, position = bytes.fromhex(vector["state"]), vector["position"]
    hashes = []
    for part, told in zip(Part, vector["parts"], strict=True):
        content = page.content(part, state, parts_of(vector["topic"]), parts_of("Envelope"))
        if part is Part.SHOWN:
            content = page.name(vector["stream"], vector["topic"], vector["version"]) + content
        nonce = hmac.digest(SECRET, position.to_bytes(8) + bytes([part]), "sha256")[:16]
        if part is Part.ERASABLE and name == OUTSIDE:
            content, nonce = bytes.fromhex(told["content"]), bytes.fromhex(told["nonce"])
        elif part is Part.ERASABLE and not content:
            nonce = bytes(16)
        hashes.append(page.part_sha256(part, nonce, content))
        assert {"nonce": nonce.hex(), "content": content.hex(), "sha256": hashes[-1].hex()} == {
            key: told[key] for key in ("nonce", "content", "sha256")
        }
    assert page.leaf(position, hashes).hex() == vector["leaf"]


def test_the_event_that_the_page_works_through_is_a_vector() -> None:
    vector = kept()["BanLifted"]
    shown, hidden, erasable = vector["parts"]
    said = {name: code(cell)[0] for name, cell in rows(PAGE, "(stored bytes|content|nonce|hash|leaf).*")}
    assert said == {
        "stored bytes": vector["state"],
        "content of SHOWN": shown["content"],
        "content of ERASABLE": erasable["content"],
        "nonce of SHOWN": shown["nonce"],
        "hash of SHOWN": shown["sha256"],
        "hash of HIDDEN": hidden["sha256"],
        "hash of ERASABLE": erasable["sha256"],
        "leaf": vector["leaf"],
    }
