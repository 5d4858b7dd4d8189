"""Passwords in texts that people and logs are told, such as the error of a connection string, made unreadable."""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = "***"
# Up to the last @: one that is wrong may have several.
_IN_URI: Final = re.compile(r"(?i)\b(postgres(?:ql)?://[^\s:/@]*:).*@")
_IN_PAIR: Final = re.compile(r"(?i)(password\s*=\s*|password['\"]\s*:\s*)('(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|[^\s&'\",}]+)")
_IN_SQL: Final = re.compile(r"(?i)(\bpassword\s+)('(?:[^']|'')*'?)")


def masked(text: str) -> str:
    """Return a text with *** in place of each password of a connection string, of a mapping or of a statement."""
    text = _IN_URI.sub(rf"\1{_MASK}@", text)
    text = _IN_PAIR.sub(rf"\1{_MASK}", text)
    return _IN_SQL.sub(rf"\1{_MASK}", text)
