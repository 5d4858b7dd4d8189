"""Write docs/operations/metrics.md and the files for Prometheus and Grafana; tests hold them current.

.venv/bin/python -m scripts.metrics
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.metrics.alerts import rules
from scripts.metrics.dashboard import dashboard
from scripts.metrics.page import PAGE, page

_FOLDER: Final = PAGE.parent / "prometheus"


def files() -> Mapping[Path, str]:
    """Return the text of each file."""
    return {PAGE: page(), _FOLDER / "alerts.yml": rules(), _FOLDER / "grafana.json": dashboard()}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
