"""How far work of several kinds has come, one kind after another."""

from __future__ import annotations

from ledger.tools.progress import Progress


class Stages:
    """On stderr: see Progress; a new unit is a new stage."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unit = ""
        self._progress = Progress(name, "")

    def show(self, unit: str, done: int, total: int) -> None:
        """So many units are done."""
        if unit != self._unit:
            self._unit, self._progress = unit, Progress(self._name, unit)
        self._progress.show(done, total)

    def clear(self) -> None:
        """Make room for another line."""
        self._progress.clear()
