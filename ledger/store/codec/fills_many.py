"""Maps many runs of fills to bytes at once: those of `fills.encode_volume` for each, field by field for all of them.

An object, a message and thirty attributes a run cost more than all its lines; here each field is a column with an entry
per run, and a run is what stands at its place in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np

from ledger.arrays.columns import Ints
from ledger.arrays.protobuf_wire import Heads, number, varint_rows, varints
from ledger.arrays.ragged import Ragged
from ledger.fills.fill_runs import FillRuns, Referred
from ledger.store.codec.fills import PACKED, encode_volume
from ledger.store.codec.parts import basis_bytes, symbol_bytes
from ledger.store.codec.totals_many import encode_totals
from ledger.v1 import events_pb2

_MESSAGE: Final = events_pb2.VolumeRecorded.DESCRIPTOR.fields_by_name
_HEADS: Final = {name: Heads(field.number) for name, field in _MESSAGE.items()}
_HEADS_OF: Final = {field.number: _HEADS[name] for name, field in _MESSAGE.items()}
_PREVIOUS: Final = number(_MESSAGE["previous_position"].number)
_ERASABLE: Final = Heads(events_pb2.Envelope.ERASABLE_SHA256_FIELD_NUMBER)
_EFFECTIVE: Final = number(events_pb2.Envelope.DESCRIPTOR.fields_by_name["effective_time_ns"].number)

FEW: Final = 8  # runs up to which an object for each is quicker than arrays for all

T = TypeVar("T")


def encode_runs(rest: events_pb2.Envelope, runs: FillRuns, erasable_sha256s: Sequence[bytes]) -> list[bytes]:
    """Return the bytes of each run. Its envelope is `rest` with its effective time, which is the first field.

    The last field of an envelope is the hash: there are as many as runs, or none.
    """
    return encode_runs_of_commits([rest], np.zeros(len(runs), dtype=np.int64), runs, erasable_sha256s)


def encode_runs_of_commits(
    rests: Sequence[events_pb2.Envelope], commit: Ints, runs: FillRuns, erasable_sha256s: Sequence[bytes]
) -> list[bytes]:
    """Return the bytes of each run, as `encode_runs` does; the envelope of run n is made of `rests[commit[n]]`."""
    encode = _encode_few if len(runs) <= FEW else _encode_many
    return encode(rests, commit, runs, erasable_sha256s)


def _encode_few(
    rests: Sequence[events_pb2.Envelope], commit: Ints, runs: FillRuns, erasable_sha256s: Sequence[bytes]
) -> list[bytes]:
    found = []
    sha256s = erasable_sha256s or [b""] * len(runs)
    for (_, event), place, sha256 in zip(runs, commit.tolist(), sha256s, strict=True):
        rest = rests[place]
        rest.effective_time_ns = event.time_min_ns
        rest.erasable_sha256 = sha256
        found.append(encode_volume(rest, event))
    return found


def _encode_many(
    rests: Sequence[events_pb2.Envelope], commit: Ints, runs: FillRuns, erasable_sha256s: Sequence[bytes]
) -> list[bytes]:
    shared = [rest.SerializeToString(deterministic=True) for rest in rests]
    parts = zip(
        _front(shared, commit, runs, erasable_sha256s).parts(),
        encode_totals(runs.totals),
        _after_totals(runs),
        _joined(runs.symbols, symbol_bytes),
        _joined(runs.bases, basis_bytes),
        strict=True,
    )
    return list(map(b"".join, parts))


def _front(shared: Sequence[bytes], commit: Ints, runs: FillRuns, erasable_sha256s: Sequence[bytes]) -> Ragged:
    """Return the fields before the totals of each run, in the order of their numbers."""
    envelope = Ragged(len(runs))
    envelope.same(_EFFECTIVE)
    envelope.varint(runs.time_min_ns)
    if len(shared) == 1:
        envelope.same(shared[0])
    else:
        envelope.choice(shared, commit)
    if erasable_sha256s:
        envelope.texts([_ERASABLE(sha256) if sha256 else b"" for sha256 in erasable_sha256s])
    front = Ragged(len(runs))
    front.message(_MESSAGE["envelope"].number, envelope)
    front.same(_HEADS["venue"](runs.venue.encode()))
    _sources(front, runs)
    for name in ("time_max_ns", "time_max_so_far_ns"):
        front.same(number(_MESSAGE[name].number))
        front.varint(getattr(runs, name))
    return front


def _sources(front: Ragged, runs: FillRuns) -> None:
    """Add the sources of each run, and their numbers; a source without a name has none."""
    sources = runs.sources
    names = [_HEADS["source"](name.encode()) for name in sources.values]
    one_each = len(sources.codes) == len(runs)
    if one_each:
        front.choice(names, np.array(sources.codes))
    else:
        front.texts(_of_runs([names[code] for code in sources.codes], sources.bounds))
    for name, numbers in (("first_sequence", runs.first_sequences), ("last_sequence", runs.last_sequences)):
        if not len(numbers):
            continue
        if one_each and "" not in sources.values and numbers.dtype != object:
            packed_numbers = Ragged(len(runs))
            packed_numbers.varint(numbers)
            front.message(_MESSAGE[name].number, packed_numbers)
        else:
            front.texts(_numbers(runs, _HEADS[name], numbers))


def _numbers(runs: FillRuns, head: Heads, numbers: Ints) -> Sequence[bytes]:
    encoded = head.each(_of_runs(varints(numbers), runs.sources.bounds))
    named = [any(each) for each in _cut(runs.last_sequences, runs.sources.bounds)]
    return [each if has else b"" for each, has in zip(encoded, named, strict=True)]


def _after_totals(runs: FillRuns) -> list[bytes]:
    """Return what follows the totals of each run: its columns, with the mark that amounts are texts, and its link.

    Runs of as many lines, after an event whose position has as many bytes, differ in nothing else: their bytes are the
    rows of one array.
    """
    wide = {_MESSAGE["wide_amounts"].number: number(_MESSAGE["wide_amounts"].number) + b"\x01"} if runs.wide else {}
    columns = {_MESSAGE[PACKED[name]].number: packed for name, packed in runs.columns.items()}
    starts = np.array(runs.starts)
    sizes = np.diff(starts)
    links, link_sizes = _links(runs.previous_positions)
    kinds = sizes * (links.shape[1] + 1) + link_sizes
    order = np.argsort(kinds, kind="stable")
    found: list[bytes] = [b""] * len(runs)
    for at in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        lines = starts[at][:, None] + np.arange(sizes[at[0]])
        parts = []
        for field in sorted({*wide, *columns}):
            if field in wide:
                parts.append(_same(wide[field], len(at)))
                continue
            data, width = columns[field]
            rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, width)[lines].reshape(len(at), -1)
            parts += [_same(_HEADS_OF[field][rows.shape[1]], len(at)), rows]
        together = np.concatenate([*parts, links[at, : link_sizes[at[0]]]], axis=1)
        size, content = together.shape[1], together.tobytes()
        for place, run in enumerate(at.tolist()):
            found[run] = content[place * size : (place + 1) * size]
    return found


def _links(previous_positions: Ints) -> tuple[Ints, Ints]:
    """Return (the field with the position of the event before each run as rows of bytes, how many bytes of each count).

    None count where there is no event before it.
    """
    positions, sizes = varint_rows(previous_positions)
    rows = np.concatenate((_same(_PREVIOUS, len(positions)), positions), axis=1)
    return rows, np.where(previous_positions > 0, len(_PREVIOUS) + sizes, 0)


def _same(head: bytes, times: int) -> Ints:
    return np.broadcast_to(np.frombuffer(head, dtype=np.uint8), (times, len(head)))


def _joined(referred: Referred[T], encode: Callable[[T], bytes]) -> Sequence[bytes]:
    """Return the encoded values that the lines of each run refer to; each value is encoded once."""
    encoded = list(map(encode, referred.values))
    return _of_runs([encoded[code] for code in referred.codes], referred.bounds)


def _of_runs(parts: Sequence[bytes], bounds: Sequence[int]) -> Sequence[bytes]:
    """Join the parts of each run, for example [a, b, c] with bounds [0, 2, 3] to [ab, c]."""
    if len(parts) == len(bounds) - 1:
        return parts
    found = [parts[start] for start in bounds[:-1]]
    for run in np.flatnonzero(np.diff(bounds) != 1).tolist():
        found[run] = b"".join(parts[bounds[run] : bounds[run + 1]])
    return found


def _cut(values: Any, bounds: Sequence[int]) -> Iterator[Any]:
    return (values[start:end] for start, end in pairwise(bounds))
