"""The command line of a running ledger: what people ask and order from a shell."""

from ledger.cli.arguments import HelpFormatter, Parser
from ledger.cli.commands import add_commands, run

__all__ = ["HelpFormatter", "Parser", "add_commands", "run"]
