"""The subcommand `reconcile`: its arguments and its help. The work is elsewhere, as it needs the extra `tools`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ledger.cli import Options, argument
from ledger.cli.arguments import known_at, number, time_ns
from ledger.domain.instants import SECOND_NS
from ledger.domain.money import DECIMAL
from ledger.tools.arguments import identifier
from ledger.tools.extra import needs_extra
from ledger.tools.group import TOOLS
from ledger.tools.reconcile.columns import NAMES, PRESETS
from ledger.tools.reconcile.kinds import FORMATS, KINDS
from ledger.tools.store import store_arguments
from ledger.wire.fields import ID

UNITS_NS: Final[Mapping[str, int]] = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}

_KINDS: Final = "\n".join(f"  {kind:<18} {meaning}" for kind, meaning in KINDS.items())
_NOTES: Final = f"""\
FILE: CSV with a header, JSON lines, a JSON list, or Parquet; the first three may be gzipped.
Numbers are read as they are printed, never as floats. A fill is known by venue, account, UTC day
and exec_id; these columns are compared:
  {", ".join(NAMES[:6])},
  {", ".join(NAMES[6:13])},
  {", ".join(NAMES[13:])}

A transact_time is ISO 8601 in UTC or with an offset; transact_time_s, _ms, _us and _ns count since
1970. A fee is what the account pays, less than zero for a rebate (--negate-fees for engines that
write it the other way), a rate is a fraction before any discount. Columns a file lacks, and cells
that are empty, are not compared; the report says which.

--columns takes a preset ({", ".join(PRESETS)}) and pairs ours=theirs: `ledger` is the names above, `ccxt`
what its fetchMyTrades calls them. fee.cost is the field cost of fee, and notional= leaves a column
out.

kinds of breaks:
{_KINDS}

A break has a stable id: the same one in every run that finds it, so --state can say which are new.
Fees are compared as they are known at --known-at, adjustments included.

exit code 0: both agree; 1: there are breaks; 2: an unusable file, or no ledger; 130: interrupted"""


def _tolerance(text: str) -> tuple[str, str]:
    currency, _, amount = text.partition("=")
    if not ID.fullmatch(currency) or not DECIMAL.fullmatch(amount) or amount.startswith("-"):
        raise argparse.ArgumentTypeError(f"{text!a} is not CURRENCY=AMOUNT, for example USDT=0.01")
    return currency, amount


def _id(text: str) -> str:
    return identifier(text) if text else ""  # the default


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!a} is no folder")
    return Path(text)


@TOOLS.add(
    "reconcile",
    "compare an engine's fills with the ledger's, and name each difference",
    "reconcile fills-2024-09-30.csv",
    "reconcile engine.csv --columns exec_id=id,last_px=price,account_id=user,transact_time_ms=ts",
    "reconcile trades.json --columns ccxt --account alice",
    "reconcile fills.parquet --html breaks.html --state breaks.jsonl",
    "reconcile fills.csv --tolerance USDT=0.01 --known-at 12",
    "reconcile fills.csv --out csv > breaks.csv",
    arguments=(
        argument("files", metavar="FILE", nargs="+", type=Path, help="fills as the engine exported them"),
        argument("--columns", default="ledger", metavar="MAP",
                 help="a preset and ours=theirs, see below (default %(default)s)"),
        argument("--format", choices=FORMATS, default="", help="of the files (default: by their names)"),
        argument("--from", dest="from_ns", type=time_ns, metavar="TIME",
                 help="first instant (default: of the first day of the files)"),
        argument("--until", dest="until_ns", type=time_ns, metavar="TIME",
                 help="first instant after the last one (default: the end of the last day of the files)"),
        argument("--known-at", type=known_at, default={}, metavar="POSITION|TIME",
                 help="what the ledger knew then (default: now)"),
        argument("--source", type=_id, action="append", default=[], metavar="ID",
                 help="only what this source sent; may be given again"),
        argument("--account", type=_id, default="", metavar="ID", help="the files are of this account alone"),
        argument("--venue", type=_id, default="", metavar="ID",
                 help="the files are of this venue (default: as they say, else the only one)"),
        argument("--tolerance", type=_tolerance, action="append", default=[], metavar="CURRENCY=AMOUNT",
                 help="fees and notionals in it may differ so much (default 0); may be given again"),
        argument("--time-unit", choices=tuple(UNITS_NS),
                 help="the engine cuts its times to it (default: as their column says)"),
        argument("--negate-fees", action="store_true",
                 help="the engine writes a charge below zero, and a rebate above"),
        argument("--no-legs", dest="legs", action="store_false", help="do not compare the two legs of a trade"),
        argument("--out", choices=("table", "csv", "json"), default="table",
                 help="what is printed: csv has every break, json the totals too (default %(default)s)"),
        argument("--limit", type=number(0, 1_000_000), default=10, metavar="N",
                 help="breaks of a kind in the table (default %(default)s)"),
        argument("--html", type=Path, metavar="FILE", help="write a page to look at, too"),
        argument("--state", type=Path, metavar="FILE",
                 help="remember the breaks there, and say which are new, known, resolved"),
        argument("--memory", type=number(200, 1_000_000), default=1_500, metavar="MB",
                 help="of the comparison; the rest goes to disk (default %(default)s)"),
        argument("--threads", type=number(1, 256), default=min(4, os.cpu_count() or 1), metavar="N",
                 help="default %(default)s"),
        argument("--work", type=_folder, metavar="FOLDER",
                 help="for the temporary file, which takes about as much room as both sides (default: $TMPDIR)"),
    ),
    parents=(store_arguments,),
    notes=_NOTES,
    interrupted="nothing is kept, and --state is as it was",
)  # fmt: skip
def _reconcile(options: Options) -> int:
    with needs_extra():
        from ledger.tools.reconcile.command import reconcile  # noqa: PLC0415 - it imports duckdb
    return reconcile(options)
