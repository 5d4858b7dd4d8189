"""A trial: two engines stream, something bad is done under them, and what is left is compared."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.client import Client
from scripts.torture.engine import Engine, TortureError
from scripts.torture.fills import ANCHOR_S
from scripts.torture.reckoner import CLASSES, TIERS, reckon
from scripts.torture.served import Served
from scripts.torture.verdict import Verdict

FORMS: Final = ("rows", "columns")
_TRIAL_S_MAX: Final = 180
_POLL_S: Final = 0.002
_SCALE: Final = 8
_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True)
class Outcome:
    """The end of one trial. The fields are those of an entry of a results file."""

    seed: int
    faults: dict[str, int]  # how often each was done
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
    writes_again_s: float | None = None  # from the fault, or its end, to the first write after it
    compared: int = 0  # answers, with what had been told before
    stale: int = 0  # answers and refusals by a state that was overtaken
    ahead: int = 0  # answers of a position that the log does not have
    slow: int = 0  # 1: nobody wrote for too long


class Trial(ABC):
    """Sends `fills` of each of two sources to the services, and does to them what its seed says."""

    def __init__(self, services: Sequence[Served], folder: Path, name: str, seed: int, fills: int) -> None:
        """`folder` takes the journals of the engines; accounts and sources begin with `name`."""
        self._services = services
        self._folder = folder
        self._seed = seed
        self._fills = fills
        self._name = name
        self._chance = random.Random(seed)  # noqa: S311 - a load
        self._faults = Counter[str]()
        self._engines: list[Engine] = []

    def run(self, after_position: int) -> Outcome:
        """Play the whole trial; the log up to a position was compared before. Raises TortureError, LedgerError."""
        began_s = time.monotonic()
        self._play(self._services[0], began_s)
        return self._outcome(after_position, began_s)

    @abstractmethod
    def _disturb(self, began_s: float) -> None:
        """Do something bad, while the engines stream."""

    def _play(self, writer: Served, began_s: float) -> None:
        prepare(writer.address, self._name)
        addresses = [service.address for service in self._services]
        try:
            for form in FORMS:
                self._engines.append(Engine(addresses, self._folder, self._name, form, self._seed, self._fills))
            self._disturb(began_s)
            self._wait_for(1, began_s)
        finally:
            for engine in self._engines:
                engine.close()

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

    def _outcome(self, after_position: int, began_s: float) -> Outcome:
        sources = {engine.source: self._fills for engine in self._engines}
        reckoned = reckon(self._folder, sources)
        verdict = Verdict(self._services[0].queries, self._name, reckoned)
        self._services[0].position("nobody")  # its channel has found the service again
        verdict.reach(self._folder, sources, after_position)
        return Outcome(
            seed=self._seed,
            faults=dict(self._faults),
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
