"""Import a public trade tape: two fills of each trade, one of the maker and one of the taker.

    .venv/bin/python ledger/tools/import_trades/command.py FILE --symbol XRP_ETH [--pair-class C] [--dry-run]

Exit code 0: all fills are in the ledger. 1: some were refused. 2: unusable input, or no ledger. 130: interrupted.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

try:
    import grpc

    from ledger.tools.import_trades.fills import Tape, open_tape
    from ledger.tools.import_trades.recording import RETRIED, Outcome, connect, reason_of, record, register
    from ledger.tools.import_trades.tape import TapeError, cost_difference
    from ledger.wire.fields import ID
except ImportError as error:
    print(f"import_trades.py lacks packages ({error}): run `make import`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

EPILOG: Final = """\
example:
  make run                                            in another terminal
  %(prog)s trades.json.gz --symbol XRP_ETH --pair-class C
  %(prog)s trades.csv --symbol XRP_ETH --dry-run      only read the file and say what is in it

FILE is a JSON list of rows [ms, id, type, taker side, price, amount, cost], or CSV under the header
time_ms,id,side,price,amount,cost (any order; cost may be missing, other columns are ignored); gzipped or not.
Numbers go into the ledger exactly as printed, only exponents (1e-05) are written out. The cost is just compared.

Each trade becomes the fills SYMBOL-ID-M (maker) and SYMBOL-ID-T (taker). A tape names no accounts, so each fill
gets one by a hash: acct-<SHA-256(exec_id) mod N, + 1>. Where both legs meet the same account, it is a self-trade.

Press Ctrl-C whenever you like, and run the same command again: it goes on where it stopped and records nothing
twice. It does not send again what was refused: once the cause is gone, --attempt 2 sends everything again.

exit code 0: all fills are in the ledger; 1: some were refused; 2: unusable input, or no ledger; 130: interrupted
"""


class Progress:
    """One line on a terminal, once a second."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._began_s = self._shown_s = time.monotonic()

    def show(self) -> None:
        """Fills done, fills per second, time left."""
        now_s = time.monotonic()
        if sys.stderr.isatty() and now_s - self._shown_s >= 1:
            self._shown_s = now_s
            done, total = self._outcome.done, self._outcome.total
            per_s = max(1, round((done - self._outcome.before) / (now_s - self._began_s)))
            line = f"{done:,} of {total:,} fills, {per_s:,} per second, {(total - done) // per_s:,} s left"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    outcome = Outcome()
    try:
        tape = open_tape(options)
        outcome.total = 2 * len(tape.trades)
        if options.dry_run:
            print(_plan(tape))
            return 0
        _send(tape, outcome, options)
    except TapeError as error:
        _tell(str(error))
        return 2
    except grpc.RpcError as error:
        _tell(_why_it_ended(error, options.address, outcome))
        return 2
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _tell(f"interrupted, {_so_far(outcome)}: run the same command again, and it goes on")
        return 130
    print(_summary(tape, outcome))
    return 1 if outcome.refused else 0


def _send(tape: Tape, outcome: Outcome, options: argparse.Namespace) -> None:
    with connect(options.address) as channel:
        if not register(channel, tape, options.patience):
            _tell(f"{tape.symbol} is registered already: its terms and its class stay as they are")
        show, patience_s = Progress(outcome).show, options.patience
        record(channel, tape, outcome, batch_max=options.batch, patience_s=patience_s, show=show, tell=_tell)


def _tell(line: str) -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""  # over the progress
    print(f"{start}import_trades.py: {line}", file=sys.stderr)


def _so_far(outcome: Outcome) -> str:
    return f"with {outcome.done:,} of {outcome.total:,} fills known to be in the ledger"


def _why_it_ended(error: Any, address: str, outcome: Outcome) -> str:
    _, sentence = reason_of(error)
    if error.code() not in RETRIED:
        return f"the ledger at {address} refuses the import: {sentence}"
    if not outcome.ledger_id:
        return f"no ledger answers at {address} ({sentence}): start one with `make run`, or give its --address"
    return f"the ledger at {address} stopped answering ({sentence}), {_so_far(outcome)}: run the same command again"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<20}{value}" for name, value in rows)


def _of_the_file(tape: Tape) -> list[tuple[str, str]]:
    """Rows of the summary that the file alone gives."""
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
    """What a run would send."""
    request = tape.symbol_request()
    counts = Counter(account for trade in tape.trades for account in tape.accounts_of(trade))
    times = [trade.time_ms for trade in tape.trades]
    return _table(
        [
            *_of_the_file(tape),
            ("fills to send", f"{sum(counts.values()):,} of {len(counts):,} accounts"),
            ("times", f"{min(times)} to {max(times)} ms"),
            ("decimals", f"price {request.price_scale}, amount {request.quantity_scale}"),
        ]
    )


def _summary(tape: Tape, outcome: Outcome) -> str:
    """What a run did."""
    earlier = f" ({outcome.before:,} taken by an earlier run, refused ones included)" if outcome.before else ""
    rows = [
        *_of_the_file(tape),
        ("fills recorded new", f"{outcome.recorded:,}"),
        ("already there", f"{outcome.before + outcome.replayed:,}{earlier}"),
        ("refused", f"{outcome.refused:,}"),
        ("ledger", f"{outcome.ledger_id}, position {outcome.position:,}"),
    ]
    lines = [_table(rows), *outcome.shown]
    if outcome.refused > len(outcome.shown):
        lines.append(f"... and {outcome.refused - len(outcome.shown):,} more refused")
    if outcome.too_fine:
        lines.append(f"{tape.symbol} is registered with fewer decimals than the file has: register new terms of it")
    if outcome.refused:
        lines.append("once the cause is gone, run it again with another --attempt: recorded fills stay as they are")
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="the tape")
    add("--symbol", required=True, metavar="BASE_QUOTE", help="what was traded, for example XRP_ETH")
    add("--pair-class", type=_id, default="", metavar="CLASS", help="class of the pair (default: none, the base rate)")
    add("--accounts", type=_count(99_999), default=50, metavar="N", help="accounts to use (default %(default)s)")
    add("--venue", type=_id, default="", help="the market (default: the only one of the ledger)")
    add("--address", type=_address, default="127.0.0.1:50051", metavar="HOST:PORT", help="default %(default)s")
    add("--batch", type=_count(10_000), default=1_000, metavar="N", help="fills per call (default %(default)s)")
    add("--patience", type=_count(86_400), default=60, metavar="SECONDS", help="how long a ledger that answered once"
        " may be away before the import ends (default %(default)s)")  # fmt: skip
    add("--attempt", type=_count(1_000_000), default=1, metavar="N", help="another number sends everything again, also"
        " what was refused (default %(default)s)")  # fmt: skip
    add("--dry-run", action="store_true", help="read and report; no ledger is needed")
    return parser


def _id(text: str) -> str:
    if text and not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match {ID.pattern}")
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"[!-~]+:[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!a} is not HOST:PORT, for example 127.0.0.1:50051")
    return text


def _count(highest: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text!a} is not a number from 1 to {highest}")
        return int(text)

    return count


if __name__ == "__main__":
    sys.exit(main())
