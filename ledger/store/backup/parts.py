"""A backup on disk: a folder of parts, each with what the log has got since the part before it.

    lock                   locked while a part is written
    000001/                positions 1 to 4711
        events.copy.gz     rows as `COPY (FORMAT BINARY)` sends them, in the order of positions
        commits.copy.gz    so are these,
        requests.copy.gz   these,
        erasable.copy.gz   these: what may be erased of the events at these positions,
        texts.copy.gz      and the free texts that no earlier part has, by their hash
        dictionaries.copy.gz   with the dictionaries of its fill runs that no earlier part has, if there are any
        manifest.json      positions, release, ledger, and rows, bytes and SHA-256 of each file
    000002/                positions 4712 to 4800; its manifest has the SHA-256 of the one before
    000003.new/            a part that is being written, or was left by a process that was killed

A part gets its name when it is whole and on the disk, and is never changed after that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
TABLES: Final = ("events", "commits", "requests", "erasable", "texts", "dictionaries")
_NOT_IN_EACH: Final = ("erasable", "dictionaries")  # the first: of a log that an older release made

_NAME: Final = re.compile("[0-9]{6,9}")
_MANIFEST_BYTES_MAX: Final = 256 * 1024 * 1024  # of a part that names a million erased texts: a quarter of that
_PIECE_BYTES: Final = 1024 * 1024
_HEX_DIGITS: Final = 64  # of a SHA-256; a position has fewer
_MB: Final = 1_000_000


class BackupError(Exception):
    """One line with the remedy: the backup, or what is to be restored from it, cannot be used."""


class DamagedError(BackupError):
    """A part of the backup is missing, incomplete, or not what was written."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file of a part: the rows that it has, and its bytes as they lie on the disk."""

    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A part: the positions in (after, until] of a ledger, and the free texts that came with them."""

    ledger_id: str
    number: int  # from 1
    after: int
    until: int  # the end of a commit
    recorded_time_ns: int  # of that commit
    taken_time_ns: int  # nothing was recorded between the two, as far as this part knows
    release: str  # that wrote it
    migrations: Mapping[str, str]  # SHA-256 of each file of SQL that made the tables, by its name
    before: str  # SHA-256 of the part before; empty: this is the first one
    files: Mapping[str, Content]  # by table
    # Of what an earlier part has, and has been erased since: the SHA-256 of each text, in hex, and the position of each
    # event of which a part was.
    erased: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Return the digest of all it says, in hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def tables(self) -> list[str]:
        """Return the tables that it has files of."""
        return [name for name in TABLES if name in self.files]

    @property
    def erased_texts(self) -> set[bytes]:
        """Return the SHA-256 of each text that was erased."""
        return {bytes.fromhex(name) for name in self.erased if len(name) == _HEX_DIGITS}

    @property
    def erased_positions(self) -> set[int]:
        """Return the position of each event of which a part was erased."""
        return {int(name) for name in self.erased if len(name) < _HEX_DIGITS}

    def text(self) -> str:
        """Return the text of its file."""
        return json.dumps({"format": FORMAT, **asdict(self), "sha256": self.sha256}, indent=1) + "\n"


class Part(NamedTuple):
    """A whole part of a backup."""

    folder: Path
    manifest: Manifest

    def file(self, table: str) -> Path:
        """Return where the rows of a table are."""
        return file_of(self.folder, table)


def file_of(folder: Path, table: str) -> Path:
    """Return where a part has the rows of a table."""
    return folder / f"{table}.copy.gz"


def part_name(number: int) -> str:
    """Return the name of a part's folder: 1 -> "000001"."""
    return f"{number:06}"


def is_part(name: str) -> bool:
    """Return True if a thing in the folder of a backup is to be a part by its name."""
    return _NAME.fullmatch(name) is not None


def read_parts(folder: Path) -> list[Part]:
    """Return the parts of a backup in order, at least one. Raises BackupError where they do not follow each other."""
    parts = parts_in(folder)
    if not parts:
        raise BackupError(f"there is no backup in {folder}: give the folder that `fee-ledger backup to` wrote")
    return parts


def parts_in(folder: Path) -> list[Part]:
    """Return the parts in a folder in order; there may be none."""
    names = sorted((entry.name for entry in folder.iterdir() if is_part(entry.name)), key=int)
    parts: list[Part] = []
    for number, name in enumerate(names, 1):
        if name != part_name(number):
            raise DamagedError(f"the part {part_name(number)} of the backup in {folder} is missing: {_COPY}")
        part = Part(folder / name, _manifest(folder / name))
        _check_follows(part, parts[-1].manifest if parts else None)
        parts.append(part)
    return parts


_COPY: Final = "use another copy; or move it and all later parts elsewhere, and restore what comes before"


def _check_follows(part: Part, last: Manifest | None) -> None:
    """Raise DamagedError unless a part goes on where the last one ended."""
    found = part.manifest
    said = (found.number, found.after, found.before, found.ledger_id)
    expected = (
        (1, 0, "", found.ledger_id) if last is None else (last.number + 1, last.until, last.sha256, last.ledger_id)
    )
    if part.folder.name != part_name(found.number) or said != expected or found.until < found.after:
        raise DamagedError(f"{part.folder} does not go on where the part before it ends: {_COPY}")


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise DamagedError(f"{folder} is no folder: parts of a backup are folders, and no links")
    try:
        with open_part(path) as file:
            document = json.loads(file.read(_MANIFEST_BYTES_MAX))
        wrote = _said(document, "format", int), _said(document, "release", str)
        if wrote[0] > FORMAT:
            raise BackupError(f"{folder} was written by a newer release ({wrote[1]}): use that release")
        sha256 = document.pop("sha256")
        manifest = _read(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{path} is no manifest of a backup: {_COPY}") from error
    if manifest.sha256 != sha256:
        raise DamagedError(f"{path} is not what was written: {_COPY}")
    return manifest


def _read(document: Any) -> Manifest:
    """Return what a document says. Raises ValueError, KeyError, TypeError or AttributeError."""
    numbers = ("number", "after", "until", "recorded_time_ns", "taken_time_ns")
    texts = ("ledger_id", "release", "before")
    values: dict[str, Any] = {name: _said(document, name, int) for name in numbers}
    values |= {name: _said(document, name, str) for name in texts}
    values["migrations"] = {str(name): str(sha256) for name, sha256 in document["migrations"].items()}
    tables = [name for name in TABLES if name not in _NOT_IN_EACH or name in document["files"]]
    values["files"] = {name: Content(**document["files"][name]) for name in tables}
    values["erased"] = tuple(map(str, document["erased"]))
    return Manifest(**values)


def _said(document: Any, name: str, kind: type) -> Any:
    found = document[name]
    if type(found) is not kind:
        raise ValueError(name)
    return found


def open_part(path: Path) -> IO[bytes]:
    """Open a file of a part to be read. Raises DamagedError if it is none, or a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing: the part is not whole; {_COPY}") from error
    except OSError as error:
        if path.is_symlink():
            raise DamagedError(f"{path} is a link: parts of a backup have none") from error
        raise
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise DamagedError(f"{path} is no file: parts of a backup have no other things")
    return file


def faults(parts: Sequence[Part], show: Callable[[str, int, int], object]) -> Iterator[str]:
    """Read every file of some parts, and yield what is wrong with one; `show` is told how many MB are read."""
    total = sum(content.size_bytes for part in parts for content in part.manifest.files.values())
    done = 0
    for part in parts:
        for table in part.manifest.tables:
            sha256, before = hashlib.sha256(), done
            try:
                with open_part(part.file(table)) as file:
                    while piece := file.read(_PIECE_BYTES):
                        sha256.update(piece)
                        done += len(piece)
                        show("MB read", done // _MB, total // _MB)
            except DamagedError as error:
                yield str(error)
            else:
                yield from _differs(part, table, done - before, sha256.hexdigest())


def _differs(part: Part, table: str, size: int, sha256: str) -> Iterator[str]:
    said, path = part.manifest.files[table], part.file(table)
    if size != said.size_bytes:
        yield f"{path} has {size:,} of {said.size_bytes:,} bytes: {_COPY}"
    elif sha256 != said.sha256:
        yield f"{path} is not what was written, its SHA-256 differs: {_COPY}"
