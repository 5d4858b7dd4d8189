"""No file of the user who runs the tests is read."""

from __future__ import annotations

import pytest

from ledger.knobs import settings


@pytest.fixture(autouse=True)
def _no_usual_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "default_config", lambda: None)
