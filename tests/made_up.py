"""A dataclass of the domain with fields that nobody gave: their values are made up by name and type."""

from __future__ import annotations

from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


def made_up(kind: type, at_ns: int, **given: Any) -> Any:
    """An event or a command; instants are `at_ns`.

    Fields with a default keep it: so the golden bytes of an event stay when it gains fields.
    """
    hints = get_type_hints(kind)
    needed = [field.name for field in fields(kind) if field.default is field.default_factory is MISSING]
    return kind(**{name: _value(name, hints[name], at_ns) for name in needed if name not in given}, **given)


def _value(name: str, hint: Any, at_ns: int) -> Any:
    if isinstance(hint, UnionType):
        return _value(name, get_args(hint)[0], at_ns)
    if get_origin(hint) is tuple:
        return (_value(name, get_args(hint)[0], at_ns),)
    if hint is int:
        return at_ns if name.endswith("_ns") else 7
    values = {str: name.upper(), bytes: b"\x0b" * 32, bool: True}
    assert hint in values, f"nothing is made up for {name}, {hint}: write a sample by hand"
    return values[hint]
