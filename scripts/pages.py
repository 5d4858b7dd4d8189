"""Pages of which people wrote the beginning, and a script makes the tables below that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path


def made_anew(page: Path, begins: str, lines: Iterable[str]) -> str:
    """Return the text of a page: up to the line `begins` as it is, and then the lines that are made."""
    written, _, _ = page.read_text(encoding="utf-8").partition(f"{begins}\n")
    return "\n".join([f"{written}{begins}\n", *lines]).rstrip() + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table of Markdown."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(cells)} |" for cells in rows)
