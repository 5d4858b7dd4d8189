"""Values that a field may hold and nobody means, by the type of the field."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from tests.server.good_requests import programme_file

TEXTS: Final = (
    *("", " ", "a", "a" * 64, "a" * 65, "a" * 100_000, "é" * 50_000),
    *("\0", "a\0b", "a\n", "\r\n", "a\tb", "\x1b[31m", "\u202eevil", "\u2066a\u2069", "\u200b", "\ufeff", "\u2028"),
    *("e\u0301", "\uffff", "\U0010ffff", "\U0001f4b8", "../../etc/passwd", "';--", "%s%n", "{0}", "-", "ledger", "nan"),
)
DECIMALS: Final = (
    *(
        "0",
        "-0",
        "0.0",
        "1",
        "-1",
        "0.5",
        "1.50",
        "1e999999",
        "1E5",
        "+1",
        " 1",
        "1 ",
        "1.",
        ".5",
        "00.1",
        "1_000",
        "1,5",
    ),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "\u0663",
        "\uff11",
        "1" * 20,
        "1" * 21,
        "9" * 40,
        "1" * 4_301,
        "-" + "9" * 20,
    ),
    *(f"{'9' * 20}.{'9' * 18}", f"0.{'0' * 17}1", f"0.{'0' * 18}1", f"1.{'0' * 40}", "0.9999999", "0.000001"),
)
DAYS: Final = (
    *("2024-10-04", "2024-10-03", "1970-01-01", "2008-12-31", "2199-12-31", "2200-01-01", "0000-01-01", "0001-01-01"),
    *(
        "9999-12-31",
        "10000-01-01",
        "-001-01-01",
        "2024-02-30",
        "2023-02-29",
        "2024-1-1",
        "20241004",
        "\u0662\u0660\u0662\u0664-10-04",
    ),
    *(
        "2024-W40",
        "2024-W39",
        "2024-W53",
        "2020-W53",
        "0000-W01",
        "9999-W53",
        "2024-W00",
        "2024-W40-1",
        "2024-10-04T00",
    ),
)
_MANY: Final = 4_400  # digits of a number that Python would not read
_NOT_TOML: Final = (
    *(f"a{'.a' * 40_000} = 1", "a = " + "[" * 20_000, "a = " + "{a=" * 5_000, "[" * 20_000, f"a = {'1' * _MANY}"),
    *(
        f"a = 1e{'9' * _MANY}",
        f"a = 0x{'f' * _MANY}",
        f'a = "{"b" * 200_000}"',
        "a = '''",
        'a = """\\',
        "\0",
        "a" * 300_000,
    ),
    *("[[a]]\n" * 30_000, "a = 1\na = 1", "a = 9999-99-99", "a = 2024-01-01T00:00:00+99:99", 'a = "\\ud800"', "= 1"),
)
# What stands in the packaged programme, and what is put in its place.
_PLACES: Final = ("3.0", "bitmart", "VIP1", "30", "0.25%", "100_000", "UTC", "true", "[", "=", '"', "P30D", "8, 18, 28")
_STANDS: Final = (
    *(
        "",
        "-1",
        "0",
        "9" * 30,
        "1" * _MANY,
        "1e308",
        "nan",
        "inf",
        "-0.0",
        "true",
        "[]",
        "{}",
        '""',
        "a.b.c",
        "1979-05-27",
    ),
    *(
        "07:32:00",
        "0.0000001%",
        "101%",
        "VIP9",
        "\u202e",
        "Europe/Nowhere",
        "../../etc/localtime",
        "P0D",
        "P99999D",
        "29",
    ),
)


_BROKEN: Final = tuple(product(_PLACES, _STANDS))
_PARTS: Final = 16


def file(place: int, version: str) -> str:
    """One of many programme files, for any place: a good one, one that is broken or cut, or no TOML at all."""
    place, kind = divmod(place, 4)
    good = programme_file(version)
    if kind == 0:
        return _NOT_TOML[place % len(_NOT_TOML)]
    if kind == 1:
        return good[: len(good) * (place % _PARTS) // _PARTS]
    return good.replace(*_BROKEN[place % len(_BROKEN)]) if kind == 2 else good


NOW_S: Final = int(time.time())
_SECONDS: Final = (
    *(0, -1, 1, NOW_S, NOW_S - 3_600, NOW_S - 40 * 86_400, NOW_S + 59, NOW_S + 61, NOW_S + 40 * 86_400),
    *(
        1_728_000_000,
        1_728_043_200,
        1_727_481_600,
        1_728_345_600,
        1_729_209_600,
        1_730_073_600,
        1_731_024_000,
        1_230_767_999,
        1_230_768_000,
        7_258_118_399,
    ),
    *(7_258_118_400, -62_135_596_800, -62_135_596_801, 253_402_300_799, 253_402_300_800, 2**31, 2**33),
    *(9_223_372_036, 9_223_372_037, -(2**63), 2**63 - 1),
)
_NANOS: Final = (0, 0, 0, 0, 1, 999_999_999, 10**9, -1, 2**31 - 1, -(2**31))
TIMES: Final = tuple(Timestamp(seconds=seconds, nanos=nanos) for seconds in _SECONDS for nanos in _NANOS)

_INT32: Final = (0, 1, 2, 3, 7, 8, 18, 19, 100, 365, 366, 367, 10_001, -1, -(2**31), 2**31 - 1)
_INT64: Final = (*_INT32, 2**31, 2**53, -(2**63), 2**63 - 1)
_UINT64: Final = (*(each for each in _INT64 if each >= 0), 2**63, 2**64 - 1)
_BYTES: Final = (b"", b"\0", b"\1" * 31, b"\1" * 32, b"\1" * 33, b"\xff" * 32, b"\xff" * 8, bytes(24), b"a" * 100_000)

_F: Final = FieldDescriptor
_BY_TYPE: Final[Mapping[int, Sequence[Any]]] = {
    _F.TYPE_STRING: (*TEXTS, *DECIMALS, *DAYS),
    _F.TYPE_BYTES: _BYTES,
    _F.TYPE_BOOL: (False, True),
    _F.TYPE_INT32: _INT32,
    _F.TYPE_UINT32: (*(each for each in _INT32 if each >= 0), 2**32 - 1),
    _F.TYPE_INT64: _INT64,
    _F.TYPE_UINT64: _UINT64,
    _F.TYPE_SINT64: _INT64,
    _F.TYPE_ENUM: (0, 1, 2, 3, 4, 5, 99, -1, -(2**31), 2**31 - 1),
}


def values_of(field: FieldDescriptor) -> Sequence[Any]:
    """What a field of numbers, text or bytes is tried with. Raises KeyError for a type that no contract has."""
    return _BY_TYPE[field.type]
