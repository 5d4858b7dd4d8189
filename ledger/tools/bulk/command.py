"""`fee-ledger bulk`: many commands from a CSV file, approved together; first what would happen, then what did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger import programmes
from ledger.cli import Options, argument
from ledger.cli.errors import is_no, sentences
from ledger.client import Client, LedgerError
from ledger.domain.commands import Request
from ledger.domain.decide.account import decide_account
from ledger.domain.decide.approval import check_approval
from ledger.domain.events import CommandRefused, Envelope, Recorded
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Refusal
from ledger.domain.state.account import AccountState, evolve_account, fold_account
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import REGISTERS, account_stream, programme_stream
from ledger.store.codec.events import decode
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

Without --apply nothing is recorded: each row is decided by the rules of the ledger on what the
ledger knows now, rows before it included. With --apply the rows are sent in order; one that is
refused does not stop the others. The name of each request is made of the file and the row:
interrupted, run the same file again, and nothing is done twice.

exit code 0: every row would be recorded, or was; 1: some are refused; 2: an unusable file, or no
ledger; 130: interrupted"""


@TOOLS.ask(
    "bulk",
    "many commands from a CSV file: what they would do, and then do it",
    "bulk rows.csv --actor ops-7 --approver ops-8",
    "bulk rows.csv --actor ops-7 --approver ops-8 --reason 'agreed on the 8th' --apply",
    rpcs=("ListProgrammes", "ListEvents", "ChangeTier", "RevokeTier", "LiftBan", "UnflagAccount", "ApproveMatch"),
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
        authority = {
            "actor": options.actor,
            "approver": options.approver,
            "ticket": row.values["ticket"],
            "reason": row.values["reason"] or options.reason,
        }
        try:
            receipt = VERBS[row.verb].send(ledger, row.values, request_id=row.request_id, **authority).receipt
        except LedgerError as error:
            if not is_no(error):
                raise
            done.say(row, "refused", "; ".join(sentences(error, options.address)))
        else:
            done.say(row, "recorded before" if receipt.replayed else "recorded", f"at position {receipt.position}")


def _dry_run(ledger: Client, rows: Sequence[Row], options: Options, done: _Done) -> None:
    """Decide every row by the rules of the service, on one state of the ledger, and record nothing."""
    pages = list(ledger.programme_pages())
    position, now = pages[0].basis.known_at_position, pages[0].basis.as_of
    now_ns = now.seconds * SECOND_NS + now.nanos  # by the clock of the ledger
    names = dict.fromkeys(version.programme_id for page in pages for version in page.programmes)
    streams = [REGISTERS, *map(programme_stream, names)]
    events = sorted((one for name in streams for one in _events(ledger, name, position)), key=lambda one: one.position)
    book = fold_rulebook(programmes.parse, events)
    accounts: dict[str, AccountState] = {}
    known: dict[str, Recorded] = {}  # what was recorded of this file before, by request
    for row in rows:
        account_id = row.values["account"]
        if account_id not in accounts:
            stream = _events(ledger, account_stream(account_id), position)
            accounts[account_id] = fold_account(account_id, stream)
            known.update((one.envelope.request_id, one) for one in stream)
        before = known.get(row.request_id)
        if before is not None:
            if isinstance(before.event, CommandRefused):
                done.say(row, "refused", f"at position {before.position} already")
            else:
                done.say(row, "recorded before", f"at position {before.position}")
            continue
        done.say(row, *_verdict(row, accounts, book, options, now_ns))


def _verdict(row: Row, accounts: dict[str, AccountState], book: Any, options: Options, now_ns: int) -> tuple[str, str]:
    """Return what would become of a row; the account is then as the row would leave it."""
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
        if stream == account_stream(account_id):
            recorded = Recorded(0, stream, account.version + 1, envelope, event)
            account = accounts[account_id] = evolve_account(account, recorded)
    return "would be recorded", type(decided.events[0][1]).__name__


def _events(ledger: Client, stream: str, position: int) -> list[Recorded]:
    found = ledger.list_events(stream, known_at_position=position)
    return [decode(one.position, one.stream, one.version, one.topic, one.state) for one in found]
