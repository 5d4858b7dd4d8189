"""Screens: answers of a ledger as text for people. What lays them out serves the tools too."""

from ledger.cli.screens.layout import NONE, headline, instant, many, name, pairs, paragraph, percent, table
from ledger.cli.screens.programme import programmes
from ledger.cli.screens.receipts import written

__all__ = [
    "NONE",
    "headline",
    "instant",
    "many",
    "name",
    "pairs",
    "paragraph",
    "percent",
    "programmes",
    "table",
    "written",
]
