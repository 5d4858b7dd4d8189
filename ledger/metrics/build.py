"""The readings that tell which release runs."""

from __future__ import annotations

import platform
from importlib.metadata import version

from ledger.domain.rules import RULES_VERSION
from ledger.metrics.page import Readings


def build_readings(ledger_id: str) -> Readings:
    """Return which ledger this is, and which release; the ledger is empty for a process that was not told."""
    labels = (ledger_id, platform.python_version(), str(RULES_VERSION), version("fee-ledger"))
    return {"fee_ledger_build_info": {labels: 1}}
