"""Tells what became of the trials: a line for each, a file that nights add to, and a table of them all."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from scripts.torture.fills import Journal, journal
from scripts.torture.trial import Outcome

_FINDINGS_SHOWN: Final = 10
_SUMS: Final = {
    "fills": "fills",
    "sent": "fills sent",
    "recorded": "lines recorded",
    "refused": "fills refused",
    "compared": "answers compared",
    "missing": "missing",
    "twice": "twice",
    "wrong": "wrong",
    "stale": "stale",
    "ahead": "ahead",
    "slow": "slow",
}


class Report:
    """Adds up the trials of this run, and those of a results file: JSON lines, the fields of Outcome and `trial`."""

    def __init__(self, results: Path | None = None) -> None:
        self._path = results
        self._began_s = time.monotonic()
        self._known: set[tuple[str, int]] = set()
        self._faults = Counter[str]()
        self._sums = Counter[str]()
        self._writes_again_s: dict[str, list[float]] = defaultdict(list)
        self.done = 0
        self.failed: list[tuple[str, int]] = []

    def resume(self) -> None:
        """Read the results file, if there is one. Raises OSError."""
        if self._path is not None:
            for entry in journal(self._path):
                self._count(entry)
            self._file = Journal(self._path)

    def knows(self, trial: str, seed: int) -> bool:
        """Return whether the results file has a trial."""
        return (trial, seed) in self._known

    def add(self, trial: str, outcome: Outcome) -> None:
        """Count a trial, and tell of it in a line."""
        self._keep({"trial": trial, **asdict(outcome)})
        faults = ", ".join(f"{kind} x{times}" if times > 1 else kind for kind, times in outcome.faults.items() if times)
        again = f", written again after {outcome.writes_again_s:.2f} s" if outcome.writes_again_s is not None else ""
        read = f", {outcome.compared:,} answers compared" if outcome.compared else ""
        verdict = "good" if not outcome.findings else f"{len(outcome.findings):,} FINDINGS"
        print(
            f"{self.done:>4}: seed {outcome.seed}: {faults or 'nothing'}{again}; {outcome.fills:,} fills,"
            f" {outcome.sent - outcome.fills:,} resent, {outcome.recorded:,} recorded,"
            f" {outcome.refused:,} refused{read}, {outcome.seconds:.1f} s: {verdict}",
            flush=True,
        )
        self._show(trial, outcome.seed, outcome.findings)

    def fail(self, trial: str, seed: int, findings: Sequence[str]) -> None:
        """Count a trial that could not be brought to its end."""
        self._keep({"trial": trial, "seed": seed, "findings": list(findings)})
        self._show(trial, seed, findings)

    def _keep(self, entry: Mapping[str, Any]) -> None:
        if self._path is not None:
            self._file.write(entry)
        self._count(entry)

    def _count(self, entry: Mapping[str, Any]) -> None:
        trial, seed = entry["trial"], entry["seed"]
        self.done += 1
        self._known.add((trial, seed))
        self._faults.update(entry.get("faults", {}))
        self._sums.update({name: entry.get(name, 0) for name in _SUMS})
        if entry.get("writes_again_s") is not None:
            self._writes_again_s[trial].append(entry["writes_again_s"])
        if entry["findings"]:
            self.failed.append((trial, seed))

    def _show(self, trial: str, seed: int, findings: Sequence[str]) -> None:
        """Say what is wrong, and how to see it again."""
        for finding in findings[:_FINDINGS_SHOWN]:
            print(f"  {finding}")
        if len(findings) > _FINDINGS_SHOWN:
            print(f"  ... and {len(findings) - _FINDINGS_SHOWN:,} more")
        if findings:
            print(f'  again: python -m scripts.torture --faults "{trial}" --trials 1 --seed {seed}', flush=True)

    def table(self) -> str:
        """Return everything, name by name."""
        rows = [
            ("trials", self.done),
            *((f"fault: {kind}", times) for kind, times in self._faults.items()),
            *((text, self._sums[name]) for name, text in _SUMS.items()),
            ("trials that failed", len(self.failed)),
            ("minutes", round((time.monotonic() - self._began_s) / 60)),
        ]
        lines = [f"{name:<30}{value:>12,}" for name, value in rows]
        for trial, taken_s in self._writes_again_s.items():
            lines.append(f"{trial + ': written again, s':<38}p50 {median(taken_s):6.2f}  max {max(taken_s):6.2f}")
        if self.failed:
            lines.append("failed: " + ", ".join(f"{trial} {seed}" for trial, seed in self.failed))
        return "\n".join(lines)
