"""Write the table of docs/operations/doctor.md from that of `ledger/tools/doctor/checks`; a test holds it current.

.venv/bin/python -m scripts.doctor
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.tools.doctor.checks import CHECKS, Check

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "operations" / "doctor.md"

_BEGINS: Final = "<!-- what follows is made from ledger/tools/doctor: .venv/bin/python -m scripts.doctor -->\n"
_HEADS: Final = ("check", "what it looks at", "what it finds", "needs")


def page() -> str:
    """Return the text of the page: what people wrote of it, as it is, and the table anew."""
    written, begins, _ = PAGE.read_text(encoding="utf-8").partition(_BEGINS)
    return f"{written}{begins}\n" + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f"| {' | '.join(_HEADS)} |"
    yield f"|{'---|' * len(_HEADS)}"
    yield from map(_row, CHECKS)


def _row(check: Check) -> str:
    return f"| `{check.name}` | {check.looks_at} | {check.finds} | {check.needs} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
