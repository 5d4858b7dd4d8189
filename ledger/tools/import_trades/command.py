"""The subcommand `import`: a public trade tape in, two fills of each trade out, the maker's and the taker's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from ledger.cli import Options, argument
from ledger.cli.arguments import number
from ledger.cli.errors import INTERRUPTED, UnusableError, tell
from ledger.cli.screens import many
from ledger.tools.arguments import identifier, where
from ledger.tools.engine_files.limits import LIMITS
from ledger.tools.group import TOOLS
from ledger.tools.import_trades.fills import Tape, open_tape
from ledger.tools.import_trades.recording import (
    RETRIED,
    SHOWN_MAX,
    Outcome,
    ask_position,
    connect,
    reason_of,
    record,
    register,
)
from ledger.tools.import_trades.trade import TRADES_MAX, cost_difference
from ledger.tools.progress import ProgressBar

_NOTES: Final = f"""\
FILE is a JSON list of rows [ms, id, type, taker side, price, amount, cost], or CSV under the header
time_ms,id,side,price,amount,cost (in any order; cost may be missing, other columns are ignored);
plain or gzip. Several lists one after the other are one tape. Numbers go into the ledger exactly as
printed, only exponents (1e-05) are written out. The cost is compared with price x amount, and used
for nothing else.

{LIMITS};
so are more than {TRADES_MAX:,} trades, which would take over 7 GB of memory.

Each trade becomes the fills SYMBOL-ID-M (maker) and SYMBOL-ID-T (taker). A tape names no accounts,
so each fill gets one by a hash: acct-<SHA-256(exec_id) mod N, + 1>. Where both fills of a trade get
the same account, it is a self-trade.

Press Ctrl-C whenever you like, and run the same command again: the ledger compares what it has, and
records nothing twice. What was refused stays so: once the cause is gone, --attempt 2 gives it
another chance.

exit code 0: every fill of the file is in the ledger; 1: some are not, whichever run was told so;
2: unusable input, or no ledger; 130: interrupted"""


@TOOLS.add(
    "import",
    "record a public trade tape: a maker's and a taker's fill of each trade",
    "import trades.json.gz --symbol XRP_ETH --pair-class C",
    "import trades.csv --symbol XRP_ETH --dry-run",
    rpcs=("RegisterSymbol", "GetSourcePosition", "RecordFills"),
    arguments=(
        argument("file", metavar="FILE", type=Path, help="the tape"),
        argument("--symbol", required=True, metavar="BASE_QUOTE", help="what was traded, for example XRP_ETH"),
        argument("--pair-class", type=identifier, metavar="CLASS",
                 help="class of the pair (default: none, which has the base rate)"),
        argument("--accounts", type=number(1, 99_999), default=50, metavar="N",
                 help="accounts to use (default %(default)s)"),
        argument("--venue", type=identifier, metavar="ID", help="the market (default: the only one of the ledger)"),
        argument("--batch", type=number(1, 10_000), default=1_000, metavar="N",
                 help="fills per call (default %(default)s)"),
        argument("--patience", type=number(1, 86_400), default=60, metavar="SECONDS",
                 help="how long a ledger that has answered may be away before the import ends (default %(default)s)"),
        argument("--attempt", type=number(1, 1_000_000), default=1, metavar="N",
                 help="another number gives what was refused another chance (default %(default)s)"),
        argument("--dry-run", action="store_true", help="read the file and report; no ledger is needed"),
    ),
    parents=(where,),
    notes=_NOTES,
    to_the_end=True,
)  # fmt: skip
def _import(options: Options) -> int:
    tape = open_tape(options)
    if options.dry_run:
        print(_plan(tape))
        return 0
    outcome = Outcome(total=2 * len(tape.trades))
    try:
        _send(tape, outcome, options)
    except grpc.RpcError as error:
        raise UnusableError(_why_it_ended(error, options.address, outcome)) from error
    except KeyboardInterrupt:
        again = "run the same command again, and it goes on"
        return tell(INTERRUPTED, f"fee-ledger: interrupted, {_so_far(outcome)}: {again}")
    print(_summary(tape, outcome))
    return 1 if outcome.refused else 0


def _send(tape: Tape, outcome: Outcome, options: Options) -> None:
    """Register the symbol and record the fills; `outcome` counts them. Raises grpc.RpcError."""
    with connect(options.address) as channel:
        if not register(channel, tape, options.patience):
            _tell(f"{tape.symbol} is registered already: its terms and its class stay as they are")
        ask_position(channel, tape, outcome, options.patience, _tell)
        progress = ProgressBar()

        def say(line: str) -> None:
            progress.clear()
            _tell(line)

        def show() -> None:
            progress.show("fills", outcome.done, outcome.total)

        try:
            record(channel, tape, outcome, batch_max=options.batch, patience_s=options.patience, show=show, tell=say)
        finally:
            progress.clear()


def _tell(line: str) -> None:
    tell(0, f"fee-ledger: {line}")


def _so_far(outcome: Outcome) -> str:
    return f"with {outcome.present:,} of {many(outcome.total, 'fill')} known to be in the ledger"


def _why_it_ended(error: Any, address: str, outcome: Outcome) -> str:
    _, sentence = reason_of(error)
    if error.code() not in RETRIED:
        return f"the ledger at {address} refuses the import: {sentence}"
    if not outcome.ledger_id:
        return f"no ledger answers at {address} ({sentence}): start one with `fee-ledger serve`, or give its --address"
    return f"the ledger at {address} stopped answering ({sentence}), {_so_far(outcome)}: run the same command again"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<20}{value}" for name, value in rows)


def _of_the_file(tape: Tape) -> list[tuple[str, str]]:
    """Return the rows of a summary that the file alone gives."""
    self_trades = sum(maker == taker for maker, taker in map(tape.accounts_of, tape.trades))
    differences = [(difference.copy_abs(), trade.id) for trade in tape.trades if (difference := cost_difference(trade))]
    largest = ""
    if differences:
        size, trade_id = max(differences)
        largest = f", at most {size:f} (trade {trade_id})"
    return [
        ("source", tape.source),
        ("trades read", f"{len(tape.trades):,}"),
        ("self-trades", f"{self_trades:,}"),
        ("cost differences", f"{len(differences):,}{largest}"),
    ]


def _plan(tape: Tape) -> str:
    """Return what a run would send, a line each."""
    request = tape.symbol_request()
    counts = Counter(account for trade in tape.trades for account in tape.accounts_of(trade))
    times = [trade.time_ms for trade in tape.trades]
    table = _table(
        [
            *_of_the_file(tape),
            ("fills to send", f"{sum(counts.values()):,} of {many(len(counts), 'account')}"),
            ("times", f"{min(times)} to {max(times)} ms"),
            ("decimals", f"price {request.price_scale}, amount {request.quantity_scale}"),
        ]
    )
    return "\n".join([table, *_reused_ids(tape)])


def _reused_ids(tape: Tape) -> list[str]:
    """Return the ids that stand in the file for several trades, a line each; the first few of them."""
    lines = list(tape.reused_ids())
    left_out = many(len(lines) - SHOWN_MAX, "more id that stands twice", "more ids that stand twice")
    more = [f"... and {left_out}"] if len(lines) > SHOWN_MAX else []
    return lines[:SHOWN_MAX] + more


def _summary(tape: Tape, outcome: Outcome) -> str:
    """Return what a run did, a line each."""
    rows = [
        *_of_the_file(tape),
        ("fills recorded new", f"{outcome.recorded:,}"),
        ("already there", f"{outcome.replayed:,}"),
        ("refused", f"{outcome.refused:,}"),
        ("ledger", f"{outcome.ledger_id}, position {outcome.position}"),
    ]
    lines = [_table(rows), *_reused_ids(tape), *outcome.shown]
    if outcome.refused > len(outcome.shown):
        lines.append(f"... and {outcome.refused - len(outcome.shown):,} more refused")
    if outcome.too_fine:
        lines.append(f"{tape.symbol} is registered with fewer decimals than the file has: register new terms of it")
    if outcome.refused:
        lines.append("once the cause is gone, run it again with another --attempt: recorded fills stay as they are")
    return "\n".join(lines)
