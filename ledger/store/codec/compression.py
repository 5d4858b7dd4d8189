"""Compresses fill runs for the disk, with a dictionary, and gives back the bytes that they had, which all others see.

    0a ...              a run as it is: written by an earlier release, or no shorter otherwise
    01 00 FRAME         all of it, compressed with dictionary 1
    01 <n> FRONT FRAME  what comes after its front, which is as it is, so that a slice has the totals

`<n>` is a varint: twice the bytes of the front, and one more where the run may say what its engine charged, which SQL
asks. A FRAME is one of Zstandard (RFC 8878), with its size and its checksum, without the four bytes that all of them
begin with; what it holds begins with `<n>`, too, so that no damage to the head goes unnoticed. No event begins with the
number of a dictionary: its first field is the envelope, 0a.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError
from zstandard import (
    DICT_TYPE_FULLDICT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    frame_content_size,
)

from ledger.arrays.protobuf_wire import read_varint, varint
from ledger.store.codec.run_layout import end_of_totals

VERSION: Final = 1  # of the dictionary that runs are compressed with
# SHA-256 of each dictionary of this release. None is ever changed or taken away: logs are compressed with it.
SHA256S: Final = {1: "273733c056b71b10b41c8130d46d23882fc1357929454361a00dc62a1787a2c4"}
RUN: Final = "VolumeRecorded"  # the topic of what is compressed
AS_IT_IS: Final = b"\x0a"  # the first byte of a run that is not compressed
_DICTIONARY: Final = bytes((VERSION,))
_NO_FRONT: Final = (b"\0", b"\1")  # the heads of runs that are compressed with theirs
_MAGIC: Final = (0xFD2FB528).to_bytes(4, "little")
_MAGIC_BYTES: Final = len(_MAGIC)
_RUN_BYTES_MAX: Final = 1 << 28  # a million fills, which is the most that a commit may have, take some 100 MB
_WHOLE_BYTES_MAX: Final = 6_000  # of a run that is compressed with its front: a slice has nearly always all of it
_SHORT_BYTES_MAX: Final = 2_000
_LEVELS: Final = {True: 2, False: -1}  # of short runs, and of others: more saves under a tenth, and takes far longer
_FEW: Final = 4  # runs that are compressed one by one
# In a commit of so many runs the processor is what all wait for. To compress a run of a fill takes a third of all that
# it takes else, and to read it again as long.
_MANY, _BYTES_MIN_OF_MANY = 4_000, 600

_learned: dict[int, bytes] = {}  # dictionaries of logs, which this release has not

Buffer: TypeAlias = bytes | bytearray | memoryview
StoredRow: TypeAlias = tuple[Any, ...]  # position, stream, version, topic, state, and whatever else


class CompressionError(DecodeError):
    """A run cannot be read: its bytes are damaged, or its dictionary is not at hand."""


def dictionary(version: int) -> bytes:
    """Return a dictionary of this release. Raises CompressionError where its file is not as it was made."""
    try:
        content = resources.files(__package__).joinpath("dictionaries", f"{version}.zdict").read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != SHA256S[version]:
        raise CompressionError(
            f"dictionary {version} of this installation is missing or damaged: install fee-ledger again"
        )
    return content


def learn(version: int, content: bytes) -> None:
    """Take a dictionary out of a log: it is used where this release has no such one."""
    _learned[version] = content


def compressed(runs: Sequence[bytes], *, charged: bool) -> list[bytes]:
    """Return the runs of a commit as they are stored. They are compressed at once, without the interpreter's lock.

    `charged` says that one of them may say what its engine charged. Of very many runs those with a fill or two stay as
    they are.
    """
    found = list(runs)
    least = _BYTES_MIN_OF_MANY if len(runs) >= _MANY else 0
    may_be_shorter = [place for place, run in enumerate(runs) if len(run) >= least and run[:1] == AS_IT_IS]
    for is_short in (True, False):
        places = [place for place in may_be_shorter if (len(runs[place]) <= _SHORT_BYTES_MAX) is is_short]
        context = _contexts.writing(is_short=is_short)
        for place, stored in zip(places, _stored([runs[place] for place in places], context, charged), strict=True):
            if len(stored) < len(found[place]):
                found[place] = stored
    return found


def plain(run: bytes) -> bytes:
    """Return the bytes that a stored run had. Raises CompressionError."""
    return run if run[:1] == AS_IT_IS else _joined(_split(run))


def all_plain(runs: Sequence[bytes]) -> list[bytes]:
    """Return the bytes that stored runs had; they are read at once, without the lock. Raises CompressionError."""
    found = list(runs)
    splits = [(place, _split(run)) for place, run in enumerate(runs) if run[:1] != AS_IT_IS]
    versions = {split.version for _, split in splits}
    if len(splits) < _FEW or len(versions) > 1:
        for place, split in splits:
            found[place] = _joined(split)
        return found
    context = _contexts.reading(versions.pop())
    try:
        bodies = context.multi_decompress_to_buffer(list[Buffer](_frame(split) for _, split in splits))
    except (ZstdError, MemoryError, ValueError):
        for _, split in splits:
            _joined(split)  # which says what is wrong
        raise
    for number, (place, split) in enumerate(splits):
        found[place] = _after_head(split, bodies[number].tobytes())
    return found


def plain_rows(rows: Sequence[StoredRow], *, if_whole: bool = False) -> Sequence[StoredRow]:
    """Return rows of the log, as `decode` takes them, with the bytes that their events had; they are read at once.

    Raises CompressionError; `if_whole`: a run that is damaged stays as it is stored, and whoever decodes it is told.
    """
    places = [place for place, row in enumerate(rows) if row[3] == RUN and row[4][:1] != AS_IT_IS]
    if not places:
        return rows
    stored, found = [rows[place][4] for place in places], list(rows)
    try:
        states = all_plain(stored)
    except CompressionError:
        if not if_whole:
            raise
        states = list(map(_plain_if_whole, stored))
    for place, state in zip(places, states, strict=True):
        found[place] = (*rows[place][:4], state, *rows[place][5:])
    return found


def _plain_if_whole(run: bytes) -> bytes:
    try:
        return plain(run)
    except CompressionError:
        return run


def front_of(stored: bytes, size: int) -> tuple[bytes, bool]:
    """Return (the first bytes of a run, True if all its totals are in them) out of the first `size` bytes stored.

    No bytes: nothing can be told without the rest.
    """
    if stored[:1] == AS_IT_IS:
        return stored, len(stored) < size
    try:
        split = _split(stored)
        if split.front and split.frame:
            return split.front, True
        return plain(stored), True
    except CompressionError:
        return b"", False


def fronts_of(stored: Sequence[bytes], size: int) -> tuple[list[bytes], list[bool]]:
    """Return the same of many runs, as two columns; those that are compressed with their fronts are read at once."""
    found = [(run, False) if _is_whole(run) else front_of(run, size) for run in stored]
    places = [place for place, run in enumerate(stored) if _is_whole(run)]
    try:
        for place, run in zip(places, all_plain([stored[place] for place in places]), strict=True):
            found[place] = run, True
    except CompressionError:
        for place in places:
            found[place] = front_of(stored[place], size)
    return [front for front, _ in found], [has_all for _, has_all in found]


def _is_whole(stored: bytes) -> bool:
    """Return True for a run that is compressed with its front."""
    return stored[:1] != AS_IT_IS and stored[1:2] in _NO_FRONT


class _Split(NamedTuple):
    """A stored run: the number of its dictionary, the varint of its head, its front, and its frame."""

    version: int
    head: bytes
    front: bytes
    frame: bytes


def _split(stored: bytes) -> _Split:
    try:
        number, begin = read_varint(stored, 1)
    except IndexError:
        raise CompressionError("a run of no bytes, or cut off in its head") from None
    end = begin + (number >> 1)
    return _Split(stored[0] if stored else 0, stored[1:begin], stored[begin:end], stored[end:])


def _joined(split: _Split) -> bytes:
    try:
        return _after_head(split, _contexts.reading(split.version).decompress(_frame(split)))
    except (ZstdError, MemoryError, ValueError) as error:
        raise CompressionError(f"a compressed run is damaged: {error}") from error


def _frame(split: _Split) -> bytes:
    """Return the frame of a run, which says how much it holds. Raises ValueError, before so much is held in memory."""
    frame = _MAGIC + split.frame
    if not 0 <= frame_content_size(frame) <= _RUN_BYTES_MAX:
        raise ValueError("it says that it is larger than any run")
    return frame


def _after_head(split: _Split, body: bytes) -> bytes:
    """Return a run, if its frame begins with the head that stands before it."""
    if not body.startswith(split.head):
        raise CompressionError("a compressed run is damaged: its head is not the one that was written")
    return split.front + body[len(split.head) :]


def _stored(runs: Sequence[bytes], context: ZstdCompressor, charged: bool) -> list[bytes]:
    """Return runs compressed from where their fronts end, or all of a run that is not long."""
    ends = [0 if len(run) <= _WHOLE_BYTES_MAX else end_of_totals(run) for run in runs]
    if not any(ends):  # with nothing between head and frame
        head = varint(charged)
        begin = _DICTIONARY + head
        return [begin + frame[_MAGIC_BYTES:] for frame in _frames([head + run for run in runs], context)]
    heads = [varint(end << 1 | charged) for end in ends]
    frames = _frames([head + run[end:] for head, run, end in zip(heads, runs, ends, strict=True)], context)
    parts = zip(heads, runs, ends, frames, strict=True)
    return [b"".join((_DICTIONARY, head, run[:end], frame[_MAGIC_BYTES:])) for head, run, end, frame in parts]


def _frames(bodies: list[bytes], context: ZstdCompressor) -> list[bytes]:
    if len(bodies) < _FEW:
        return list(map(context.compress, bodies))
    frames = context.multi_compress_to_buffer(list[Buffer](bodies))
    return [frames[place].tobytes() for place in range(len(bodies))]


class _Contexts(threading.local):
    """The contexts of one thread, which write frames and read them: each does one thing at a time."""

    def __init__(self) -> None:
        self._writing: dict[bool, ZstdCompressor] = {}
        self._reading: dict[int, ZstdDecompressor] = {}

    def writing(self, *, is_short: bool) -> ZstdCompressor:
        if is_short not in self._writing:
            level = _LEVELS[is_short]
            self._writing[is_short] = ZstdCompressor(
                level, _digested(VERSION, level), write_checksum=True, write_content_size=True, write_dict_id=False
            )
        return self._writing[is_short]

    def reading(self, version: int) -> ZstdDecompressor:
        if version not in self._reading:
            self._reading[version] = ZstdDecompressor(_digested(version))
        return self._reading[version]


@cache
def _digested(version: int, level: int = 0) -> ZstdCompressionDict:
    """Return a dictionary as contexts of all threads use it, for writing at a level or (0) for reading."""
    content = dictionary(version) if version in SHA256S else _learned.get(version)
    if content is None:
        raise CompressionError(f"a run is compressed with dictionary {version}, which is not at hand")
    digested = ZstdCompressionDict(content, dict_type=DICT_TYPE_FULLDICT)
    if level:
        digested.precompute_compress(level)
    return digested


_contexts: Final = _Contexts()
