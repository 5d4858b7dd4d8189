"""Names and texts of foreign files in SQL, quoted: the one place where either gets into a statement."""

from __future__ import annotations

import duckdb


def name(text: str, *fields: str) -> str:
    """Quote an identifier, or a field of a struct: `x"y` is "x""y", and `fee`, `cost` is "fee"."cost"."""
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (text, *fields))


def text(value: object) -> str:
    """Quote a text: it's is 'it''s'."""
    return str(duckdb.ConstantExpression(str(value)))
