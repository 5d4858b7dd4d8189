"""The subcommand `reconcile`: its arguments and its help. The work is elsewhere, as it needs the extra `tools`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ledger.cli import Options, argument
from ledger.cli.arguments import known_at, number, time_ns
from ledger.cli.extra import needs_extra
from ledger.domain.instants import SECOND_NS
from ledger.domain.money import DECIMAL
from ledger.tools.arguments import identifier
from ledger.tools.csv_rows import SPREADSHEET, check_spreadsheet
from ledger.tools.engine_files.limits import CELL_CHARACTERS_MAX, COLUMNS_MAX, LIMITS
from ledger.tools.engine_files.presets import FORMATS, NAMES
from ledger.tools.files import differ, output
from ledger.tools.group import TOOLS
from ledger.tools.reconcile.kinds import DIMENSIONS, FIELDS, KINDS, REQUIRED
from ledger.tools.store import store_arguments
from ledger.wire.fields import ID

UNITS_NS: Final[Mapping[str, int]] = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}

_KINDS: Final = "\n".join(f"  {kind:<18} {meaning}" for kind, meaning in KINDS.items())
_NOTES: Final = f"""\
FILE: CSV with a header, JSON, or Parquet; the first two plain or gzip. JSON is a list of fills,
fills one after the other (JSON lines), or an API's reply as it comes, {{"code": 0, "data": [...]}},
one or many in a file; where a reply has several lists of objects, --columns fills=NAME says which.
Numbers are read as they are printed, never as floats. A fill is known by venue, account, UTC day
and exec_id; these columns are compared:
  {", ".join(NAMES[:6])},
  {", ".join(NAMES[6:13])},
  {", ".join(NAMES[13:20])};
  is_buyer and is_maker (true or false) in place of side and liquidity

Both sides agree only if every fill of both in the period was compared in each required field, and
the control totals by {", ".join(DIMENSIONS)} are equal too. The fields, as --without takes
them:
  required  {", ".join(REQUIRED)}
  others    {", ".join(name for name in FIELDS if name not in REQUIRED)}
A fill of which the file does not say a required one is a break (NOT_COMPARED); the others are
compared where the file says something. The verdict names each field that was not compared, of all
fills or of some: "engine and ledger agree, fee not compared". --without time still compares days.

A transact_time is ISO 8601, in UTC where it names no zone: 2024-09-30T23:59:59.999Z, with +0000,
+00:00, " UTC" or nothing at its end. transact_time_s, _ms, _us and _ns count since 1970, with
decimals if need be. What is finer than a nanosecond is refused; nothing is rounded. A fee is what
the account pays, less than zero for a rebate (--negate-fees for engines that write it the other
way), a rate is a fraction before any discount. A column that stands twice, a total line and any
value that means nothing are refused with their place: a line, in JSON the number of the fill.

--columns takes a preset and pairs ours=theirs, for example ccxt,account_id=info.uid. fee.cost is
the field cost of fee, and notional= leaves a column out. The presets:
  ledger    the names above; and what `fee-ledger history` writes, with its adjustments
  ccxt      fetchMyTrades. `fees` is summed by currency and counted once beside an equal `fee`;
            another `fee` than that is refused. `fees` in several currencies are the one of `fee`,
            or the first, and the others apart from it
  binance   GET /api/v3/myTrades; its spot CSV has no ids, so no fill of it can be known
  okx       GET /api/v5/trade/fills-history; a charge there is less than zero, and is turned
  bybit     GET /v5/execution/list
  kraken    TradesHistory, and trades.csv
  coinbase  GET /api/v3/brokerage/orders/historical/fills, GET /fills, and the fills report as CSV
  bitmart   POST /spot/v4/query/trades
Kraken's exports and coinbase's replies do not say in which currency a fee was paid, and it is not
guessed (most are in the quote currency, not all): give --without fee_currency, and the amounts of
fees are compared as they stand. The report as CSV says it.
Exchanges name no account: give --account. A symbol is that of the ledger which has the same letters
and digits (BTCUSDT, BTC-USDT and BTC/USDT are BTC_USDT; for kraken XBT is BTC); if two have, it is
refused; if none has, it stays as it is: BTC/USDT:USDT is not BTC_USDT.

{LIMITS};
so are more than {COLUMNS_MAX:,} columns, and a cell of over {CELL_CHARACTERS_MAX:,} characters.

kinds of breaks:
{_KINDS}

A break has a stable id: the same one in every run that finds it, so --state can say which are new.
Fees are compared as they are known at --known-at, adjustments included.

With --out csv the verdict is on stderr.

exit code 0: both agree; 1: there are breaks, totals differ, or there was nothing to compare;
2: an unusable file, or no ledger; 130: interrupted"""


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
    "reconcile fills.csv --without fee --without fee_currency",
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
        argument("--without", choices=tuple(FIELDS), action="append", default=[], metavar="FIELD",
                 help="do not compare this field, for example fee; the verdict names it; may be given again"),
        argument("--no-legs", dest="legs", action="store_false", help="do not compare the two legs of a trade"),
        argument("--out", choices=("table", "csv", "json"), default="table",
                 help="what is printed: csv has every break, json the totals too (default %(default)s)"),
        SPREADSHEET,
        argument("--limit", type=number(0, 1_000_000), default=10, metavar="N",
                 help="breaks of a kind in the table (default %(default)s)"),
        argument("--html", type=output, metavar="FILE", help="write a page to look at, too"),
        argument("--state", type=output, metavar="FILE",
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
    to_the_end=True,
)  # fmt: skip
def _reconcile(options: Options) -> int:
    differ(options.html, options.state, *set(options.files))
    check_spreadsheet(options, csv=options.out == "csv", remedy="--out csv")
    with needs_extra():
        from ledger.tools.reconcile.command import reconcile  # noqa: PLC0415 - it imports duckdb
    return reconcile(options)
