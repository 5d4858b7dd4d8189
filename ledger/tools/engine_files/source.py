"""Opening a file of fills: a regular file, plain or gzip as its first bytes tell, never unpacked beyond its limits."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.limits import CHUNK_BYTES, FILE_BYTES_MAX, PACKED_BYTES_FREE, PACKED_RATIO_MAX

_GZIP: Final = b"\x1f\x8b"
_TOO_LARGE: Final = f"has more than {FILE_BYTES_MAX >> 30} GiB: split it"
_BOM: Final = b"\xef\xbb\xbf"


def check_file(path: Path) -> None:
    """Raise UnusableError unless there is a regular file: no folder, no pipe, no device, which may never end."""
    try:
        regular, there = path.is_file(), path.exists()
    except ValueError:  # a NUL in the name
        regular = there = False
    if regular and path.stat().st_size > FILE_BYTES_MAX:
        raise UnusableError(f"{path}: {_TOO_LARGE}")
    if not regular:
        kind = "is a folder" if there and path.is_dir() else "is no regular file: write it to one first"
        raise UnusableError(f"{path}: {kind if there else 'there is no such file'}")


def is_packed(path: Path) -> bool:
    """Return True for a gzip file. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield the unpacked bytes of a file without its byte order mark; every fault of the file is an UnusableError."""
    check_file(path)
    try:
        with path.open("rb") as packed:
            file: Any = packed
            if packed.peek(len(_GZIP))[: len(_GZIP)] == _GZIP:
                file = gzip.GzipFile(fileobj=packed)
            unpacked = io.BufferedReader(_Bounded(path, file, packed), CHUNK_BYTES)
            if unpacked.peek(len(_BOM))[: len(_BOM)] == _BOM:
                unpacked.read(len(_BOM))
            yield unpacked
    except EOFError as error:
        raise UnusableError(f"{path}: the gzip file is truncated") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnusableError(f"{path}: the gzip file is damaged: {error}") from error
    except UnicodeDecodeError as error:
        raise UnusableError(f"{path}: is no UTF-8 text: {error}") from error
    except OSError as error:
        raise UnusableError(f"{path}: cannot be read: {error.strerror or error}") from error


class _Bounded(io.RawIOBase):
    """The bytes of a file, counted as they are unpacked."""

    def __init__(self, path: Path, unpacked: Any, packed: BinaryIO) -> None:
        self._path = path
        self._unpacked = unpacked
        self._packed = packed
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer. Raises UnusableError beyond a limit."""
        size: int = self._unpacked.readinto(buffer)
        self._count += size
        if self._count > FILE_BYTES_MAX:
            raise UnusableError(f"{self._path}: {_TOO_LARGE}")
        if self._unpacked is self._packed or self._count <= PACKED_BYTES_FREE:
            return size
        if self._count > PACKED_RATIO_MAX * self._packed.tell():
            raise UnusableError(
                f"{self._path}: unpacks to more than {PACKED_RATIO_MAX} times its size, as no file of fills does:"
                " unpack it yourself if it is one"
            )
        return size
