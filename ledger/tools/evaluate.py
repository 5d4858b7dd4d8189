"""`fee-ledger evaluate`: evaluate volume, or trials that have ended, first as a plan, then for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

from ledger.cli import Options, argument
from ledger.cli.arguments import UINT64_MAX, authority, number, time_ns
from ledger.cli.documents import line
from ledger.cli.screens import NONE, instant, table
from ledger.cli.screens.receipts import previewed
from ledger.cli.shared import PROGRAMME_ID
from ledger.client import Client, LedgerError
from ledger.domain.refusal import Reason
from ledger.tools.csv_rows import SPREADSHEET, check_spreadsheet, csv_rows
from ledger.tools.files import beside, output
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.v1.evaluation_service_pb2 import EVALUATION_KIND_PERIODIC
from ledger.visible import visible

MOVEMENTS: Final = ("GAINED", "UP", "STAYED", "DOWN", "LOST", "REVIEW", "BLOCKED", "NONE")
COLUMNS: Final = (
    *("account_id", "movement", "tier_before", "tier_after", "volume", "volume_currency"),
    *("counted", "excluded", "missing_closes", "evaluated_time"),
)


@TOOLS.ask(
    "evaluate",
    "evaluate volume, or ended trials: who goes up, stays and goes down",
    "evaluate --plan",
    "evaluate --plan --csv plan.csv",
    "evaluate --plan --instant 2024-10-08",
    "evaluate --actor ops-7 --approver ops-8 --read-position 12",
    "evaluate --actor ops-7 --approver ops-8 --kind post-trial",
    "evaluate --actor ops-7 --approver ops-8 --validate-only",
    rpcs=("PlanEvaluation", "RunEvaluation", "GetLedgerInfo"),
    arguments=(
        argument("--plan", action="store_true", help="only say what it would give; nothing is recorded"),
        argument("--csv", type=output, metavar="FILE",
                 help="write accounts to a file: all of a plan, or those a run left out"),
        SPREADSHEET,
        argument("--rows", type=number(1, 1_000_000), default=20, metavar="N",
                 help="of each movement in the table (default %(default)s)"),
        argument("--kind", choices=("periodic", "post-trial"), default="periodic",
                 help="volume of the past 30 days, or trials that have ended (default %(default)s)"),
        argument("--instant", type=time_ns, metavar="TIME", help="of the evaluation (default: the last one due)"),
        PROGRAMME_ID,
        argument("--read-position", type=number(1, UINT64_MAX), default=0, metavar="POSITION",
                 help="what a plan was read at, so that just that is done (default: all the ledger knows)"),
        argument("--complete-source", action="append", default=[], metavar="ID",
                 help="a source known to send no more of the window; may be given again"),
    ),
    parents=(authority,),
    interrupted="run the same command again, and it goes on",
    notes="""\
Press Ctrl-C whenever you like, or let the service die, and run the same command again: it goes on
where it stopped, reads at the same position, and evaluates no account twice. Accounts that lack a
daily close are left out: record the close (`fee-ledger record-close`), and run it once more.

--plan says what a run would give each account, --validate-only whether it would begin at all.

--json prints each message of the ledger's answer on a line: accounts, how far it is, the counts.

exit code 0: every account is evaluated, or would be; 1: some lack a close, or the ledger refused;
2: no ledger, or unusable arguments; 130: interrupted""",
    to_the_end=True,
)  # fmt: skip
def _evaluate(ledger: Client, options: Options) -> int:
    check_spreadsheet(options, csv=options.csv, remedy="--csv FILE")
    try:
        work = _plan if options.plan else _preview if options.validate_only else _run
        return work(ledger, options)
    except LedgerError as error:
        if error.reason != Reason.EVALUATION_ALREADY_COMPLETED:
            raise
        if not options.json:
            print("it is completed already: every account is evaluated")
        return 0


def _plan(ledger: Client, options: Options) -> int:
    """Print the plan as a table, and how to do just that."""
    first = None
    with _Sheet(options) as sheet:
        for message in ledger.plan_evaluation(**_which(options)):
            first = first or message
            sheet.take(message, message.accounts)
    assert first is not None
    if not options.json:
        position = first.basis.known_at_position
        print(f"plan of {_name(first)}, as known at position {position}")
        print("\n".join([*sheet.lines(), _summary(message.counts)]))
        for why in first.waiting_for:
            print(visible(f"a run would wait: {why}"))
        print(f"to do just this: {_command(first, options)}")
    return 1 if message.counts.blocked or first.waiting_for else 0


def _command(plan: Any, options: Options) -> str:
    """Return the command line that does what was planned."""
    programme = f" --programme {options.programme_id}" if options.programme_id else ""
    when = f"--instant {instant(plan.instant).replace(' ', 'T')}Z --read-position {plan.basis.known_at_position}"
    return f"fee-ledger evaluate --kind {options.kind}{programme} {when} --actor ID --approver ID"


def _preview(ledger: Client, options: Options) -> int:
    """Print whether a run would begin, and what that would record; a plan says what the run would give."""
    (message,) = _messages(ledger, options)
    receipt, name = message.receipt, _name(message.evaluation)
    if options.json:
        print(line(message))
    elif receipt.HasField("preview"):
        lines = previewed(receipt.preview, receipt.ledger_id)
        print("\n".join(map(visible, [f"{name}, if this were sent: it would begin", *lines])))
        print("what it would give each account: fee-ledger evaluate --plan")
    else:
        print(visible(f"{name} began before, at position {receipt.position} of {receipt.ledger_id}"))
    return 0


def _run(ledger: Client, options: Options) -> int:
    """Run it, and print what it gave."""
    with _Sheet(options) as sheet:
        for message in _messages(ledger, options):
            sheet.take(message, message.blocked)
    if not options.json:
        read_at = message.evaluation.read_position
        print(f"{_name(message.evaluation)}, read at position {read_at}, begun at {message.receipt.position}")
        print("\n".join([*sheet.lines(), _summary(message.counts)]))
    return 1 if message.counts.blocked else 0


def _messages(ledger: Client, options: Options) -> Iterator[Any]:
    return ledger.run_evaluation(
        **_which(options),
        read_position=options.read_position,
        complete_sources=options.complete_source,
        request_id=options.request_id,
        validate_only=options.validate_only,
        actor=options.actor,
        approver=options.approver,
        ticket=options.ticket,
        reason=options.reason,
    )


def _which(options: Options) -> dict[str, Any]:
    kind = options.kind.upper().replace("-", "_")
    return {"programme_id": options.programme_id, "kind": kind, "instant": options.instant}


def _name(evaluation: Any) -> str:
    kind = "the evaluation" if evaluation.kind == EVALUATION_KIND_PERIODIC else "the trials that ended up to"
    which = f"{evaluation.programme_id} {evaluation.programme_version}"
    return f"{kind} {instant(evaluation.instant)} UTC of {which}"


def _summary(counts: Any) -> str:
    moved = [(getattr(counts, name.lower()), name.lower()) for name in MOVEMENTS]
    return ", ".join([f"{counts.evaluated:,} evaluated", *(f"{many:,} {name}" for many, name in moved if many)])


class _Sheet:
    """Takes accounts as they come: all of them for the file of --csv, some of each movement for a table."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shown: dict[str, list[Any]] = {}
        self._counts: Counter[str] = Counter()
        self._progress = ProgressBar()
        self._stack = ExitStack()
        self._write: Callable[[Sequence[str]], object] = lambda _: None

    def __enter__(self) -> Self:
        self._stack.callback(self._progress.clear)
        if self._options.csv is not None:
            part = self._stack.enter_context(beside(self._options.csv))
            file = self._stack.enter_context(part.open("w", newline="", encoding="utf-8"))
            rows = csv_rows(file, str(self._options.csv), spreadsheet=self._options.spreadsheet)
            self._write = self._stack.enter_context(rows).write
            self._write(COLUMNS)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def take(self, message: Any, accounts: Iterable[Any]) -> None:
        """Take the accounts of one message."""
        if self._options.json:
            print(line(message))
        for account in accounts:
            self._write(_cells(account))
            self._counts[account.movement] += 1
            if self._counts[account.movement] <= self._options.rows:
                self._shown.setdefault(account.movement, []).append(account)
        self._progress.show("accounts", message.looked_at, message.total)

    def lines(self) -> list[str]:
        """Return a table of each movement; accounts without a tier before and after are not shown."""
        lines = []
        for name in MOVEMENTS[:-1]:
            shown = self._shown.get(name, [])
            if shown:
                rows = [
                    (name, one.account_id, one.tier_before, one.tier_after or NONE, one.volume or NONE, _closes(one))
                    for one in shown
                ]
                lines += table(("movement", "account", "before", "after", ".volume", "lacks"), rows)
            if more := self._counts[name] - len(shown):
                lines.append(f"... and {more:,} more: --csv FILE has all, --rows N shows more")
        return lines


def _cells(account: Any) -> tuple[str, ...]:
    """The columns of --csv."""
    return (
        *(getattr(account, name) for name in COLUMNS[:6]),
        _volumes(one for one in account.volumes if not one.reason),
        _volumes(one for one in account.volumes if one.reason),
        _closes(account),
        instant(account.evaluated_time),
    )


def _closes(account: Any) -> str:
    return ", ".join(f"{one.asset} {one.day}" for one in account.missing_closes)


def _volumes(volumes: Iterable[Any]) -> str:
    return "; ".join(f"{one.notional} {one.quote_currency} {one.reason}".rstrip() for one in volumes)
