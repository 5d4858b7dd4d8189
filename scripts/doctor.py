"""Write the table of docs/operations/doctor.md from that of `ledger/tools/doctor/checks`; a test holds it current.

.venv/bin/python -m scripts.doctor
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.tools.doctor.checks import CHECKS
from scripts.pages import made_anew, table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "operations" / "doctor.md"

_BEGINS: Final = "<!-- what follows is made from ledger/tools/doctor: .venv/bin/python -m scripts.doctor -->"
_HEADS: Final = ("check", "what it looks at", "what it finds", "needs")


def page() -> str:
    """Return the text of the page: what people wrote of it, as it is, and the table anew."""
    rows = ((f"`{check.name}`", check.looks_at, check.finds, check.needs) for check in CHECKS)
    return made_anew(PAGE, _BEGINS, table(_HEADS, rows))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
