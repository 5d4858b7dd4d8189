"""The group of `fee-ledger` in which the tools are declared, each above the function that does it."""

from typing import Final

from ledger.cli import Group

TOOLS: Final = Group("tools")
