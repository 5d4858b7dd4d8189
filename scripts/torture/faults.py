"""Faults of a writer that has a standby, of its clock, of its network, of PostgreSQL and of its disk.

Each is done to a stage under load, and undone; it returns the seconds until somebody wrote again. They run from the
fault where another service is to take over, and from the end of the fault where nobody could write before.

To add one: a function here, and its line in FAULTS.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scripts.torture.engine import TortureError
from scripts.torture.load import Load
from scripts.torture.proxy import Proxy
from scripts.torture.stage import Stage

_WAIT_S_MAX: Final = 60
_FULL_S_MAX: Final = 30  # PostgreSQL goes on where it finds room in its own files
_STOOD_S: Final = 0.5
_DAY_S: Final = 86_400
_SHORT: Final = (0.05, 0.4)  # of the silence after which a standby takes over
_LONG: Final = (0.1, 1.5)


@dataclass(frozen=True)
class Fault:
    """A fault, and how long at most nobody may write because of it."""

    do: Callable[[Stage, Load, random.Random], float]
    writes_again_s_max: float
    about: str  # for --help
    networks: bool = False  # each service in a network namespace, where this process may make them
    disk: bool = False  # PostgreSQL on a disk of its own


def _wait(stage: Stage, chance: random.Random, of_silence: tuple[float, float]) -> None:
    time.sleep(stage.silent_s_max * chance.uniform(*of_silence))


def _standby(stage: Stage, load: Load, chance: random.Random) -> float:
    at = load.writer()
    began_s = time.monotonic()
    stage.pair.services[at].kill()
    seconds = load.seconds_to_write(began_s, _WAIT_S_MAX, by=1 - at)
    _wait(stage, chance, _SHORT)
    stage.pair.services[at].start()
    return seconds


def _freeze(stage: Stage, load: Load, chance: random.Random) -> float:
    at = load.writer()
    began_s = time.monotonic()
    stage.pair.services[at].pause()
    try:
        seconds = load.seconds_to_write(began_s, _WAIT_S_MAX, by=1 - at)
        _wait(stage, chance, _SHORT)
    finally:
        stage.pair.services[at].go_on()
    return seconds


def _doze(stage: Stage, load: Load, chance: random.Random) -> float:
    at = load.writer()
    for _ in range(5):
        stage.pair.services[at].pause()
        time.sleep(chance.uniform(0.02, 1.5))
        awake_s = time.monotonic()
        stage.pair.services[at].go_on()
        time.sleep(chance.uniform(0.1, 0.5))
    return load.seconds_to_write(awake_s, _WAIT_S_MAX)


def _leap(stage: Stage, load: Load, chance: random.Random) -> float:
    """Set the clock of the writer: nobody writes until it is right again, as the writer keeps the pen and refuses."""
    at = load.writer()
    stage.pair.services[at].leap(chance.choice((-400, -1, 1, 400)) * _DAY_S)
    try:
        _wait(stage, chance, _LONG)
        if load.seconds_to_write(time.monotonic(), _STOOD_S) < float("inf"):
            raise TortureError("somebody writes while the clock of the writer is a day or more from where it should be")
    finally:
        right_s = time.monotonic()
        stage.pair.services[at].leap(0)
    return load.seconds_to_write(right_s, _WAIT_S_MAX)


def _freeze_postgres(stage: Stage, load: Load, chance: random.Random) -> float:
    load.writer()
    with stage.database.processes.frozen():
        _wait(stage, chance, _LONG)
        awake_s = time.monotonic()
    return load.seconds_to_write(awake_s, _WAIT_S_MAX)


def _cut(stage: Stage, load: Load, chance: random.Random) -> float:
    """Cut off the writer, so that it hears of it or not; or both, for a while."""
    at, hears = load.writer(), chance.random() < 0.5
    both = chance.random() < 0.3
    links = [link for place, link in enumerate(stage.pair.links) if both or place == at]
    began_s = time.monotonic()
    for link in links:
        link.freeze()
        if hears and isinstance(link, Proxy):
            link.cut()
    if not both:
        seconds = load.seconds_to_write(began_s, _WAIT_S_MAX, by=1 - at)
        _wait(stage, chance, _SHORT)
    else:
        _wait(stage, chance, _LONG)
    healed_s = time.monotonic()
    for link in links:
        link.thaw()
    return load.seconds_to_write(healed_s, _WAIT_S_MAX) if both else seconds


def _vanish(stage: Stage, load: Load, chance: random.Random) -> float:
    """Lose the machine of the writer: nobody tells PostgreSQL, whose session stays open, and with it the pen."""
    at = load.writer()
    began_s = time.monotonic()
    stage.pair.links[at].freeze()
    stage.pair.services[at].kill()
    seconds = load.seconds_to_write(began_s, _WAIT_S_MAX, by=1 - at)
    _wait(stage, chance, _SHORT)
    stage.pair.links[at].thaw()
    stage.pair.services[at].start()
    return seconds


def _full_disk(stage: Stage, load: Load, chance: random.Random) -> float:
    assert stage.disk is not None
    load.writer()
    began_s = time.monotonic()
    try:
        while True:
            stage.disk.fill()
            if load.seconds_to_write(time.monotonic(), _STOOD_S) == float("inf"):
                break
            if time.monotonic() > began_s + _FULL_S_MAX:
                raise TortureError(f"they write on a full disk for {_FULL_S_MAX} s")
        _wait(stage, chance, _SHORT)
    finally:
        freed_s = time.monotonic()
        stage.disk.free()
    stage.database.ensure_running()  # it ends itself where it cannot write down what it recovers
    return load.seconds_to_write(freed_s, _WAIT_S_MAX)


def _kill_postgres(stage: Stage, load: Load, _: random.Random) -> float:
    load.writer()
    stage.database.processes.kill()
    killed_s = time.monotonic()
    stage.database.ensure_running()
    return load.seconds_to_write(killed_s, _WAIT_S_MAX)


FAULTS: Final = {
    "standby": Fault(_standby, 2, "kill -9 of the writer; the standby takes over"),
    "freeze": Fault(_freeze, 15, "the writer stands still, and is revived after the standby has taken over"),
    "doze": Fault(_doze, 15, "the writer stands still for a moment, five times, around the span of its lease"),
    "leap": Fault(_leap, 15, "the clock of the writer is set by a day or by 400, forward or back, for a while"),
    "freeze postgres": Fault(_freeze_postgres, 15, "PostgreSQL stands still for a while"),
    "kill postgres": Fault(_kill_postgres, 15, "kill -9 of PostgreSQL under both services; it starts again"),
    "cut": Fault(_cut, 15, "the writer, or both, lose their network to PostgreSQL, and hear of it or not"),
    "vanish": Fault(_vanish, 15, "the machine of the writer is gone: its packets are lost, then it is killed",
                    networks=True),
    "full disk": Fault(_full_disk, 15, "the disk of PostgreSQL is full until nobody writes (needs root)", disk=True),
}  # fmt: skip
