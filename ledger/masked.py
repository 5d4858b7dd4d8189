"""Passwords in texts that people and logs are told, such as the error of a connection string, made unreadable."""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = "***"
# Up to the last @: one that is wrong may have several.
_IN_URI: Final = re.compile(r"(?i)\b(postgres(?:ql)?://[^\s:/@]*:).*@")
_IN_URL: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]*@")  # of any other kind
_QUOTED: Final = r"""'(?:[^'\\]|\\.)*'?|"[^"]*"?"""
# As libpq reads it: up to a blank that no \ is before, or in a URI up to the next parameter.
_IN_PAIR: Final = re.compile(rf"(?i)(password\s*=\s*)({_QUOTED}|(?:\\.|&(?!\w+=)|[^\s\\&])+)")
_IN_MAPPING: Final = re.compile(rf"(?i)(password['\"]\s*:\s*)({_QUOTED}|[^\s&'\",}}]+)")
_IN_SQL: Final = re.compile(r"(?i)(\bpassword\s+)('(?:[^']|'')*'?)")


def masked(text: str) -> str:
    """Return a text with *** in place of each password of a URL, a connection string, a mapping or a statement."""
    for pattern in (_IN_URI, _IN_URL):
        text = pattern.sub(rf"\1{_MASK}@", text)
    for pattern in (_IN_PAIR, _IN_MAPPING):
        text = pattern.sub(rf"\1{_MASK}", text)
    return _IN_SQL.sub(rf"\1{_MASK}", text)
