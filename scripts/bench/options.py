"""The command line of the benchmarks: which figures, how often, how much."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final, NoReturn

from ledger.tools.files import output
from scripts.bench.figures import APART, FIGURES, GROWTH, LOADS, figures_text
from scripts.bench.proc import READABLE

_EPILOG: Final = f"""\
figures:
{figures_text()}

examples:
  python -m scripts.bench                                  all figures, about three quarters of an hour
  python -m scripts.bench --fills 20000 --accounts 20000 --members 2000 --rounds 1 --seconds 0.1 --paced-seconds 2
                                            only to see that it works; the figures mean little
  python -m scripts.bench --only ingest --json out.json    figures whose name begins with "ingest"
  python -m scripts.bench --only steady,members.uniform    what a fill takes at a pace, and with 100,000 members
  python -m scripts.bench --only aged --account-days 100000 --accounts 20000 --rounds 1
                                            a ledger that is a year old, small enough to try it
  python -m scripts.bench --only audit.one_account --account-days 1000000 --rounds 1
                                            the audit of one account of such a ledger, and of one hour
  python -m scripts.bench --only growth --rounds 1         what a ledger of any size and age must not slow down
  python -m scripts.bench --only ingest.1k,ratio           several of them

members: Each has an owner and a grant, and a third of them change their tier by grants that begin or end within the
minute in which all fills of the load trade; no command is sent meanwhile. What a fill takes depends on how many fills
of an account a commit has: many times more CPU and bytes at a pace than in a burst, and with many accounts than with
few. So no figure holds but for its load. Others (single, unary64, quote ...) say themselves which accounts they have.
aged.*, audit.*: A ledger of --account-days, by `make bench-year` and wherever these figures are named. It is made of
the events of a few accounts that lived a year, written by COPY for each of many: the settings tell how long that took,
and how large it is.
layout.*: The table of the log alone, with --account-days, where these figures are named; `layout.before` has the keys
of 0.2.0.
beside: COPY in the table of the library and in its best form, eventsourcing with 500 events per save, UmaDB on
condition that no trade comes twice; the settings tell how each is run. None of them prices, and none is a limit.

All of it runs on one throw-away PostgreSQL, which fsyncs; each round has a fresh schema and begins with a CHECKPOINT;
rounds take turns (ingest, copy, ingest, copy ...). What was written is verified before a figure is printed.
Exit code 0: measured. 1: a verification failed, or the service did; figures that do not rest on it are told all the
same. 2: unusable arguments, or a package is missing.
"""


# What a measurement needs that not every machine has: without it its figures are left out, unless they are asked for.
_LACKS: Final = {
    "umadb": "" if find_spec("umadb") else "umadb is not installed: run `make bench`",
    **dict.fromkeys(
        ("memory", "single", "unary", "hostile", "profile", *LOADS, *APART), "" if READABLE else "there is no /proc"
    ),
}


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help tells more)\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what is wanted; `names` are the figures. Exits 2 where that cannot be measured."""
    parser = Parser(
        prog="bench",
        description="Measure the ledger on this machine: a table, and JSON for scripts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--json", metavar="FILE", type=output, help="write [{name, value, unit, settings}] there too")
    add("--only", metavar="NAME,...", default="", help="figures by name, or by the first part of it (default: all)")
    add("--rounds", metavar="N", type=_positive, default=3, help="rounds; the median is told (default 3)")
    add("--fills", metavar="N", type=_positive, default=1_000_000, help="fills of a round (default 1,000,000)")
    add("--members", metavar="N", type=_positive, default=100_000, help="of the loads named so (default 100,000)")
    add("--paced-seconds", metavar="S", type=_seconds, default=60.0, help="of a load at a pace (default 60)")
    add(
        "--accounts",
        metavar="N",
        type=_positive,
        default=1_000_000,
        help="that are evaluated, or published to (default 1,000,000)",
    )
    add(
        "--lanes",
        metavar="N",
        type=_positive,
        default=64,
        help="sources that send rows at once, a message of each in flight (default 64)",
    )
    add(
        "--account-days",
        metavar="N",
        type=_positive,
        default=10_000_000,
        help="of the ledger that is a year old, and of the layouts (default 10,000,000)",
    )
    add(
        "--closes",
        metavar="N",
        type=_positive,
        default=1_000,
        help="days of which 20 assets have a close (default 1,000)",
    )
    add(
        "--rss-fills",
        metavar="N",
        type=_positive,
        default=5_000_000,
        help="that stream in while memory is watched (default 5,000,000)",
    )
    add("--seconds", metavar="S", type=_seconds, default=1.0, help="a slice of the reads (default 1)")
    options = parser.parse_args(arguments)
    named = [name.strip() for name in options.only.split(",") if name.strip()]
    wanted = [name for each in named for name in (GROWTH if each == "growth" else (each,))]
    for name in wanted:
        if not any(figure.startswith(name) for figure in FIGURES):
            parser.error(f"no figure begins with {name}: there are {', '.join(FIGURES)}")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"there is no folder {options.json.parent} to write {options.json.name} to")
    options.names = [figure for figure in FIGURES if _is_wanted(figure, wanted)]
    for figure, lacks in [(figure, _lacks(figure)) for figure in options.names]:
        if lacks and figure in wanted:
            parser.error(f"{figure} cannot be measured: {lacks}")
        if lacks:
            options.names.remove(figure)
            print(f"bench: {figure} is left out: {lacks}", file=sys.stderr)
    if not options.names:
        parser.error("nothing is left to be measured")
    return options


def _is_wanted(figure: str, wanted: Sequence[str]) -> bool:
    """Return whether a figure is asked for; those of an old ledger are only where they are named."""
    return any(map(figure.startswith, wanted)) if wanted else not APART & set(FIGURES[figure].needs)


def _lacks(figure: str) -> str:
    """Return what is missing to measure a figure; empty if nothing is."""
    return next((why for key, why in _LACKS.items() if why and key in FIGURES[figure].needs), "")


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
