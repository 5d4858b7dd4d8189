"""Both pages: every value is escaped, and what is printed is whole, as far as a style can say it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ledger.tools.pages import environment
from ledger.tools.pages.drawing import Frame, box, rooted
from ledger.tools.pages.parts import Card, Table

STYLE = (Path(environment.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
HOSTILE = ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "javascript:alert(1)", "a\u202eb", "x\x00\u200by"]
TAGS = {"div", "span", "b", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "svg", "title", "rect"}
PARTS = """{% from "parts.html.j2" import cards, charts, folded, table %}
<div>{{ cards([card]) }}{{ table(numbers) }}{{ charts(chart, chart) }}
{% call folded(text) %}{{ text }}{% endcall %}</div>"""


@pytest.mark.parametrize("text", HOSTILE)
def test_every_value_is_shown_as_text_and_nothing_of_it_hides(text: str) -> None:
    page = environment._ENVIRONMENT.from_string(PARTS).render(
        card=Card(text, text, text),
        numbers=Table(text, (f">{text}", "b"), [(text, "")], [(text, "")]),
        chart=Frame(100, 100, 0, 1).chart(text, [box(0, 0, 1, 1, "charge", text)]),
        text=text,
    )
    read = ElementTree.fromstring(page)
    tags = {element.tag for element in read.iter()}
    assert tags <= TAGS | {"details", "summary"}
    assert not {name for element in read.iter() for name in element.attrib if name.startswith(("on", "href"))}
    shown = text.replace("\u202e", r"\u202e").replace("\x00", r"\x00").replace("\u200b", r"\u200b")
    assert "".join(read.itertext()).count(shown) >= 10


def test_on_paper_heads_come_again_folds_are_open_and_nothing_is_cut() -> None:
    screen, _, paper = STYLE.partition("@media print {")
    assert "@page { margin: 12mm; }" in screen
    assert "thead { display: table-header-group;" in paper
    assert re.search(r"tfoot \{ display: table-row-group", paper), "sums are at the end, not on each sheet"
    assert re.search(r"details::details-content \{[^}]*content-visibility: visible", paper)
    assert re.search(r"\.card, \.chart, [^{]*tr \{ break-inside: avoid", paper)
    assert ".scroll { overflow: visible; }" in paper
    assert "body { background: none;" in paper
    assert "overflow: hidden" not in re.sub(r"caption \{[^}]*\}", "", STYLE), "a caption alone is for screen readers"
    dark = re.findall(r"@media ([^{]*prefers-color-scheme[^{]*)\{", STYLE)
    assert dark == ["screen and (prefers-color-scheme: dark) "], "paper is light"


@pytest.mark.parametrize("values", [[], [5.0], [-3.0], [1000.0, -0.5, 0.1], [0.00012, 0.0], [1.0]])
def test_a_square_root_scale_holds_every_value_and_its_ticks_have_room(values: list[float]) -> None:
    frame = Frame(1080, 240, 0, 1)
    scale, ticks = rooted(frame, values)
    assert all(frame.top - 0.01 <= scale.y(value) <= frame.floor + 0.01 for value in [*values, *ticks])
    places = sorted(map(scale.y, ticks))
    assert all(below - above >= 20 for above, below in pairwise(places))
    assert len(ticks) > 1
    assert 0.0 in ticks
