"""Every link of every page leads somewhere, and every path that a page names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT, code

# Folders in which a page of ours may lie; what git ignores lies elsewhere.
PLACES: Final = ("*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md", "tests/kept/*/*.md")
PAGES: Final = [page.relative_to(ROOT).as_posix() for place in PLACES for page in sorted(ROOT.glob(place))]
NAMED: Final = r"(?:ledger|projections|proto|scripts|tests|examples|docs|requirements)/[\w./*-]*"


def prose(page: str) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them: "A first fee" -> "a-first-fee"."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: str) -> Iterator[str]:
    """Yield each link of a page whose file or heading is missing."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match("https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("CHANGELOG.md", "CONTRIBUTING.md")])
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    """But for what CHANGELOG.md says of the past, and for the names to be given in CONTRIBUTING.md."""
    drawings = re.findall(r"^```\n.*?^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    drawn = [word for drawing in drawings for word in re.split(r"[\s:]+", drawing)]
    named = {path for path in (*code(prose(page)), *drawn) if re.fullmatch(NAMED, path)}
    assert [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))] == []
