"""Decide every event of a ledger again, from its log alone, and say what was recorded otherwise."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final, NoReturn

from ledger.cli import Options, argument
from ledger.cli.arguments import known_at, number, time_ns
from ledger.cli.errors import UnusableError
from ledger.cli.screens import many
from ledger.domain.events import LedgerCreated
from ledger.domain.rules import RULES_VERSION
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.tools.arguments import identifier
from ledger.tools.audit.looked_at import looked_at, not_looked_at
from ledger.tools.audit.resume import Findings, Found, save
from ledger.tools.audit.start import start
from ledger.tools.files import differ, output, write_whole
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import open_store, store_arguments
from ledger.visible import visible
from projections.audit.audit import Audit
from projections.audit.frame import Frame
from projections.audit.processes import GC_THRESHOLD, ProcessEndedError, Shares, shares_of
from projections.audit.rows import AuditReader
from projections.audit.scope import Scope
from projections.audit.terms import Terms

_NOTES: Final = """\
The ledger may run meanwhile. With --resume FILE, kill it whenever you like: the same command goes
on. A finished audit leaves the file too, and the next one decides what is new since.

what is checked:
  The frame of the log: positions follow each other from 1, versions of each stream too, commits
  cover them, tracking is what each source said last, every row of requests lies at an event that
  names it, the tables of the read side have taken in no more than there is, and migrations left
  the log as they say. Where no ACCOUNT is named, that is always looked at.
  Every event is found by its request. Every event can be read, holds nothing unknown, and says the
  time of its commit and the term of its writer; the columns beside it say its times. Then each is
  decided once more from those before it: the fee, rate and basis of every fill, running totals,
  what sources sent, accounts, grants, bans, programmes, registers, rewards, evaluations with their
  volume added up again, and adjustments. An event that is wrong is named, and what comes after it
  is judged by what was recorded.

  No rule decides what only a sender knows: the ids of a fill, and its price, quantity and time as
  far as no fee, sum or order of them says otherwise.

  Of each request its hash is worked out again, who asked and approved is compared with it, and the
  command is read from it and decided once more, refused ones too. Tickets and the ids of clients'
  orders are compared with the hash that their event has of them, unless they were erased. Events up
  to 0.2 have none: their tickets are compared with those of the same request. `fee-ledger check`
  compares reasons. Releases up to 0.1 kept no requests: how many events are theirs is told. Who can
  change event, request and hash alike can still lie: only a seal that lies elsewhere would tell.

  A term of the log says by which set of rules it was decided. What older rules than those of this
  release decided otherwise is listed apart, with their number, and is no finding. Positions,
  totals, bytes and all else that no rule decides are judged in every term. A log with rules that
  are newer than this release is not audited.

  With --from or --until sources are not decided again. Fees are taken by whole UTC days, because
  running totals go on from fill to fill: an hour costs the day that it lies in.

one account, or a few:
  With ACCOUNT only these accounts are read, each stream by its key, so it takes no longer in a
  large log than in a small one: their decisions, repricings and fees, and what these rest on, as
  it is recorded: terms, registers, programmes, releases of shared facts, owners, closes. Versions
  of these streams, and the commits and requests of their events, are looked at; registers,
  programmes, sources and all other accounts are not decided again. That an event was taken away
  shows by a version or by a total of its stream, not if it was the last one there: --frame looks at
  the whole log for that, too. Where a programme counts volume of sub-accounts, these are looked
  for among all registrations.

  Before the last line it says what was looked at and what was not, line by line; so does --json.

what a resume rests on:
  The file is of one ledger, schema, choice of events, release and set of rules; any other is
  refused. The frame, where it is looked at, is looked at each time. What was decided is read
  again, as fast as PostgreSQL reads, and its SHA-256 compared with that of the file, but it is not
  decided again: that no more was found there, the file is trusted. A log that is another one up
  to there, or has become shorter, is a finding, and all of it is decided again.

what no audit can see:
  What somebody changed so that all of it agrees, the end of the log taken away with the tables
  included, unless a file of --resume knows more: it stays open until the log is sealed.

exit code 0: all that was looked at is as it was decided; 1: findings, a line each; 2: no ledger,
newer rules than this release knows, or unusable arguments; 130: interrupted"""


@TOOLS.add(
    "audit",
    "decide every event again, and name what was recorded otherwise",
    "audit",
    "audit --dsn postgresql://me@db/ledger",
    "audit alice carol --from 2024-09-01 --until 2024-10-01",
    "audit alice --from 2024-09-01T12:00:00Z --until 2024-09-01T13:00:00Z",
    "audit alice --frame",
    "audit --known-at 4711",
    "audit --resume audit.state --json found.json",
    arguments=(
        argument("accounts", metavar="ACCOUNT", nargs="*", type=identifier,
                 help="only these accounts, each by its key (default: all, and all else)"),
        argument("--from", dest="from_ns", type=time_ns, metavar="TIME", help="what took effect then or later"),
        argument("--until", dest="until_ns", type=time_ns, metavar="TIME", help="and before this instant"),
        argument("--known-at", type=known_at, metavar="POSITION|TIME",
                 help="the log up to the last commit then (default: all)"),
        argument("--frame", action="store_true",
                 help="look at the frame of the whole log, too, where accounts are named"),
        argument("--jobs", type=number(1, 256), default=os.cpu_count() or 1, metavar="N",
                 help="processes, no more than accounts that are named (default: one for each core, %(default)s)"),
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
            shares_of(min(options.jobs, len(set(options.accounts)) or options.jobs)) as shares,
            open_store(options) as dsn,
            open_datastore(dsn, options.schema, connections=2) as datastore,
        ):
            return _audit(options, dsn, Log(datastore), shares)
    except ProcessEndedError as error:
        raise UnusableError(str(error)) from error


def _audit(options: Options, dsn: str, log: Log, shares: Shares) -> int:
    frame = Frame(log)
    audit, known = _asked(options, log, frame)
    scope = Scope(known, frozenset(options.accounts), options.from_ns, options.until_ns, frame=options.frame)
    progress = ProgressBar()
    found, seen = Found(audit, known), None
    if options.resume:
        found, seen = start(options.resume, audit, scope, log, progress)
    auditing = Audit(log, scope, after=found.position, seen=seen)
    framed, fills_before = Findings(), found.fills
    _print(found.findings.listed)
    _print(found.otherwise.listed)
    _print(framed.add(auditing.frame()))
    shares.begin(dsn, options.schema, scope, after=found.position)
    try:
        for stretch in auditing.run(shares):
            found.position, found.digest = stretch.until, stretch.digest
            found.events += stretch.events
            found.fills += stretch.fills
            found.unkept += stretch.unkept
            found.requests += stretch.requests
            progress.clear()
            _print(found.findings.add(stretch.deviations))
            _print(found.otherwise.add(stretch.otherwise))
            save(options.resume, found)
            findings = found.findings.count + framed.count
            progress.show("events", stretch.until, found.known, f", {many(findings, 'finding')}")
    finally:
        progress.clear()
    save(options.resume, found)
    _end(options, scope, found, framed, auditing.accounts(), progress.seconds, found.fills - fills_before)
    return 1 if found.findings.count or framed.count else 0


def _asked(options: Options, log: Log, frame: Frame) -> tuple[dict[str, Any], int]:
    """Return which audit it is, and the last position that is audited."""
    rows = AuditReader(log).ledger
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
        "release": version("fee-ledger"),
    }
    return audit, known


def _known(asked: dict[str, int] | None, frame: Frame) -> int:
    """Return the end of a commit, or the last event of the log."""
    if asked is None:
        return frame.end()
    position = asked.get("known_at_position")
    known = frame.made_by(position) if position is not None else frame.recorded_by(asked["known_at_time"])
    if not known:
        raise UnusableError("no commit was over then: give a later --known-at")
    return min(known, frame.end())


# --- what is told


def _print(findings: Iterable[dict[str, Any]]) -> None:
    """Print a line for each; what older rules decided otherwise names them."""
    for each in findings:
        rules = f"decided otherwise by rules {each['rules_version']}: " if "rules_version" in each else ""
        print(visible(f"position {each['position']}, {each['stream']}: {rules}{_sentence(**each)}"), flush=True)


def _sentence(*, field: str, recorded: str, expected: str, **_: Any) -> str:
    if not recorded and not expected:
        return field
    return f"{field} is {recorded or 'nothing'}, expected {expected or 'nothing'}"


def _end(
    options: Options, scope: Scope, found: Found, framed: Findings, accounts: int, seconds: float, fills: int
) -> None:
    """Write and print what has come out; `fills` of them were decided by this run, in so many seconds."""
    findings = found.findings.count + framed.count
    if options.json:
        document = {
            **found.audit,
            "known_at_position": found.known,
            "looked_at": looked_at(scope),
            "not_looked_at": not_looked_at(scope),
            "events": found.events,
            "fills": found.fills,
            "accounts": accounts,
            "requests_not_kept": found.unkept,
            "findings": findings,
            "listed": framed.listed + found.findings.listed,
            "decided_otherwise": found.otherwise.count,
            "listed_otherwise": found.otherwise.listed,
        }
        write_whole(options.json, json.dumps(document, indent=2) + "\n")
    if more := findings - len(framed.listed) - len(found.findings.listed):
        print(f"... and {many(more, 'more finding')}")
    if more := found.otherwise.count - len(found.otherwise.listed):
        print(f"... and {more:,} more decided otherwise")
    if found.unkept:
        print(
            f"{many(found.unkept, 'event')} were recorded before requests were kept:"
            " their hashes could not be worked out again"
        )
    if left_out := not_looked_at(scope):
        print(*(f"looked at: {what}" for what in looked_at(scope)), sep="\n")
        print(*(f"not looked at: {what}" for what in left_out), sep="\n")
    counted = ((found.events, "event"), (found.fills, "fill"), (accounts, "account"), (findings, "finding"))
    print(
        f"{', '.join(many(count, one) for count, one in counted)},"
        f"{_otherwise(found.otherwise)} in {seconds:.1f} s ({round(fills / max(seconds, 0.001)):,} fills/s)"
    )


def _otherwise(decided: Findings) -> str:
    """` 3 decided otherwise by rules 1 (this release: 2),`; nothing where nothing was."""
    if not decided.count:
        return ""
    rules = ", ".join(map(str, sorted({each["rules_version"] for each in decided.listed})))
    return f" {decided.count:,} decided otherwise by rules {rules} (this release: {RULES_VERSION}),"


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
