"""Decide every event of a ledger again, from its log alone, and say what was recorded otherwise."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from ledger.cli import Options, argument
from ledger.cli.arguments import known_at, number, time_ns
from ledger.cli.errors import UnusableError
from ledger.cli.screens import many
from ledger.cli.visible import visible
from ledger.domain.events import LedgerCreated
from ledger.domain.rules import RULES_VERSION
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.tools.arguments import identifier
from ledger.tools.audit.resume import FINDINGS_MAX, Found, begun, save
from ledger.tools.files import differ, output, write_whole
from ledger.tools.group import TOOLS
from ledger.tools.progress import Progress
from ledger.tools.store import open_store, store_arguments
from projections.audit.audit import Audit
from projections.audit.frame import Frame
from projections.audit.processes import GC_THRESHOLD, ProcessEndedError, Shares, shares_of
from projections.audit.rows import Rows
from projections.audit.scope import Scope
from projections.audit.terms import Terms

_NOTES: Final = """\
With --resume FILE, kill it whenever you like: the same command goes on. The ledger may run
meanwhile.

what is checked:
  Positions follow each other from 1, versions of each stream too, and commits cover them: of the
  whole log, whatever else is asked. Every event can be read, holds nothing unknown, and says the
  time of its commit and the term of its writer; the columns beside it say its times. Then each is
  decided once more from those before it: the fee, rate and basis of every fill, running totals,
  what sources sent, accounts, grants, bans, programmes, registers, rewards, evaluations with their
  volume added up again, and adjustments. An event that is wrong is named, and what comes after it
  is judged by what was recorded.

  No rule decides what only a sender knows: the ids of a fill, and its price, quantity and time as
  far as no fee, sum or order of them says otherwise. Of commands that were refused the log has the
  name and a hash, no more.

  A term of the log says by which set of rules it was decided. What older rules than those of this
  release decided otherwise is listed apart, with their number, and is no finding. Positions,
  totals, bytes and all else that no rule decides are judged in every term. A log with rules that
  are newer than this release is not audited.

  With ACCOUNT registers, programmes and sources are not decided again, with --from or --until
  sources are not. Fees are taken by whole UTC days.

exit code 0: everything is as it was decided; 1: findings, a line each; 2: no ledger, newer
rules than this release knows, or unusable arguments; 130: interrupted"""


@TOOLS.add(
    "audit",
    "decide every event again, and name what was recorded otherwise",
    "audit",
    "audit --dsn postgresql://me@db/ledger",
    "audit alice carol --from 2024-09-01 --until 2024-10-01",
    "audit --known-at 4711",
    "audit --resume audit.state --json found.json",
    arguments=(
        argument("accounts", metavar="ACCOUNT", nargs="*", type=identifier,
                 help="only these accounts (default: all, and all else)"),
        argument("--from", dest="from_ns", type=time_ns, metavar="TIME", help="what took effect then or later"),
        argument("--until", dest="until_ns", type=time_ns, metavar="TIME", help="and before this instant"),
        argument("--known-at", type=known_at, metavar="POSITION|TIME",
                 help="the log up to the last commit then (default: all)"),
        argument("--jobs", type=number(1, 256), default=os.cpu_count() or 1, metavar="N",
                 help="processes (default: one for each core, %(default)s)"),
        argument("--resume", type=output, metavar="FILE",
                 help="keep there how far it has come, and go on from there"),
        argument("--json", type=output, metavar="FILE", help="write what was found there too"),
    ),
    parents=(store_arguments,),
    notes=_NOTES,
    interrupted="with --resume FILE the same command goes on where it stopped",
    to_the_end=True,
)  # fmt: skip
def _run(options: Options) -> int:
    differ(options.resume, options.json)
    signal.signal(signal.SIGTERM, _interrupt)
    gc.set_threshold(*GC_THRESHOLD)
    try:
        with (
            shares_of(options.jobs) as shares,
            open_store(options) as dsn,
            open_datastore(dsn, options.schema, connections=2) as datastore,
        ):
            return _audit(options, dsn, Log(datastore), shares)
    except ProcessEndedError as error:
        raise UnusableError(str(error)) from error


def _audit(options: Options, dsn: str, log: Log, shares: Shares) -> int:
    frame = Frame(log, options.schema)
    found = _begin(options, log, frame)
    scope = Scope(found.known, frozenset(options.accounts), options.from_ns, options.until_ns)
    audit = Audit(log, options.schema, scope, after=found.position)
    progress = Progress(already=found.position)
    _print(found.listed)
    _print_otherwise(found.listed_otherwise)
    if not found.position:
        _print(found.add(audit.frame()))
    shares.begin(dsn, options.schema, scope, after=found.position)
    try:
        for stretch in audit.run(shares):
            found.position = stretch.until
            found.events += stretch.events
            found.fills += stretch.fills
            progress.clear()
            _print(found.add(stretch.deviations))
            _print_otherwise(found.add_otherwise(stretch.otherwise))
            save(options.resume, found)
            progress.show("events", stretch.until, found.known, f", {found.findings:,} findings")
    finally:
        progress.clear()
    accounts = audit.accounts()
    _end(options, found, accounts, progress.seconds)
    return 1 if found.findings else 0


def _begin(options: Options, log: Log, frame: Frame) -> Found:
    """Which audit it is, and how far it has come."""
    rows = Rows(log, options.schema).ledger
    created = next((one.event for one in rows if isinstance(one.event, LedgerCreated)), None)
    known = _known(options.known_at, frame)
    if newer := Terms(rows).newer(known):
        position, rules = newer
        raise UnusableError(
            f"from position {position} on rules {rules} decided, and this release knows rules {RULES_VERSION}:"
            f" use the release that knows rules {rules}, or --known-at {position - 1}"
        )
    if strangers := set(options.accounts) - frame.existing(options.accounts):
        raise UnusableError(f"the ledger does not know {', '.join(sorted(strangers))}")
    audit = {
        "ledger_id": created.ledger_id if created else "",
        "schema": options.schema,
        "accounts": sorted(options.accounts),
        "from": options.from_ns,
        "until": options.until_ns,
        "rules_version": RULES_VERSION,
    }
    return begun(options.resume, audit, known, chosen=options.known_at is not None)


def _known(asked: dict[str, int] | None, frame: Frame) -> int:
    """The last position that is audited: the end of a commit, or of the log."""
    if asked is None:
        return frame.end()
    position = asked.get("known_at_position")
    known = frame.made_by(position) if position is not None else frame.recorded_by(asked["known_at_time"])
    if not known:
        raise UnusableError("no commit was over then: give a later --known-at")
    return known


# --- what is told


def _print(findings: Iterable[dict[str, Any]]) -> None:
    for each in findings:
        print(f"position {each['position']}, {each['stream']}: {_sentence(**each)}", flush=True)


def _print_otherwise(decided: Iterable[dict[str, Any]]) -> None:
    for each in decided:
        rules = f"decided otherwise by rules {each['rules_version']}"
        print(f"position {each['position']}, {each['stream']}: {rules}: {_sentence(**each)}", flush=True)


def _sentence(*, field: str, recorded: str, expected: str, **_: Any) -> str:
    if not recorded and not expected:
        return field
    return visible(f"{field} is {recorded or 'nothing'}, expected {expected or 'nothing'}")


def _end(options: Options, found: Found, accounts: int, seconds: float) -> None:
    if options.json:
        document = {
            **found.audit,
            "known_at_position": found.known,
            "events": found.events,
            "fills": found.fills,
            "accounts": accounts,
            "findings": found.findings,
            "listed": found.listed,
            "decided_otherwise": found.otherwise,
            "listed_otherwise": found.listed_otherwise,
        }
        write_whole(options.json, json.dumps(document, indent=2) + "\n")
    if options.resume:
        options.resume.unlink(missing_ok=True)
    if found.findings > FINDINGS_MAX:
        print(f"... and {found.findings - FINDINGS_MAX:,} more findings")
    if found.otherwise > FINDINGS_MAX:
        print(f"... and {found.otherwise - FINDINGS_MAX:,} more decided otherwise")
    print(
        f"{found.events:,} events, {found.fills:,} fills, {accounts:,} accounts, {many(found.findings, 'finding')},"
        f"{_otherwise(found)} in {seconds:.1f} s ({round(found.fills / max(seconds, 0.001)):,} fills/s)"
    )


def _otherwise(found: Found) -> str:
    """` 3 decided otherwise by rules 1 (this release: 2),`; nothing where nothing was."""
    if not found.otherwise:
        return ""
    rules = ", ".join(map(str, sorted({each["rules_version"] for each in found.listed_otherwise})))
    return f" {found.otherwise:,} decided otherwise by rules {rules} (this release: {RULES_VERSION}),"


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
