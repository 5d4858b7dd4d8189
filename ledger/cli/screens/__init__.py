"""Screens: answers of a ledger as text for people. What lays them out serves the tools too."""

from ledger.cli.screens.layout import count, headline, instant, table
from ledger.cli.screens.programme import programmes
from ledger.cli.screens.receipts import written

__all__ = ["count", "headline", "instant", "programmes", "table", "written"]
