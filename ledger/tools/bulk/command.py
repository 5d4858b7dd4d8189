"""`fee-ledger bulk`: many commands from a CSV file, approved together; first what would happen, then what did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.cli import Options, argument
from ledger.cli.errors import is_no, sentences
from ledger.cli.screens.receipts import charged, later
from ledger.client import Client, LedgerError
from ledger.tools.bulk.after_rows import AfterRows
from ledger.tools.bulk.rows import COLUMNS, VERBS, Row, read_rows
from ledger.tools.group import TOOLS
from ledger.visible import visible

NOTES: Final = f"""\
FILE is CSV with a header and these columns, those you need in any order:
{", ".join(COLUMNS)}

  command,account,tier,from,until,ticket
  change-tier,alice,VIP4,2024-11-01,2024-12-01,T-17
  lift-ban,bob,,,,T-18

commands: {", ".join(VERBS)}

Without --apply nothing is recorded: the ledger says of each row what it would record, as with
--validate-only. A row of an account that a row before it would change is decided after that one,
here, by the same rules; which fees it would move, the ledger says once those before are recorded.
With --apply the rows are sent in order; one that is refused does not stop the others. The name of
each request is made of the file and the row: interrupted, run the same file again, and nothing is
done twice.

exit code 0: every row would be recorded, or was; 1: some are refused; 2: an unusable file, or no
ledger; 130: interrupted"""


@TOOLS.ask(
    "bulk",
    "many commands from a CSV file: what they would do, and then do it",
    "bulk rows.csv --actor ops-7 --approver ops-8",
    "bulk rows.csv --actor ops-7 --approver ops-8 --reason 'agreed on the 8th' --apply",
    rpcs=(
        *("GetLedgerInfo", "ListProgrammes", "ListEvents"),
        *("ChangeTier", "RevokeTier", "LiftBan", "UnflagAccount", "ApproveMatch"),
    ),
    arguments=(
        argument("file", metavar="FILE", type=Path, help="the rows, as CSV"),
        argument("--apply", action="store_true", help="record them (default: say what would happen)"),
        argument("--actor", required=True, metavar="ID", help="who asks, by a pseudonymous id"),
        argument("--approver", default="", metavar="ID", help="a second person who approved all of it"),
        argument("--reason", default="", metavar="TEXT", help="why, for rows without a reason of their own"),
    ),
    interrupted="run the same file again, and nothing is done twice",
    notes=NOTES,
    to_the_end=True,
)
def _bulk(ledger: Client, options: Options) -> int:
    rows = read_rows(options.file, options.actor)
    done = _Done(options)
    (_apply if options.apply else _dry_run)(ledger, rows, options, done)
    done.sum_up()
    return 1 if done.counts["refused"] else 0


class _Done:
    """Prints what comes, or would come, of each row, and counts it."""

    def __init__(self, options: Options) -> None:
        self.counts: Counter[str] = Counter()
        self._json = options.json

    def say(self, row: Row, outcome: str, why: str) -> None:
        """Print what came of one row, and why or where."""
        self.counts[outcome] += 1
        if self._json:
            print(json.dumps({"row": row.number, "command": row.told, "outcome": outcome, "detail": why}))
        else:
            print(visible(f"{row.number:>6}  {row.told}: {outcome}, {why}"), flush=True)

    def sum_up(self) -> None:
        """Print how many rows came to what."""
        if not self._json:
            print(", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items()))


def _apply(ledger: Client, rows: Sequence[Row], options: Options, done: _Done) -> None:
    """Send every row."""
    for row in rows:
        try:
            receipt = _send(ledger, row, options).receipt
        except LedgerError as error:
            done.say(row, "refused", _why(error, options))
        else:
            done.say(row, "recorded before" if receipt.replayed else "recorded", f"at position {receipt.position}")


def _dry_run(ledger: Client, rows: Sequence[Row], options: Options, done: _Done) -> None:
    """Have every row previewed. Those before it are counted in where they would change its account."""
    after = AfterRows(ledger, options.approver, options.reason)
    for row in rows:
        try:
            receipt = _send(ledger, row, options, validate_only=True).receipt
        except LedgerError as error:
            why = _why(error, options)
            known = "position" in error.metadata
            done.say(row, *(after.verdict(row) if row.account_id in after and not known else ("refused", why)))
            continue
        if receipt.replayed:
            done.say(row, "recorded before", f"at position {receipt.position}")
        elif row.account_id in after:
            done.say(row, *after.verdict(row))
        else:
            after.take(row, receipt.preview)
            told = [receipt.preview.events[0].topic, *charged(receipt.preview), *later(receipt.preview)]
            done.say(row, "would be recorded", ", ".join(told))


def _send(ledger: Client, row: Row, options: Options, *, validate_only: bool = False) -> Any:
    """Return the answer to a row. Raises LedgerError."""
    return VERBS[row.verb].send(
        ledger,
        row.values,
        request_id=row.request_id,
        validate_only=validate_only,
        actor=options.actor,
        approver=options.approver,
        ticket=row.values["ticket"],
        reason=row.values["reason"] or options.reason,
    )


def _why(error: LedgerError, options: Options) -> str:
    """Return why a row was refused. Raises the error if it is no refusal."""
    if not is_no(error):
        raise error
    return "; ".join(sentences(error, options.address))
