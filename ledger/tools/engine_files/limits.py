"""How much of a file is taken in at once. A file beyond a limit is refused before anything of that size is built."""

from __future__ import annotations

from typing import Final

FILE_BYTES_MAX: Final = 16 << 30  # unpacked
PACKED_BYTES_FREE: Final = 64 << 20  # unpacked bytes up to which a gzip file may be as dense as it likes
PACKED_RATIO_MAX: Final = 250  # unpacked bytes per packed one beyond that; fills have 3 to 30, zeros have 1,030
LINE_BYTES_MAX: Final = 1 << 20  # of CSV, its header included
FILL_BYTES_MAX: Final = 1 << 20  # of a JSON file from the end of one fill to the end of the next
DEPTH_MAX: Final = 32  # of objects and lists in a JSON document
COLUMNS_MAX: Final = 1_000
CELL_CHARACTERS_MAX: Final = 10_000
CHUNK_BYTES: Final = 64 << 10

_GIB, _MIB, _FREE = FILE_BYTES_MAX >> 30, LINE_BYTES_MAX >> 20, PACKED_BYTES_FREE >> 20
LIMITS: Final = f"""\
A file may have {_GIB} GiB (gzip: unpacked, and over {_FREE} MiB at most {PACKED_RATIO_MAX} times its own size), a
line of CSV or an entry of JSON {_MIB} MiB, nested {DEPTH_MAX} deep. What is beyond is refused before it is built"""
