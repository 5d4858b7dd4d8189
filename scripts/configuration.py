"""Write the tables of docs/configuration.md from those of `ledger/config`; a test holds them current.

.venv/bin/python -m scripts.configuration
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from ledger.config import KNOBS, RELATIONS
from ledger.knobs.knob import Choice, Knob, Switch, Text, Whole
from scripts.pages import made_anew, table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

_BEGINS: Final = "<!-- what follows is made from ledger/config.py: .venv/bin/python -m scripts.configuration -->"
_HEADS: Final = ("knob", "unit", "default", "limits", "what it is", "what it costs")
_MIB: Final = 1024 * 1024


def page() -> str:
    """Return the text of the page: what people wrote of it, as it is, and the tables anew."""
    return made_anew(PAGE, _BEGINS, _lines())


def _lines() -> Iterator[str]:
    for heading, knobs in groupby(KNOBS.values(), key=lambda knob: knob.heading):
        yield f"## {heading[0].upper()}{heading[1:]}\n"
        yield from table(_HEADS, map(_cells, knobs))
        yield ""
    yield "## What must hold between them\n"
    yield from (f"- {relation}" for relation in RELATIONS)


def _cells(knob: Knob) -> tuple[str, ...]:
    return (f"`{knob.name}`", knob.unit, _default(knob), _limits(knob), knob.says, knob.costs)


def _default(knob: Knob) -> str:
    if isinstance(knob, Switch):
        return "true" if knob.default else "false"
    in_mib = knob.unit == "bytes" and knob.default % _MIB == 0
    return f"{knob.default or ''}{f' ({knob.default // _MIB} MiB)' if in_mib else ''}"


def _limits(knob: Knob) -> str:
    match knob:
        case Whole():
            return f"{knob.lowest} to {knob.highest}"
        case Choice():
            return ", ".join(knob.choices)
        case Text(is_secret=False) if "|" not in knob.pattern:  # which would end the cell
            return f"`{knob.pattern}`"
        case _:
            return knob.form


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
