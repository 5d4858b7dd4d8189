"""Many commands from a CSV file, approved together: first what would happen, then, with --apply, what did.

    .venv/bin/python ledger/tools/bulk/command.py FILE.csv --actor ID --approver ID [--apply]

Exit code 0: every row would be recorded, or was. 1: some are refused. 2: an unusable file, or no ledger.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

try:
    from ledger import programmes
    from ledger.cli.arguments import number
    from ledger.client import Client, LedgerError
    from ledger.domain.commands import Request
    from ledger.domain.decide.account import decide_account
    from ledger.domain.decide.approval import check_approval
    from ledger.domain.events import CommandRefused, Envelope, Recorded
    from ledger.domain.instants import SECOND_NS
    from ledger.domain.refusal import Refusal
    from ledger.domain.state.account import AccountState, evolve_account, fold_account
    from ledger.domain.state.rulebook import fold_rulebook
    from ledger.store.codec.events import decode
    from ledger.tools.answers import ADDRESS, Parser, address, is_no, sentences
    from ledger.tools.bulk.rows import COLUMNS, VERBS, Row, UnusableError, read_rows
except ImportError as error:
    print(f"bulk.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

CONNECT_S_MAX: Final = 2
EPILOG: Final = f"""\
FILE.csv has a header and these columns, those you need in any order: {", ".join(COLUMNS)}

  command,account,tier,from,until,ticket
  change-tier,alice,VIP4,2024-11-01,2024-12-01,T-17
  lift-ban,bob,,,,T-18

commands: {", ".join(VERBS)}

Without --apply nothing is recorded: each row is decided by the rules of the ledger on what the ledger knows now, rows
before it included. With --apply the rows are sent in order; one that is refused does not stop the others. The name of
each request is made of the file and the row: interrupted, run the same file again, and nothing is done twice.

exit code 0: every row would be recorded, or was; 1: some are refused; 2: an unusable file, or no ledger;
130: interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    done: Counter[str] = Counter()
    try:
        rows = read_rows(options.file, options.actor)
        with Client(
            options.address,
            actor=options.actor,
            approver=options.approver,
            timeout_s=options.timeout,
            connect_timeout_s=CONNECT_S_MAX,
        ) as ledger:
            (_apply if options.apply else _dry_run)(ledger, rows, options, done)
    except UnusableError as error:
        return _tell(2, str(error))
    except LedgerError as error:
        again = f" {done.total():,} of {len(rows):,} rows are done: run it again, and it goes on" if done else ""
        return _tell(2, *(f"{sentence}{again}" for sentence in sentences(error, options.address)))
    except KeyboardInterrupt:
        return _tell(130, "interrupted: run it again, and nothing is done twice")
    print(", ".join(f"{count:,} {outcome}" for outcome, count in done.items()))
    return 1 if done["refused"] else 0


def _tell(code: int, *lines: str) -> int:
    for line in lines:
        print(f"bulk.py: {line}", file=sys.stderr)
    return code


def _apply(ledger: Client, rows: Sequence[Row], options: argparse.Namespace, done: Counter[str]) -> None:
    """Send every row."""
    for row in rows:
        authority = {"ticket": row.values["ticket"], "reason": row.values["reason"] or options.reason}
        try:
            receipt = VERBS[row.verb].send(ledger, row.values, request_id=row.request_id, **authority).receipt
        except LedgerError as error:
            if not is_no(error):
                raise
            _say(done, row, "refused", "; ".join(sentences(error, options.address)))
        else:
            outcome = "recorded before" if receipt.replayed else "recorded"
            _say(done, row, outcome, f"at position {receipt.position}")


def _dry_run(ledger: Client, rows: Sequence[Row], options: argparse.Namespace, done: Counter[str]) -> None:
    """Decide every row by the rules of the service, on one state of the ledger, and record nothing."""
    pages = list(ledger.programme_pages())
    position, now = pages[0].basis.known_at_position, pages[0].basis.as_of
    now_ns = now.seconds * SECOND_NS + now.nanos  # by the clock of the ledger
    names = dict.fromkeys(version.programme_id for page in pages for version in page.programmes)
    streams = ["registers", *(f"programme/{name}" for name in names)]
    events = sorted((one for name in streams for one in _events(ledger, name, position)), key=lambda one: one.position)
    book = fold_rulebook(programmes.parse, events)
    accounts: dict[str, AccountState] = {}
    known: dict[str, Recorded] = {}  # what was recorded of this file before, by request
    for row in rows:
        account_id = row.values["account"]
        if account_id not in accounts:
            stream = _events(ledger, f"account/{account_id}", position)
            accounts[account_id] = fold_account(account_id, stream)
            known.update((one.envelope.request_id, one) for one in stream)
        before = known.get(row.request_id)
        if before is not None:
            refused_before = isinstance(before.event, CommandRefused)
            outcome = "refused" if refused_before else "recorded before"
            _say(done, row, outcome, f"at position {before.position}" + (" already" if refused_before else ""))
            continue
        _say(done, row, *_verdict(row, accounts, book, options, now_ns))


def _verdict(
    row: Row, accounts: dict[str, AccountState], book: Any, options: argparse.Namespace, now_ns: int
) -> tuple[str, str]:
    """What would become of a row; the account is then as the row would leave it."""
    account_id = row.values["account"]
    account, command = accounts[account_id], row.command
    reason = row.values["reason"] or options.reason
    request = Request(row.request_id, b"", options.actor, options.approver, row.values["ticket"], reason)
    decided = decide_account(account, command, family=(), book=book, now_ns=now_ns)
    refusals = [no for no in (decided, check_approval(book, command, request, now_ns)) if isinstance(no, Refusal)]
    if refusals or isinstance(decided, Refusal):
        no = min(refusals, key=lambda one: one.reason)
        return "refused", f"{no.reason.name}: {no.detail}" + (f" ({no.field})" if no.field else "")
    envelope = Envelope(decided.effective_time_ns, now_ns, 0, actor=options.actor, approver=options.approver)
    for stream, event in decided.events:
        if stream == f"account/{account_id}":
            recorded = Recorded(0, stream, account.version + 1, envelope, event)
            account = accounts[account_id] = evolve_account(account, recorded)
    return "would be recorded", type(decided.events[0][1]).__name__


def _events(ledger: Client, stream: str, position: int) -> list[Recorded]:
    found = ledger.list_events(stream, known_at_position=position)
    return [decode(one.position, one.stream, one.version, one.topic, one.state) for one in found]


def _say(done: Counter[str], row: Row, outcome: str, why: str) -> None:
    done[outcome] += 1
    print(f"{row.number:>6}  {row.told}: {outcome}, {why}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="bulk.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE.csv", type=Path, help="the rows")
    add("--apply", action="store_true", help="record them (default: say what would happen)")
    add("--actor", required=True, metavar="ID", help="who asks, by a pseudonymous id")
    add("--approver", default="", metavar="ID", help="a second person who approved all of it")
    add("--reason", default="", metavar="TEXT", help="why, for rows without a reason of their own")
    add("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="of the ledger (default %(default)s)")
    add("--timeout", type=number(1, 3_600), default=30, metavar="SECONDS", help="how long to wait for an answer"
        " (default %(default)s)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
