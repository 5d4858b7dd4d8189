"""Rows in a file of a part: as `COPY (FORMAT BINARY)` sends them, compressed by gzip."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader, BufferedWriter
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from ledger import private
from ledger.store.backup.parts import Content, DamagedError, Part, open_part
from ledger.store.rows import COPY_BEGINS, COPY_ENDS

_LEVEL: Final = 1  # of compression: the others take several times as long for a tenth of the bytes
_BUFFER_BYTES: Final = 256 * 1024
_COUNT: Final = struct.Struct("!h")
_SIZE: Final = struct.Struct("!i")


class CopiedRow(NamedTuple):
    """A row: its bytes as COPY has them, and its fields; None is null."""

    raw: bytes
    fields: list[bytes | None]

    def number(self, place: int) -> int:
        """Return a field of eight bytes as the number that it is."""
        return int.from_bytes(self.fields[place] or b"", "big", signed=True)


class RowsWriter:
    """Writes the file of a table; `content` says what it has, once it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = _Summed(private.open_file(path, "xb"))
        self._compressed = gzip.GzipFile("", "wb", _LEVEL, cast(IO[bytes], self._file), mtime=0)
        self._buffer = BufferedWriter(cast(Any, self._compressed), _BUFFER_BYTES)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes of COPY."""
        self._buffer.write(data)

    def close(self) -> None:
        """Bring all of it to the disk."""
        self._buffer.close()
        self._file.end()

    def content(self, rows: int) -> Content:
        """Return what the file has."""
        return Content(rows, self._file.size, self._file.sha256.hexdigest())

    def drop(self) -> None:
        """Close it as it is: it is to be removed."""
        self._file.file.close()


class _Summed:
    """A file whose bytes are counted and digested on their way."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def end(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


@contextmanager
def reading(part: Part, table: str) -> Iterator[BufferedIOBase]:
    """Give the bytes of COPY in a file of a part. Raises DamagedError where they cannot be unpacked."""
    try:
        with open_part(part.file(table)) as file, gzip.GzipFile(fileobj=file) as unpacked:
            yield BufferedReader(cast(Any, unpacked), _BUFFER_BYTES)
    except (zlib.error, gzip.BadGzipFile, EOFError, struct.error) as error:
        raise DamagedError(f"{part.file(table)} cannot be unpacked: use another copy") from error


def pieces(part: Part, table: str) -> Iterator[bytes]:
    """Yield all bytes of COPY in a file of a part."""
    with reading(part, table) as stream:
        while piece := stream.read(_BUFFER_BYTES):
            yield piece


def rows(part: Part, table: str) -> Iterator[CopiedRow]:
    """Yield the rows in a file of a part."""
    with reading(part, table) as stream:
        if stream.read(len(COPY_BEGINS)) != COPY_BEGINS:
            raise EOFError
        while (begins := _exactly(stream, _COUNT.size)) != COPY_ENDS:
            raw, fields = [begins], list[bytes | None]()
            for _ in range(*_COUNT.unpack(begins)):
                raw.append(_exactly(stream, _SIZE.size))
                (size,) = _SIZE.unpack(raw[-1])
                fields.append(None if size < 0 else _exactly(stream, size))
                raw.append(fields[-1] or b"")
            yield CopiedRow(b"".join(raw), fields)


def dictionaries_of(part: Part) -> dict[int, bytes]:
    """Return the dictionaries that came with a part, by version. Raises DamagedError."""
    if "dictionaries" not in part.manifest.tables:
        return {}
    return {int.from_bytes(row.fields[0] or b"", "big"): row.fields[2] or b"" for row in rows(part, "dictionaries")}


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
