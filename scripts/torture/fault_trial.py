"""A trial of one fault under load: engines stream to two services, and all that both answer is compared."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from scripts.torture.faults import FAULTS
from scripts.torture.load import Load
from scripts.torture.stage import SCHEMA, Stage
from scripts.torture.trial import Outcome, Trial

_WATCH_S: Final = 1.0  # what was revived is left under load so long


class FaultTrial(Trial):
    """Does one fault at a random moment, and finds out how long nobody wrote."""

    def __init__(self, stage: Stage, folder: Path, seed: int, fills: int, fault: str) -> None:
        super().__init__(stage.pair.services, folder, f"{fault.replace(' ', '-')}-{seed}", seed, fills)
        self._chance = random.Random(f"{seed}:{fault}")  # noqa: S311 - a load
        self._stage = stage
        self._fault = fault
        self._writes_again_s = float("inf")

    def run(self, after_position: int) -> Outcome:
        """Play the whole trial; the log up to a position was compared before. Raises TortureError, LedgerError."""
        began_s = time.monotonic()
        with Load(self._stage.database.dsn, SCHEMA, *self._services) as self._load:
            self._play(self._services[self._load.writer()], began_s)
        history, slowest_s = self._load.history, FAULTS[self._fault].writes_again_s_max
        outcome = self._outcome(after_position, began_s)
        slow = self._writes_again_s > slowest_s
        late = [f"somebody wrote again after {self._writes_again_s:.1f} s, at most {slowest_s:g}"] if slow else []
        return replace(
            outcome,
            writes_again_s=self._writes_again_s,
            compared=history.compared,
            stale=history.stale,
            ahead=history.ahead,
            slow=int(slow),
            findings=[*outcome.findings, *history.findings, *late],
        )

    def _disturb(self, began_s: float) -> None:
        self._wait_for(self._chance.random(), began_s)
        self._writes_again_s = FAULTS[self._fault].do(self._stage, self._load, self._chance)
        self._faults[self._fault] += 1
        time.sleep(_WATCH_S)
