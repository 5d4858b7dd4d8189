"""Parts of pages as the templates show them: cards, and tables of which those of amounts end in sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_CSS: Final = {">": "n", "@": "time", "~": "words"}


class Card(NamedTuple):
    """A value under its name, with what goes with it below; `css` is good, bad or nothing."""

    name: str
    value: str
    more: str = ""
    css: str = ""


class Table(NamedTuple):
    """Rows under heads, and below them rows of sums, of which the first cell says what they are of.

    A head with ">" before it is of numbers, with "@" of times, with "~" of sentences. `caption` names the table to a
    screen reader.
    """

    caption: str
    heads: Sequence[str]
    rows: Iterable[Sequence[str]]
    sums: Iterable[Sequence[str]] = ()

    @property
    def css(self) -> list[str]:
        """The class of each column."""
        return [_CSS.get(head[:1], "") for head in self.heads]
