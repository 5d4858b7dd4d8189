"""Measure the ledger on this machine; `make bench` runs it. See --help."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

try:
    from bench_copy import CopyRowPerFill
    from bench_ingest import Ingest
    from bench_store import Failed, Store, throw_away_store

    from ledger.store.embedded import EmbeddedError
except ImportError as error:
    print(f"bench.py: {error.name or error} is missing: run `make bench`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

_INGEST: Final = "ingest.1k_uniform.fills_per_s"
_BYTES: Final = "ingest.bytes_per_fill"
_COPY: Final = "limit.copy_row_per_fill_per_s"
_RATIO: Final = "ratio.ingest_1k_uniform_to_copy_row"

_EPILOG: Final = f"""\
figures:
  {_INGEST:<38}fills/s that RecordFills acknowledges as durable, over gRPC, into a process of its own;
  {"":<38}1,000 accounts, 1,000 fills per message, a source per message in flight
  {_BYTES:<38}what these fills take on disk: all tables of the ledger with indexes and TOAST
  {_COPY:<38}binary COPY of the same fills as a row each into the library's table, bytes made
  {"":<38}beforehand, 5,000 rows per commit: no ledger with a row per fill can be faster
  {_RATIO:<38}the first by the third, round by round: steadier than either on a busy machine

examples:
  bench.py                                  all figures, about a minute
  bench.py --fills 20000 --rounds 1         only to see that it works; the figures mean little
  bench.py --only ingest --json out.json    figures whose name begins with "ingest"
  bench.py --only ingest.1k,ratio           several of them

All of it runs on one throw-away PostgreSQL, which fsyncs; each round has a fresh schema and begins with a CHECKPOINT;
rounds take turns (ingest, copy, ingest, copy ...). What was written is verified before a figure is printed.
Exit code 0: measured. 1: a verification failed, or the service did. 2: unusable arguments, or a package is missing.
"""


class Measurement(Protocol):
    """A way to get some figures, ready to run any number of rounds."""

    settings: Mapping[str, object]

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round: values by name of figure. Raises Failed."""


@dataclass(frozen=True)
class Figure:
    """A name in the table: its unit, decimals shown, and the measurements it needs."""

    unit: str
    decimals: int
    needs: tuple[str, ...]


FIGURES: Final = {
    _INGEST: Figure("fills/s", 0, ("ingest",)),
    _BYTES: Figure("bytes", 1, ("ingest",)),
    _COPY: Figure("rows/s", 0, ("copy",)),
    _RATIO: Figure("ratio", 3, ("ingest", "copy")),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, nothing is left behind
    try:
        values, settings = _measure(options)
    except Failed as failure:
        print(f"bench.py: {failure}", file=sys.stderr)
        return 1
    except EmbeddedError as failure:
        print(f"bench.py: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench.py: interrupted, nothing measured", file=sys.stderr)
        return 130
    results = [_result(name, values[name], settings[name]) for name in options.names]
    _print_table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


# --- rounds


def _measure(options: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, dict[str, object]]]:
    """Values of every figure by round, and the settings behind each figure."""
    makers: dict[str, Callable[[], Measurement]] = {
        "ingest": lambda: Ingest(options.fills, options.lanes),
        "copy": lambda: CopyRowPerFill(options.fills),
    }
    needed = [key for key in makers if any(key in FIGURES[name].needs for name in options.names)]
    _tell(f"preparing {options.fills:,} fills")
    measurements = {key: makers[key]() for key in needed}
    values: dict[str, list[float]] = defaultdict(list)
    with throw_away_store() as store:
        machine = {**_machine(), **store.settings()}
        for number in range(1, options.rounds + 1):
            found: dict[str, float] = {}
            for key, measurement in measurements.items():
                _tell(f"round {number} of {options.rounds}: {key}")
                with store.fresh_schema(f"bench_{key}_{number}") as schema:
                    found.update(measurement.run(store, schema))
            if _INGEST in found and _COPY in found:
                found[_RATIO] = found[_INGEST] / found[_COPY]
            for name, value in found.items():
                values[name].append(value)
        store.settings()  # still durable
    common = {"rounds": options.rounds, "fills": options.fills}
    own = {key: measurement.settings for key, measurement in measurements.items()}
    settings = {
        name: {**common, **{k: v for key in figure.needs for k, v in own.get(key, {}).items()}, **machine}
        for name, figure in FIGURES.items()
    }
    return values, settings


def _machine() -> dict[str, object]:
    packages = ("fee-ledger", "grpcio", "protobuf", "psycopg")
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _tell(text: str) -> None:
    print(f"bench.py: {text} ...", file=sys.stderr, flush=True)


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
        print(f"{result['name']:<38} {middle:>12} {result['unit']:<8} ({low} to {high})")
    told = {key: value for result in results for key, value in result["settings"].items() if key not in ("min", "max")}
    print("\n" + ", ".join(f"{key} {value}" for key, value in told.items()))


# --- the command line


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bench.py: {message} (--help tells more)\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="bench.py",
        description="Measure the ledger on this machine: a table, and JSON for scripts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--json", metavar="FILE", type=Path, help="write [{name, value, unit, settings}] there too")
    add("--only", metavar="NAME,...", default="", help="figures by name, or by the first part of it (default: all)")
    add("--rounds", metavar="N", type=_positive, default=3, help="rounds; the median is told (default 3)")
    add("--fills", metavar="N", type=_positive, default=300_000, help="fills of a round (default 300,000)")
    add(
        "--lanes",
        metavar="N",
        type=_positive,
        default=64,
        help="messages in flight, each of its own source (default 64)",
    )
    options = parser.parse_args(arguments)
    wanted = [name.strip() for name in options.only.split(",") if name.strip()]
    for name in wanted:
        if not any(figure.startswith(name) for figure in FIGURES):
            parser.error(f"no figure begins with {name}: there are {', '.join(FIGURES)}")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"there is no folder {options.json.parent} to write {options.json.name} to")
    options.names = [figure for figure in FIGURES if not wanted or any(figure.startswith(name) for name in wanted)]
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
