"""The tools for more than a single call: audit, check, rebuild, reconcile, evaluate and the like.

A tool is declared once, above the function that does it, in the group `TOOLS`; importing its module declares it. Where
only the packages of the client are installed, `MISSING` names the tools that need more, and the extra that brings it.
"""

from importlib import import_module
from typing import Final

from ledger.cli.extra import extra_of
from ledger.tools.group import TOOLS

__all__ = ["MISSING", "TOOLS"]

MISSING: Final[dict[str, str]] = {}
_MODULES: Final = {
    "audit": "audit.command",
    "backup": "backup",
    "bulk": "bulk.command",
    "cases": "cases.command",
    "check": "check",
    "config": "config",
    "controls": "controls",
    "database": "database",
    "doctor": "doctor.command",
    "evaluate": "evaluate",
    "history": "history.command",
    "import": "import_trades.command",
    "programme": "programme.command",
    "rebuild": "rebuild",
    "reconcile": "reconcile.arguments",
    "restore": "restore",
}

for _tool, _module in _MODULES.items():
    try:
        import_module(f"ledger.tools.{_module}")
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        MISSING[_tool] = extra
