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

_GIB, _MIB = FILE_BYTES_MAX >> 30, LINE_BYTES_MAX >> 20
LIMITS: Final = f"""\
A file may have {_GIB} GiB when it is unpacked, and {PACKED_RATIO_MAX} times its packed size if that is over
{PACKED_BYTES_FREE >> 20} MiB; {COLUMNS_MAX:,} columns, {CELL_CHARACTERS_MAX:,} characters a cell; {_MIB} MiB a line of
CSV or a fill of JSON, nested {DEPTH_MAX} deep. What is beyond is refused before it is built."""
