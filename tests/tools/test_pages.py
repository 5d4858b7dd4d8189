"""Both pages: every value is escaped, and what is printed is whole, as far as a style can say it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ledger.tools.pages import environment
from ledger.tools.pages.drawing import NARROW, WIDE, Frame, box, rooted
from ledger.tools.pages.parts import Card, Table
from ledger.tools.reconcile.chart import Day, days_chart

STYLE = (Path(environment.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "a\u202eb",
    "x\x00\u200by\u3164",
]
TAGS = {"div", "span", "b", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "svg", "title", "rect"}
TABLE = """{% from "parts.html.j2" import table %}<div>{{ table(table_of) }}</div>"""
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
    shown = (
        text.replace("\u202e", r"\u202e")
        .replace("\x00", r"\x00")
        .replace("\u200b", r"\u200b")
        .replace("\u3164", r"\u3164")
    )
    assert "".join(read.itertext()).count(shown) >= 10


def test_a_time_is_broken_between_the_day_and_the_hour_and_nowhere_else() -> None:
    times = Table("times", ("@until", ">fills"), [("2024-10-05 12:00:00", "1")])
    page = environment._ENVIRONMENT.from_string(TABLE).render(table_of=times)
    assert [part.text for part in ElementTree.fromstring(page).iter("span")] == ["2024-10-05", "12:00:00"]
    assert "".join(ElementTree.fromstring(page).itertext()).count("2024-10-05 12:00:00") == 1


def test_a_number_is_broken_only_where_it_is_longer_than_its_place() -> None:
    screen, _, paper = STYLE.partition("@media print {")
    (card,) = re.findall(r"^\.card \{([^}]*)\}", screen, re.MULTILINE)
    assert "overflow-wrap: break-word" in card, "a card is as wide as its longest word"
    assert re.search(r"^\.cards \{[^}]*display: flex", screen, re.MULTILINE), "a column of a grid is not"
    rows = [("1,234.56", "1"), ("1" * 40, "")]
    page = environment._ENVIRONMENT.from_string(TABLE).render(table_of=Table("", (">volume", ">fees"), rows, rows))
    rooms = [cell.get("style") for cell in ElementTree.fromstring(page).iter("td")]
    assert rooms[:4] == [f"min-width: calc({count}ch + 8px)" for count in (8, 1, 23, 0)]
    assert "td.n, " in paper.partition("{ overflow-wrap: anywhere; }")[0], "no number lies beyond the edge"
    assert re.search(r"\.whole[^{]*\{ white-space: nowrap", paper)


@pytest.mark.parametrize("days", [1, 2, 88, 89, 90, 366])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_name_of_a_day_lies_in_the_chart(days: int, width: int) -> None:
    named = [Day(f"2026-{number:05}", 1, 1, 0) for number in range(days)]
    places = [float(mark.attributes["x"]) for mark in days_chart(named, width).marks if mark.words.startswith("2026-")]
    assert places
    assert all(40 <= place <= width - 40 for place in places), "a name of a day is 66 pixels wide"


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
