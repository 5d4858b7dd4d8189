"""The tools for more than a single call: audit, check, rebuild, reconcile, evaluate and the like.

A tool is declared once, above the function that does it, in the group `TOOLS`; importing its module declares it.
"""

import ledger.tools.audit.command
import ledger.tools.bulk.command
import ledger.tools.cases.command
import ledger.tools.check
import ledger.tools.config
import ledger.tools.controls
import ledger.tools.database
import ledger.tools.evaluate
import ledger.tools.history.command
import ledger.tools.import_trades.command
import ledger.tools.programme.command
import ledger.tools.rebuild
import ledger.tools.reconcile.arguments  # noqa: F401
from ledger.tools.group import TOOLS

__all__ = ["TOOLS"]
