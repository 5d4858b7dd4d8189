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
    from bench_asof import AsOf
    from bench_copy import CopyRowPerFill
    from bench_evaluation import Evaluation
    from bench_ingest import Ingest
    from bench_lag import Lag
    from bench_reads import Reads
    from bench_rebuild import REBUILD, rebuild
    from bench_replay import REPLAY, replay
    from bench_store import Failed, Store, throw_away_store

    from ledger.store.embedded import EmbeddedError
except ImportError as error:
    print(f"bench.py: {error.name or error} is missing: run `make bench`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

_INGEST: Final = "ingest.1k_uniform.fills_per_s"
_BYTES: Final = "ingest.bytes_per_fill"
_COPY: Final = "limit.copy_row_per_fill_per_s"
_RATIO: Final = "ratio.ingest_1k_uniform_to_copy_row"
_ROWS: Final = "ingest.rows.fills_per_s"
_ROWS_RATIO: Final = "ratio.ingest_rows_to_copy_row"
_ECHO: Final = "limit.echo_rps"
_ECHO_MS: Final = "limit.echo_ms_p50"
_QUOTE: Final = "quote.rps"
_STATE_MS: Final = "state.now_ms_p50"
_QUOTE_RATIO: Final = "ratio.quote_rps_to_echo_rps"
_STATE_RATIO: Final = "ratio.state_now_ms_to_echo_ms"
_REBUILD_RATIO: Final = "ratio.rebuild_to_ingest_1k_uniform"
_REPLAY_RATIO: Final = "ratio.replay_to_ingest"
_LAG_P50: Final = "lag.ms_p50"
_LAG_P99: Final = "lag.ms_p99"

_EVALUATION: Final = "evaluation.accounts_per_s"
_GROUP_BY: Final = "limit.group_by_accounts_per_s"
_EVALUATION_RATIO: Final = "ratio.evaluation_to_group_by"
_ASOF_STATE: Final = "asof.state_ms_p99"
_ASOF_PAGE: Final = "asof.fees_page_ms_p99"
_ASOF_DAY_STATE: Final = "asof.day_end.state_ms_p99"
_ASOF_DAY_PAGE: Final = "asof.day_end.fees_page_ms_p99"
_ASOF_STATE_RATIO: Final = "ratio.asof_inside_state"
_ASOF_PAGE_RATIO: Final = "ratio.asof_inside_fees_page"
_ASOF_DAY_STATE_RATIO: Final = "ratio.asof_day_end_state"
_ASOF_DAY_PAGE_RATIO: Final = "ratio.asof_day_end_fees_page"

_TURNS: Final = 9  # of the reads, over all rounds: at least so many ratios are behind a median
_LAG_SLICES: Final = 15  # the lag is watched for so many times --seconds
_ASOF_SLICES: Final = 4  # reads of the past are timed for so many times --seconds, at day ends and inside days

_EPILOG: Final = f"""\
figures:
  {_INGEST:<38}fills/s that RecordFills acknowledges as durable, over gRPC, into a process of its own;
  {"":<38}1,000 accounts, 1,000 fills per message, column by column, a source per message in flight
  {_ROWS:<38}the same fills as a message each: the friendly form
  {_BYTES:<38}what these fills take on disk: all tables of the ledger with indexes and TOAST
  {_COPY:<38}binary COPY of the same fills as a row each into the library's table, bytes made
  {"":<38}beforehand, 5,000 rows per commit: no ledger with a row per fill can be faster
  {_RATIO:<38}columns by COPY, round by round: steadier than either on a busy machine
  {_ROWS_RATIO:<38}rows by COPY
  {_ECHO:<38}calls/s of an empty method: the ledger's server without the ledger, in a process of its own
  {_ECHO_MS:<38}how long such a call takes, one in flight
  {_QUOTE:<38}QuoteFee/s: 200 accounts, half of them with a tier, on 50 symbols, same client as the echo
  {_STATE_MS:<38}how long GetVipState of now takes, one in flight
  {_QUOTE_RATIO:<38}turn by turn, slices of a second each; at least 0.8 is the aim
  {_STATE_RATIO:<38}turn by turn; at most 2 is the aim
  {REBUILD:<38}fills/s of a rebuild of the materialised tables over that ledger: made anew, compared
  {"":<38}with the live ones, put in their place
  {_REBUILD_RATIO:<38}by {_INGEST}; at least 2 is the aim
  {REPLAY:<38}fills/s of audit_replay.py over that ledger, from its start to its end: all events read,
  {"":<38}decided again and compared, by as many processes as there are cores
  {_REPLAY_RATIO:<38}by {_INGEST}; at least 1 is the bar, 4 the aim
  {_LAG_P50:<38}age of the oldest commit that the materialised tables lack, while fills arrive at half
  {"":<38}the rate of {_INGEST}, sampled every 50 ms
  {_LAG_P99:<38}the same; at most 2,000 ms is the aim
  {_EVALUATION:<38}accounts/s of one RunEvaluation: --accounts with 3 active days each, made straight in
  {"":<38}the tables; each has its own event in the log afterwards
  {_GROUP_BY:<38}one plain SQL GROUP BY over the same account-days, which only adds up
  {_EVALUATION_RATIO:<38}the first by the second
  {_ASOF_STATE:<38}GetVipState and GetRates of an account with --fills fills over 30 days, at any as_of and
  {"":<38}known_at: of a hundred calls one takes longer
  {_ASOF_PAGE:<38}ListFeeHistory of it: 100 lines up to as_of, from the beginning or the last ones in turn
  {_ASOF_DAY_STATE:<38}the same where as_of is the end of a day
  {_ASOF_DAY_PAGE:<38}and where a page begins and ends with a day
  {_ASOF_STATE_RATIO:<38}by the same of an account with 100 fills, question by question; at most 4 is the aim
  {_ASOF_PAGE_RATIO:<38}the same; at most 4 is the aim
  {_ASOF_DAY_STATE_RATIO:<38}the same; at most 1.5 is the aim
  {_ASOF_DAY_PAGE_RATIO:<38}the same; at most 1.5 is the aim

examples:
  bench.py                                  all figures, about ten minutes
  bench.py --fills 20000 --accounts 20000 --rounds 1 --seconds 0.1
                                            only to see that it works; the figures mean little
  bench.py --only ingest --json out.json    figures whose name begins with "ingest"
  bench.py --only ingest.1k,ratio           several of them

All of it runs on one throw-away PostgreSQL, which fsyncs; each round has a fresh schema and begins with a CHECKPOINT;
rounds take turns (ingest, copy, ingest, copy ...). What was written is verified before a figure is printed.
Exit code 0: measured. 1: a verification failed, or the service did. 2: unusable arguments, or a package is missing.
"""


class Measurement(Protocol):
    """A way to get some figures, ready to run any number of rounds."""

    settings: Mapping[str, object]

    def run(self, store: Store, schema: str) -> Mapping[str, float | Sequence[float]]:
        """One round: values by name of figure, one or several. Raises Failed."""


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
    _ROWS: Figure("fills/s", 0, ("rows",)),
    _ROWS_RATIO: Figure("ratio", 3, ("rows", "copy")),
    _ECHO: Figure("calls/s", 0, ("reads",)),
    _ECHO_MS: Figure("ms", 3, ("reads",)),
    _QUOTE: Figure("calls/s", 0, ("reads",)),
    _STATE_MS: Figure("ms", 3, ("reads",)),
    _QUOTE_RATIO: Figure("ratio", 3, ("reads",)),
    _STATE_RATIO: Figure("ratio", 3, ("reads",)),
    REBUILD: Figure("fills/s", 0, ("ingest",)),
    _REBUILD_RATIO: Figure("ratio", 2, ("ingest",)),
    REPLAY: Figure("fills/s", 0, ("ingest",)),
    _REPLAY_RATIO: Figure("ratio", 2, ("ingest",)),
    _LAG_P50: Figure("ms", 0, ("ingest", "lag")),
    _LAG_P99: Figure("ms", 0, ("ingest", "lag")),
    _EVALUATION: Figure("acc./s", 0, ("evaluation",)),
    _GROUP_BY: Figure("acc./s", 0, ("evaluation",)),
    _EVALUATION_RATIO: Figure("ratio", 4, ("evaluation",)),
    _ASOF_STATE: Figure("ms", 2, ("asof",)),
    _ASOF_PAGE: Figure("ms", 2, ("asof",)),
    _ASOF_DAY_STATE: Figure("ms", 2, ("asof",)),
    _ASOF_DAY_PAGE: Figure("ms", 2, ("asof",)),
    _ASOF_STATE_RATIO: Figure("ratio", 2, ("asof",)),
    _ASOF_PAGE_RATIO: Figure("ratio", 2, ("asof",)),
    _ASOF_DAY_STATE_RATIO: Figure("ratio", 2, ("asof",)),
    _ASOF_DAY_PAGE_RATIO: Figure("ratio", 2, ("asof",)),
}


_RATIOS: Final = (  # of figures of one round
    (_INGEST, _COPY, _RATIO),
    (_ROWS, _COPY, _ROWS_RATIO),
    (REBUILD, _INGEST, _REBUILD_RATIO),
    (REPLAY, _INGEST, _REPLAY_RATIO),
)


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
    values: dict[str, list[float]] = defaultdict(list)
    _tell(f"preparing {options.fills:,} fills")
    measurements = _measurements(options, lambda: values[_INGEST][-1])
    with throw_away_store() as store:
        machine = {**_machine(), **store.settings()}
        for number in range(1, options.rounds + 1):
            for key, measurement in measurements.items():
                _tell(f"round {number} of {options.rounds}: {key}")
                with store.fresh_schema(f"bench_{key}_{number}") as schema:
                    for name, value in measurement.run(store, schema).items():
                        values[name] += value if isinstance(value, Sequence) else [value]
            for measured, by, ratio in _RATIOS:
                if values[measured] and values[by]:
                    values[ratio].append(values[measured][-1] / values[by][-1])
        store.settings()  # still durable
    common = {"rounds": options.rounds, "fills": options.fills}
    own = {key: measurement.settings for key, measurement in measurements.items()}
    settings = {
        name: {**common, **{k: v for key in figure.needs for k, v in own.get(key, {}).items()}, **machine}
        for name, figure in FIGURES.items()
    }
    return values, settings


def _measurements(options: argparse.Namespace, ingested: Callable[[], float]) -> dict[str, Measurement]:
    """What the wanted figures need, in the order of a round; `ingested` gives the fills/s just measured."""
    turns = -(-_TURNS // options.rounds)
    wanted = set(options.names)
    afterwards = [rebuild] if {REBUILD, _REBUILD_RATIO} & wanted else []
    afterwards += [replay] if {REPLAY, _REPLAY_RATIO} & wanted else []
    makers: dict[str, Callable[[], Measurement]] = {
        "ingest": lambda: Ingest(options.fills, options.lanes, columns=True, afterwards=afterwards),
        "rows": lambda: Ingest(options.fills, options.lanes, columns=False),
        "copy": lambda: CopyRowPerFill(options.fills),
        "reads": lambda: Reads(options.seconds, turns),
        "evaluation": lambda: Evaluation(options.accounts),
        "asof": lambda: AsOf(options.fills, options.seconds * _ASOF_SLICES),
        "lag": lambda: Lag(options.lanes, options.seconds * _LAG_SLICES, lambda: ingested() / 2),
    }
    return {key: make() for key, make in makers.items() if any(key in FIGURES[name].needs for name in options.names)}


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
    add("--fills", metavar="N", type=_positive, default=1_000_000, help="fills of a round (default 1,000,000)")
    add("--accounts", metavar="N", type=_positive, default=1_000_000, help="that are evaluated (default 1,000,000)")
    add(
        "--lanes",
        metavar="N",
        type=_positive,
        default=64,
        help="messages in flight, each of its own source (default 64)",
    )
    add("--seconds", metavar="S", type=_seconds, default=1.0, help="a slice of the reads; the lag takes 15 (default 1)")
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


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0.01 to 60")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
