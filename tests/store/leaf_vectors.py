"""Golden leaves: of each kind of event, as it is written and as it was, all that its leaf is made of.

`make golden` writes the vectors of events that have none. What is there already is never changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.store.leaf import Opening, Part, leaf, opened, part_sha256, parts_of
from ledger.v1 import events_pb2
from tests.store.codec.test_events import GOLDEN, golden

FILE: Final = Path(__file__).with_name("leaf_vectors.json")
SECRET: Final = bytes(range(32))
OUTSIDE: Final = "BanLifted whose ticket lies outside"
_OUTSIDE_NONCE: Final = bytes(range(16, 32))


class Stored(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


def stored() -> Iterator[tuple[str, Stored]]:
    """Yield all golden bytes, those of old formats too, each by the name of its file; its first word is the topic."""
    for path in sorted(GOLDEN.rglob("*.hex")):
        name = str(path.relative_to(GOLDEN).with_suffix("")).replace("_", " ")
        yield name, _placed(path.stem.partition("_")[0], bytes.fromhex(path.read_text()))
    yield OUTSIDE, _placed("BanLifted", _outside().SerializeToString(deterministic=True))


def _placed(topic: str, state: bytes) -> Stored:
    fees = topic in ("VolumeRecorded", "FeeAdjusted", "FeeCredited", "CreditWithdrawn")
    return Stored(41, *(("fees/alice/2024-10-04", 41) if fees else ("account/alice", 3)), topic, state)


def _outside() -> events_pb2.BanLifted:
    message = events_pb2.BanLifted.FromString(bytes.fromhex(golden("BanLifted").read_text()))
    message.envelope.erasable_sha256 = part_sha256(Part.ERASABLE, *outside())
    message.envelope.ClearField("ticket")
    return message


def outside() -> Opening:
    """The erasable part of the vector OUTSIDE, as a table beside the log would have it."""
    ticket = events_pb2.BanLifted(envelope=events_pb2.Envelope(ticket="T-1"))
    return Opening(_OUTSIDE_NONCE, ticket.SerializeToString())


def vector(name: str, event: Stored) -> dict[str, Any]:
    """All that a leaf is made of, in hex."""
    parts = parts_of(*event[1:])
    openings = [opened(event.position, part, content, SECRET) for part, content in zip(Part, parts[:3], strict=True)]
    if parts.erasable_sha256:
        openings[-1] = outside()
    told = [
        {
            "part": part.name,
            "nonce": opening.nonce.hex(),
            "content": opening.content.hex(),
            "sha256": part_sha256(part, *opening).hex(),
        }
        for part, opening in zip(Part, openings, strict=True)
    ]
    return {
        "name": name,
        **event._asdict(),
        "state": event.state.hex(),
        "parts": told,
        "leaf": leaf(*event, SECRET).hex(),
    }


def kept() -> dict[str, dict[str, Any]]:
    """The vectors that are kept, by name."""
    if not FILE.exists():
        return {}
    return {each["name"]: each for each in json.loads(FILE.read_text())["vectors"]}


def write() -> None:
    """Add the vectors that are missing."""
    held = kept()
    missing = [vector(name, event) for name, event in stored() if name not in held]
    told = {"secret": SECRET.hex(), "vectors": [*held.values(), *missing]}
    FILE.write_text(f"{json.dumps(told, indent=1)}\n")
    for each in missing:
        print(f"written: the leaf of {each['name']}")  # noqa: T201
