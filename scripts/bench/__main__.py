"""Measure the ledger on this machine; `make bench` runs it. See --help."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final, NamedTuple, Protocol

try:
    import grpc
    import psycopg

    from ledger.cli.errors import ended
    from ledger.store.postgres.embedded import EmbeddedError
    from ledger.tools.files import write_whole
    from scripts.bench.aged import Aged, OneAccount, Publish
    from scripts.bench.asof import AsOf
    from scripts.bench.closes import Closes
    from scripts.bench.copy import BEST, CopyRowPerFill
    from scripts.bench.evaluation import Evaluation
    from scripts.bench.eventsourcing import EventSourcing
    from scripts.bench.figures import (
        FIGURES,
        REBUILD,
        REBUILD_RATIO,
        REPLAY,
        REPLAY_CPU,
        REPLAY_CPU_RATIO,
        REPLAY_MEMBERS_CPU,
        REPLAY_MEMBERS_CPU_RATIO,
        REPLAY_RATIO,
        Figure,
    )
    from scripts.bench.hostile import Hostile
    from scripts.bench.lanes import Lanes
    from scripts.bench.layout import Layout
    from scripts.bench.lists import Lists
    from scripts.bench.memory import Memory
    from scripts.bench.options import parse
    from scripts.bench.profile import Profile
    from scripts.bench.reads import Reads
    from scripts.bench.rebuild import rebuild
    from scripts.bench.replay import replay, replay_members
    from scripts.bench.reprice import Reprice
    from scripts.bench.resend import Resend
    from scripts.bench.rows import RowLoad
    from scripts.bench.scenario import MIXES, Mix, Scenario
    from scripts.bench.single import Single
    from scripts.bench.store import Failed, Store, throw_away_store
    from scripts.bench.unary import Unary
except ImportError as error:
    print(f"bench: {error.name or error} is missing: run `make bench`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

_TURNS: Final = 9  # of the reads, over all rounds: a median is one of at least so many ratios
_PEER_SLICES: Final = 2  # each way of a peer is measured for so many times --seconds
_LANES_SLICES: Final = 5  # single calls are timed for so many times --seconds beside each load
_LISTS_SLICES: Final = 20  # a list is asked for so many times --seconds at most
_ASOF_SLICES: Final = 4  # reads of the past are timed for so many times --seconds, at day ends and inside days

_ONCE: Final = ("memory", "profile")  # measured in the first round only


class Measurement(Protocol):
    """A way to get some figures, ready to run any number of rounds."""

    settings: Mapping[str, object]

    def run(self, store: Store, schema: str) -> Mapping[str, float | Sequence[float]]:
        """One round: values by name of figure, one or several. Raises Failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parse(arguments)
    lost = (EmbeddedError, psycopg.Error, grpc.RpcError, subprocess.SubprocessError)
    return ended(lambda: _run(options), "bench", unusable=lost)


def _run(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, nothing is left behind
    try:
        measured = _measure(options)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted, nothing measured", file=sys.stderr)
        return 130
    names = [name for name in options.names if not set(FIGURES[name].needs) & measured.failed.keys()]
    results = [_result(name, measured.values[name], measured.settings[name]) for name in names]
    if results:
        _print_table(results)
    if options.json:
        write_whole(options.json, json.dumps(results, indent=2) + "\n")
    for key, why in measured.failed.items():
        print(f"bench: {key} failed, and what rests on it is left out: {why}", file=sys.stderr)
    return 1 if measured.failed else 0


# --- rounds


class _Measured(NamedTuple):
    """Values of every figure by round, the settings of each, and which measurements failed, and why."""

    values: dict[str, list[float]]
    settings: dict[str, dict[str, object]]
    failed: dict[str, str]


def _measure(options: argparse.Namespace) -> _Measured:
    """All rounds. A measurement that fails is not tried again; the others go on."""
    values: dict[str, list[float]] = defaultdict(list)
    failed: dict[str, str] = {}
    with _told(f"preparing {options.fills:,} fills"):
        measurements = _measurements(options)
    with throw_away_store() as store:
        machine = {**_machine(), **store.settings()}
        for number in range(1, options.rounds + 1):
            for key, measurement in measurements.items():
                if key in failed or (key in _ONCE and number > 1):
                    continue
                try:
                    with (
                        _told(f"round {number} of {options.rounds}: {key}"),
                        store.fresh_schema(f"bench_{key}_{number}") as schema,
                    ):
                        for name, value in measurement.run(store, schema).items():
                            values[name] += value if isinstance(value, Sequence) else [value]
                except Failed as failure:
                    failed[key] = str(failure)
                except grpc.RpcError as error:
                    failed[key] = f"a call ended with {error.code().name}: {error.details()}"
            _divide(values)
        store.settings()  # still durable
    common = {"fills": options.fills}
    own = {key: measurement.settings for key, measurement in measurements.items()}
    settings = {
        name: {
            **common,
            "rounds": _rounds(options, figure),
            **{k: v for key in figure.needs for k, v in own.get(key, {}).items()},
            **machine,
        }
        for name, figure in FIGURES.items()
    }
    return _Measured(values, settings, failed)


def _rounds(options: argparse.Namespace, figure: Figure) -> int:
    return 1 if set(figure.needs) & set(_ONCE) else int(options.rounds)


def _divide(values: dict[str, list[float]]) -> None:
    """Add the ratios of the round just measured."""
    for name, figure in FIGURES.items():
        if figure.of and all(values[of] for of in figure.of):
            measured, other = (values[of][-1] for of in figure.of)
            values[name].append(measured / other if other else 0.0)  # less CPU than the clock of it tells


def _measurements(options: argparse.Namespace) -> dict[str, Measurement]:
    """Return what the wanted figures need, in the order of a round."""
    turns = -(-_TURNS // options.rounds)
    wanted = set(options.names)
    burst, *others = MIXES
    afterwards = {
        burst.name: [
            *([rebuild] if {REBUILD, REBUILD_RATIO} & wanted else []),
            *([replay] if {REPLAY, REPLAY_RATIO, REPLAY_CPU, REPLAY_CPU_RATIO} & wanted else []),
        ],
        "members.uniform": [replay_members] if {REPLAY_MEMBERS_CPU, REPLAY_MEMBERS_CPU_RATIO} & wanted else [],
    }

    def load(mix: Mix) -> Callable[[], Measurement]:
        return lambda: Scenario(mix, options, afterwards.get(mix.name, ()))

    makers: dict[str, Callable[[], Measurement]] = {
        burst.name: load(burst),
        "copy": lambda: CopyRowPerFill(options.fills),
        "copy_best": lambda: CopyRowPerFill(options.fills, BEST),
        **{mix.name: load(mix) for mix in others},
        "eventsourcing": lambda: EventSourcing(options.seconds * _PEER_SLICES),
        "umadb": lambda: _umadb(options.seconds * _PEER_SLICES),
        "rows": lambda: RowLoad(options.fills, options.lanes),
        "single": lambda: Single(options.seconds, turns),
        "resend": lambda: Resend(options.fills, options.seconds),
        "unary": lambda: Unary(options.seconds, turns),
        "reads": lambda: Reads(options.seconds, turns),
        "evaluation": lambda: Evaluation(options.accounts),
        "asof": lambda: AsOf(options.fills, options.seconds * _ASOF_SLICES),
        "asof_adjusted": lambda: AsOf(options.fills, options.seconds * _ASOF_SLICES, adjusted=True),
        "reprice": lambda: Reprice(options.fills),
        "lanes": lambda: Lanes(options.seconds * _LANES_SLICES),
        "memory": lambda: Memory(options.rss_fills, options.members),
        "aged": lambda: Aged(options.account_days, options.fills),
        "one_account": lambda: OneAccount(options.account_days),
        "publish": lambda: Publish(options.accounts),
        "layout": lambda: Layout(options.account_days),
        "closes": lambda: Closes(options.closes),
        "lists": lambda: Lists(options.accounts, options.seconds * _LISTS_SLICES),
        "hostile": lambda: Hostile(options.fills),
        "profile": lambda: Profile(options.fills),
    }
    return {key: make() for key, make in makers.items() if any(key in FIGURES[name].needs for name in options.names)}


def _umadb(seconds: float) -> Measurement:
    """Only `make bench` installs that package."""
    from scripts.bench.umadb import Uma  # noqa: PLC0415 - as above

    return Uma(seconds)


def _machine() -> dict[str, object]:
    packages = ("fee-ledger", "grpcio", "protobuf", "psycopg")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Says on stderr what is going on, and how long it took."""
    print(f"bench: {what} ...", file=sys.stderr, end="", flush=True)
    began = time.monotonic()
    try:
        yield
    finally:
        print(f" {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


# --- results


def _result(name: str, values: Sequence[float], settings: Mapping[str, object]) -> dict[str, Any]:
    decimals = FIGURES[name].decimals
    low, middle, high = (round(value, decimals) for value in (min(values), statistics.median(values), max(values)))
    return {
        "name": name,
        "value": middle,
        "unit": FIGURES[name].unit,
        "settings": {"min": low, "max": high, **settings},
    }


def _print_table(results: Sequence[Mapping[str, Any]]) -> None:
    """Median and range of each figure, then the settings: first those that all of them share."""
    for result in results:
        decimals = FIGURES[result["name"]].decimals
        low, middle, high = (
            f"{value:,.{decimals}f}"
            for value in (result["settings"]["min"], result["value"], result["settings"]["max"])
        )
        print(f"{result['name']:<44} {middle:>12} {result['unit']:<8} ({low} to {high})")
    told = {key: value for result in results for key, value in result["settings"].items() if key not in ("min", "max")}
    print("\n" + ", ".join(f"{key} {value}" for key, value in told.items()))


if __name__ == "__main__":
    sys.exit(main())
