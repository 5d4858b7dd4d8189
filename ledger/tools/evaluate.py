"""Evaluate 30-day volume, or trials that have ended: who goes up, stays and goes down; first as a plan, then for good.

    .venv/bin/python ledger/tools/evaluate.py --plan [--csv FILE]
    .venv/bin/python ledger/tools/evaluate.py --actor ID --approver ID [--read-position N]

Exit code 0: every account is evaluated, or would be. 1: some lack a close, or the ledger refused. 2: no ledger, or
unusable arguments. 130: interrupted.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

try:
    from ledger.cli.arguments import number, time_ns
    from ledger.cli.screens import instant, table
    from ledger.client import Client, LedgerError
    from ledger.domain.refusal import Reason
    from ledger.tools.answers import ADDRESS, Parser, address, is_no, sentences
except ImportError as error:
    print(f"run_evaluation.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

CONNECT_S_MAX: Final = 2
MOVEMENTS: Final = ("GAINED", "UP", "STAYED", "DOWN", "LOST", "REVIEW", "BLOCKED", "NONE")
COLUMNS: Final = (
    *("account_id", "movement", "tier_before", "tier_after", "volume", "volume_currency"),
    *("counted", "excluded", "missing_closes", "evaluated_time"),
)
EPILOG: Final = """\
examples:
  %(prog)s --plan                                who would go up, stay and go down; nothing is recorded
  %(prog)s --plan --csv plan.csv                 the same, every account of it in a file
  %(prog)s --actor ops-7 --approver ops-8 --read-position 4711
                                                 do what was planned at this position, and approved
  %(prog)s --kind post-trial --actor ops-7 --approver ops-8
                                                 trials that have ended
  %(prog)s --instant 2024-10-08 --plan           another day than the last one due

Press Ctrl-C whenever you like, or let the service die, and run the same command again: it goes on where it stopped,
reads at the same position, and evaluates no account twice. Accounts that lack a daily close are left out: record the
close (`fee-ledger record-close`), and run it once more.

exit code 0: every account is evaluated, or would be; 1: some lack a close, or the ledger refused; 2: no ledger, or
unusable arguments; 130: interrupted
"""


class Progress:
    """One line on a terminal, once a second."""

    def __init__(self) -> None:
        self._began_s = self._shown_s = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Accounts looked at, accounts per second, time left."""
        now_s = time.monotonic()
        if sys.stderr.isatty() and now_s - self._shown_s >= 1:
            self._shown_s = now_s
            per_s = max(1, round(done / (now_s - self._began_s)))
            line = f"{done:,} of {total:,} accounts, {per_s:,} per second, {(total - done) // per_s:,} s left"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        with Client(options.address, timeout_s=options.timeout, connect_timeout_s=CONNECT_S_MAX) as ledger:
            return _plan(ledger, options) if options.plan else _run(ledger, options)
    except LedgerError as error:
        if error.reason == Reason.EVALUATION_ALREADY_COMPLETED:
            print("it is completed already: every account is evaluated")
            return 0
        _tell(*sentences(error, options.address))
        return 1 if is_no(error) else 2
    except OSError as error:
        _tell(f"{options.csv} cannot be written: {error.strerror}")
        return 2
    except KeyboardInterrupt:
        _tell("interrupted: run the same command again, and it goes on")
        return 130


def _plan(ledger: Client, options: argparse.Namespace) -> int:
    """The plan as a table, and how to do just that."""
    progress, rows = Progress(), _Rows(options.rows)
    with ExitStack() as stack:
        write = _writer(stack, options.csv)
        messages = ledger.plan_evaluation(**_which(options))
        first = next(messages)
        print(f"plan of {_name(first)}, as known at position {first.basis.known_at_position}")
        for message in messages:
            for account in message.accounts:
                rows.take(account)
                write(account)
            progress.show(message.looked_at, message.total)
    progress.end()
    rows.print()
    print(_summary(message.counts))
    for line in first.waiting_for:
        print(f"a run would wait: {line}")
    print(f"to do just this: --instant {instant(first.instant).replace(' ', 'T')}Z"
          f" --read-position {first.basis.known_at_position} --actor ID --approver ID")  # fmt: skip
    return 1 if message.counts.blocked or first.waiting_for else 0


def _run(ledger: Client, options: argparse.Namespace) -> int:
    """Run it, and say what it gave."""
    progress, rows = Progress(), _Rows(options.rows)
    with ExitStack() as stack:
        write = _writer(stack, options.csv)
        for message in _messages(ledger, options):
            for account in message.blocked:
                rows.take(account)
                write(account)
            progress.show(message.looked_at, message.total)
    progress.end()
    read_at = message.evaluation.read_position
    print(f"{_name(message.evaluation)}, read at position {read_at}, begun at {message.receipt.position}")
    rows.print()
    print(_summary(message.counts))
    return 1 if message.counts.blocked else 0


def _messages(ledger: Client, options: argparse.Namespace) -> Iterator[Any]:
    return ledger.run_evaluation(
        **_which(options),
        read_position=options.read_position,
        complete_sources=options.complete_source,
        request_id=options.request_id,
        actor=options.actor,
        approver=options.approver,
        ticket=options.ticket,
        reason=options.reason,
    )


def _which(options: argparse.Namespace) -> dict[str, Any]:
    kind = options.kind.upper().replace("-", "_")
    return {"programme_id": options.programme, "kind": kind, "instant": options.instant}


def _name(evaluation: Any) -> str:
    kind = "the evaluation" if evaluation.kind == 1 else "the trials that ended up to"
    which = f"{evaluation.programme_id} {evaluation.programme_version}"
    return f"{kind} {instant(evaluation.instant)} UTC of {which}"


class _Rows:
    """Some accounts of each movement, for a table, and how many there are."""

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._accounts: dict[str, list[Any]] = {}
        self._counts: dict[str, int] = {}

    def take(self, account: Any) -> None:
        """One more account."""
        self._counts[account.movement] = self._counts.get(account.movement, 0) + 1
        shown = self._accounts.setdefault(account.movement, [])
        if len(shown) < self._rows_max:
            shown.append(account)

    def print(self) -> None:
        """A table of each movement."""
        for name in MOVEMENTS:
            shown = self._accounts.get(name, [])
            if not shown or name == "NONE":
                continue
            rows = [
                (name, one.account_id, one.tier_before, one.tier_after or "-", one.volume or "-", _closes(one))
                for one in shown
            ]
            print("\n".join(table(("movement", "account", "before", "after", ".volume", "lacks"), rows)))
            if len(shown) < self._counts[name]:
                print(f"... and {self._counts[name] - len(shown):,} more: --csv FILE has all, --rows N shows more")


def _closes(account: Any) -> str:
    return ", ".join(f"{one.asset} {one.day}" for one in account.missing_closes)


def _summary(counts: Any) -> str:
    moved = [(name.lower(), getattr(counts, name.lower())) for name in MOVEMENTS]
    return ", ".join([f"{counts.evaluated:,} evaluated", *(f"{count:,} {name}" for name, count in moved if count)])


def _writer(stack: ExitStack, path: Path | None) -> Any:
    """Writes accounts to a file, if there is one."""
    if path is None:
        return lambda _: None
    rows = csv.writer(stack.enter_context(path.open("w", newline="", encoding="utf-8")))
    rows.writerow(COLUMNS)
    return lambda account: rows.writerow(
        (
            *(getattr(account, name) for name in COLUMNS[:6]),
            _volumes(one for one in account.volumes if not one.reason),
            _volumes(one for one in account.volumes if one.reason),
            _closes(account),
            instant(account.evaluated_time),
        )
    )


def _volumes(volumes: Iterable[Any]) -> str:
    return "; ".join(f"{one.notional} {one.quote_currency} {one.reason}".rstrip() for one in volumes)


def _tell(*lines: str) -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""  # over the progress
    for line in lines:
        print(f"{start}run_evaluation.py: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_evaluation.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--plan", action="store_true", help="only say what it would give")
    add("--csv", type=Path, metavar="FILE", help="write accounts to a file: all of a plan, or those a run left out")
    add("--rows", type=number(1, 1_000_000), default=20, metavar="N", help="of each movement in the table"
        " (default %(default)s)")  # fmt: skip
    add("--kind", choices=("periodic", "post-trial"), default="periodic", help="volume of the past 30 days, or trials"
        " that have ended (default %(default)s)")  # fmt: skip
    add("--instant", type=time_ns, metavar="TIME", help="of the evaluation (default: the last one due)")
    add("--programme", default="", metavar="ID", help="default: the only one")
    add("--read-position", type=number(1, 2**64 - 1), default=0, metavar="N", help="what a plan was read at"
        " (default: all the ledger knows)")  # fmt: skip
    add("--complete-source", action="append", default=[], metavar="ID", help="a source known to send no more of the"
        " window; may be given again")  # fmt: skip
    add("--actor", default="", metavar="ID", help="who asks, by a pseudonymous id")
    add("--approver", default="", metavar="ID", help="a second person who approved")
    add("--ticket", default="", help="reference to the case")
    add("--reason", default="", metavar="TEXT", help="why, in free text")
    add("--request-id", default="", metavar="ID", help="name of this request (default: a new one)")
    add("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="of the ledger (default %(default)s)")
    add("--timeout", type=number(1, 3_600), default=60, metavar="SECONDS", help="how long to wait for a ledger that"
        " does not answer (default %(default)s)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
