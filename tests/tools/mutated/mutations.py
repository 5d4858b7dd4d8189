"""Changes bytes of a file by chance: the same seed always does the same."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from typing import Final

VALUES: Final = (
    *(b"", b" ", b"0", b"-1", b"+1", b"1.5.1", b"1e400", b"1E+5", b"-1e-99", b"9" * 40, b"9" * 5_000, b"NaN"),
    *(b"Infinity", b"null", b"true", b"[]", b"{}", b'"', b'""', b"'", b"\\", b"\\u0000", b"\\ud800", b"\0", b"\xff"),
    *(b"2024-02-30", b"2024-01-31T12:32:16.9440000001Z", b"0001-01-01", b"9999-12-31T23:59:59+99:99", b"1706704336944"),
    *("ü\u202e".encode(), b"=cmd|' /C calc'!A0", b"'; DROP TABLE engine; --", b'x".* FROM engine; --', b"a" * 20_000),
    *(b"[" * 5_000, b'{"a":' * 2_000, b"{a=" * 2_000, b"a." * 2_000 + b"a", b"0x" + b"f" * 5_000),
    *(b"Total", b"ADJUSTMENT", b"\x1b[2J", b"\\u001b[2J",
      b",", b";", b"\n", b"\r", b"\r\n", b"\t", b"[[[[[[", b"}}", b"XRP_USDT", b"FILL", b"buy"),
)  # fmt: skip
_TOKEN: Final = re.compile(rb'[^,;\n"{}\[\]:\s]+')

Mutation = Callable[[bytes, random.Random], bytes]


def _cut(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 1, 2, 8, 64, 1_000)))


def flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 10))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def drop(content: bytes, chance: random.Random) -> bytes:
    start, end = _cut(content, chance)
    return content[:start] + content[end:]


def repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = _cut(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 2, 50)) + content[end:]


def insert(content: bytes, chance: random.Random) -> bytes:
    start, _ = _cut(content, chance)
    return content[:start] + chance.choice((chance.choice(VALUES), chance.randbytes(8))) + content[start:]


def truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def change_value(content: bytes, chance: random.Random) -> bytes:
    found = [match.span() for match in _TOKEN.finditer(content)]
    if not found:
        return content
    start, end = chance.choice(found)
    other = slice(*chance.choice(found))
    return content[:start] + chance.choice((chance.choice(VALUES), content[other])) + content[end:]


def change_lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    place, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(4)
    if what == 0:
        del lines[place]
    elif what == 1:
        lines.insert(place, lines[other])
    elif what == 2:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        lines.insert(place, b"")
    return b"\n".join(lines)


def reshape(content: bytes, chance: random.Random) -> bytes:
    shapes: tuple[Callable[[], bytes], ...] = (
        lambda: content + content,
        lambda: b"[" + content + b"]",
        lambda: b'{"data":' + content + b"}",
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: content.replace(b",", chance.choice((b";", b"\t", b"|"))),
        lambda: content.decode("utf-8", "replace").encode("utf-16"),
        content.upper,
        lambda: gzip.compress(content)[: -chance.randrange(1, 9)],
        lambda: gzip.compress(content),
        lambda: b"[" * chance.choice((10, 100_000)) + content,
    )
    return chance.choice(shapes)()


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip, drop, repeat, insert, truncate, change_value, change_value, change_value, change_lines, reshape,
)  # fmt: skip


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return the content after one mutation, or a few."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        content = chance.choice(MUTATIONS)(content, chance)
    return content
