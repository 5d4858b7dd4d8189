"""A page as its reader sees it: cards by their names, tables by their captions, amounts as exact decimals."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

AMOUNT = re.compile(r"(-?[\d,]+(?:\.\d+)?) ?(.*)")


class Read(NamedTuple):
    """A table: rows and rows of sums, each cell by its head; a head that comes again has the last of its cells."""

    heads: list[str]
    rows: list[dict[str, str]]
    sums: list[dict[str, str]]

    def column(self, head: str, currency: str = "") -> Decimal:
        """The sum of a column, of the cells in a currency if one is named."""
        found = [amount(row[head]) for row in self.rows]
        return sum((value for value, unit in found if not currency or unit == currency), Decimal())

    def sum(self, head: str, currency: str) -> Decimal:
        """Return what the sum row of a currency says."""
        (found,) = [row for row in self.sums if currency in (row[self.heads[0]].split()[-1], row.get("currency"))]
        return amount(found[head])[0]


class PageRead:
    """A page that is well-formed; anything else fails to parse."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.tree = ElementTree.fromstring(self.text.removeprefix("<!doctype html>"))

    def cards(self) -> dict[str, list[str]]:
        """Return what cards say, by their names: the value, and what stands below it."""
        cards = (list(one) for one in self.tree.iter("div") if one.get("class") == "card")
        return {told(name): [told(value) for value in values] for name, *values in cards}

    def sums(self, card: str) -> dict[str, Decimal]:
        """The amounts of a card, by currency."""
        shown = " · ".join(self.cards()[card]).split(" · ")
        return {unit: value for value, unit in map(amount, shown)}

    def tables(self) -> dict[str, Read]:
        """All tables by their captions."""
        return {told(one.find("caption")): _read(one) for one in self.tree.iter("table")}


def told(element: ElementTree.Element | None) -> str:
    """All text of an element, its parts a space apart."""
    assert element is not None
    return " ".join(" ".join(element.itertext()).split())


def amount(text: str) -> tuple[Decimal, str]:
    """A number and the unit after it; no number is zero."""
    found = AMOUNT.fullmatch(text)
    return (Decimal(found[1].replace(",", "")), found[2]) if found else (Decimal(), "")


def reasons(text: str) -> dict[str, Decimal]:
    """Amounts by what stands after them: 5 with oneself, 2.5 while banned."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for part in re.split(r", (?=-?\d)|; ", text):
        value, why = amount(part)
        found[why] += value
    return found


def _read(table: ElementTree.Element) -> Read:
    scopes = {head.get("scope") for head in table.iter("th")}
    assert scopes <= {"col", "row"}, "a screen reader knows what each head is of"
    heads = [told(one) for one in table.findall("thead/tr/th")]
    rows, sums = (
        [dict(zip(heads, _cells(row), strict=True)) for row in table.findall(f"{part}/tr")]
        for part in ("tbody", "tfoot")
    )
    return Read(heads, rows, sums)


def _cells(row: ElementTree.Element) -> list[str]:
    """Return what each column of a row says; a cell over several columns is said in the first of them."""
    return [text for cell in row for text in (told(cell), *[""] * (int(cell.get("colspan") or 1) - 1))]
