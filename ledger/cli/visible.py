"""Texts that others wrote, in files and commands, as people see them: no terminal or browser acts on them."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""Return a text with all that is not printable escaped: ESC is \x1b, U+202E, which turns text around, \u202e."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
