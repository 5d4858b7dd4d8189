"""Tables of pages, as rows of cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def rows(page: str, first: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a page's tables whose first cell matches the pattern `first`."""
    for line in (ROOT / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(first, cells[0]):
            yield cells


def code(text: str) -> list[str]:
    """Return what stands in a text as code, in its order."""
    return re.findall(r"`([^`]+)`", text)
