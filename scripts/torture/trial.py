"""One trial of torture: two engines stream, processes are killed under them, and what is left is compared."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ledger.client import Client
from scripts.torture.fills import ANCHOR_S
from scripts.torture.reckoner import CLASSES, TIERS, reckon
from scripts.torture.served import ROOT, Served
from scripts.torture.verdict import Verdict

FORMS: Final = ("rows", "columns")
KILLS: Final = ("service", "engine", "postgres", "backend", "service and postgres", "everything")
_KILLS_MAX: Final = 3
_TRIAL_S_MAX: Final = 180
_POLL_S: Final = 0.002
_SCALE: Final = 8
_DAY_NS: Final = 86_400 * 10**9


class TortureError(Exception):
    """A trial cannot go on: one line for a person."""


@dataclass(frozen=True)
class Outcome:
    """Of one trial."""

    seed: int
    kills: Counter[str]
    fills: int  # numbers of both sources
    sent: int  # fills by the engines, each time
    recorded: int
    refused: int
    missing: int
    twice: int
    wrong: int
    findings: list[str]
    position: int
    seconds: float


class Engine:
    """A client process that sends the fills of one source, and is started again when it was killed."""

    def __init__(self, served: Served, folder: Path, trial: str, form: str, seed: int, fills: int) -> None:
        self.source = f"{trial}-{form}"
        self._command = [
            *(sys.executable, "-m", "scripts.torture.client", "--folder", str(folder)),
            *("--address", served.address, "--trial", trial, "--source", self.source, "--form", form),
            *("--seed", str(seed), "--fills", str(fills)),
        ]
        self._acked = folder / f"{self.source}.acked"
        self._said = (folder / f"{self.source}.log").open("w+b")
        self._tail: IO[bytes] | None = None
        self._lives = 0
        self.acknowledged = 0
        self.start()

    def start(self) -> None:
        """Its next life."""
        self._lives += 1
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            [*self._command, "--life", str(self._lives)],
            *(-1, None, subprocess.DEVNULL, self._said, self._said),
            cwd=ROOT,
            start_new_session=True,
        )

    def kill(self) -> bool:
        """Without a farewell; False: it has done its work already."""
        if self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        return True

    def look(self) -> int:
        """The last number that it knows to be durable. Raises TortureError if it failed."""
        if self._process.poll():
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise TortureError(f"{self.source} ended with {self._process.returncode}, and said: {said[-1]}")
        if self._tail is None and self._acked.exists():
            self._tail = self._acked.open("rb")
        if self._tail is not None and (told := re.findall(rb'"last": (\d+)', self._tail.read())):
            self.acknowledged = int(told[-1])
        return self.acknowledged

    @property
    def done(self) -> bool:
        """Whether it has sent all, and knows it to be durable."""
        return self._process.poll() == 0

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._said.close()
        if self._tail is not None:
            self._tail.close()


class Trial:
    """Sends `fills` of each of two sources, and kills what its seed says when its seed says."""

    def __init__(self, served: Served, folder: Path, seed: int, fills: int) -> None:
        self._served = served
        self._folder = folder
        self._seed = seed
        self._fills = fills
        self._name = f"t{seed}"
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._kills = Counter[str]()
        self._engines: list[Engine] = []

    def run(self, after_position: int) -> Outcome:
        """The whole trial; the log up to a position was compared before. Raises TortureError, LedgerError."""
        began_s = time.monotonic()
        prepare(self._served.address, self._name)
        try:
            for form in FORMS:
                self._engines.append(Engine(self._served, self._folder, self._name, form, self._seed, self._fills))
            for progress in sorted(self._chance.random() for _ in range(self._chance.randint(1, _KILLS_MAX))):
                self._wait_for(progress, began_s)
                self._kill(self._chance.choice(KILLS))
            self._wait_for(1, began_s)
        finally:
            for engine in self._engines:
                engine.close()
        return self._outcome(after_position, began_s)

    def _wait_for(self, progress: float, began_s: float) -> None:
        """Until so much of all is acknowledged; 1: until the engines have ended."""
        while not all(engine.done for engine in self._engines):
            acknowledged = sum(engine.look() for engine in self._engines)
            if progress < 1 and acknowledged >= progress * self._fills * len(self._engines):
                time.sleep(self._chance.random() * 0.01)  # anywhere between two acknowledgements
                return
            if time.monotonic() - began_s > _TRIAL_S_MAX:
                raise TortureError(
                    f"{acknowledged} fills are acknowledged after {_TRIAL_S_MAX} s, and it goes no further"
                )
            time.sleep(_POLL_S)

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
                self._served.kill_postgres()
                killed = True
            elif kind == "backend" and (backends := self._served.backends()):
                os.kill(self._chance.choice(backends), signal.SIGKILL)
                killed = True
        if not self._served.running:
            self._served.start()
        self._kills[kind] += killed

    def _outcome(self, after_position: int, began_s: float) -> Outcome:
        sources = {engine.source: self._fills for engine in self._engines}
        reckoned = reckon(self._folder, sources)
        verdict = Verdict(self._served.queries, self._name, reckoned)
        self._served.position("nobody")  # its channel has found the service again
        verdict.reach(self._folder, sources, after_position)
        return Outcome(
            seed=self._seed,
            kills=self._kills,
            fills=sum(sources.values()),
            sent=reckoned.sent,
            recorded=len(reckoned.lines) - verdict.missing,
            refused=len(reckoned.refused),
            missing=verdict.missing,
            twice=verdict.twice,
            wrong=verdict.wrong,
            findings=verdict.findings,
            position=verdict.position,
            seconds=time.monotonic() - began_s,
        )


def prepare(address: str, trial: str) -> None:
    """Symbols and tiers, known before the first fill. Safe to do again."""
    with Client(address, actor="torture", approver="torture-2", reason="a trial", timeout_s=60) as ledger:
        for symbol, pair_class in CLASSES.items():
            base, _, quote = symbol.partition("_")
            ledger.register_symbol(
                symbol,
                base_currency=base,
                quote_currency=quote,
                price_scale=_SCALE,
                quantity_scale=_SCALE,
                pair_class=pair_class,
                request_id=f"symbol-{symbol}",
            )
        for name, tier in TIERS.items():
            since_ns = ANCHOR_S * 10**9 - 30 * _DAY_NS
            account_id = f"{trial}.{name}"
            ledger.change_tier(account_id, tier=tier, valid_from=since_ns, request_id=f"tier-{account_id}")
