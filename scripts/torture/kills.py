"""kill -9 of a service that has its PostgreSQL with it, of PostgreSQL, and of the engines."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from scripts.torture.served import Served
from scripts.torture.trial import Trial

KILLS: Final = ("service", "engine", "postgres", "backend", "service and postgres", "everything")
_KILLS_MAX: Final = 3


class KillTrial(Trial):
    """Kills one to three times, at random points; what was killed starts again."""

    def __init__(self, served: Served, folder: Path, seed: int, fills: int, kills: Sequence[str] = KILLS) -> None:
        super().__init__([served], folder, f"t{seed}", seed, fills)
        self._served = served
        self._kills = kills

    def _disturb(self, began_s: float) -> None:
        for progress in sorted(self._chance.random() for _ in range(self._chance.randint(1, _KILLS_MAX))):
            self._wait_for(progress, began_s)
            self._kill(self._chance.choice(self._kills))

    def _kill(self, kind: str) -> None:
        """Kill, and start again what nobody else starts."""
        killed = False
        engines = [self._chance.choice(self._engines)] if kind == "engine" else []
        if kind == "everything":
            engines = self._engines
        for engine in engines:
            if engine.kill():
                killed = True
                engine.start()
        if kind in ("service", "service and postgres", "everything"):
            self._served.kill()
            killed = True
        with suppress(FileNotFoundError, ProcessLookupError):  # it is just being started again
            if kind in ("postgres", "service and postgres", "everything"):
                self._served.postgres.kill()
                killed = True
            elif kind == "backend" and (backends := self._served.postgres.backends()):
                os.kill(self._chance.choice(backends), signal.SIGKILL)
                killed = True
        if not self._served.running:
            self._served.start()
        self._faults[kind] += killed
