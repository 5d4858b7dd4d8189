"""`fee-ledger doctor`: look at an installation, change nothing, and say what is wrong with it and how to heal it."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import psycopg
from psycopg.errors import InsufficientPrivilege

from ledger.cli import Options, argument
from ledger.cli.arguments import address, number
from ledger.cli.errors import UNUSABLE, tell
from ledger.cli.screens import many, paragraph, table
from ledger.knobs.settings import settings_of
from ledger.masked import masked
from ledger.tools.config import knob_flags
from ledger.tools.doctor.checks import BY_NAME, CHECKS, Check, Needs
from ledger.tools.doctor.finding import FOUND, Finding, Level, unseen
from ledger.tools.doctor.site import Site, opened
from ledger.tools.group import TOOLS
from ledger.visible import visible

_LEVEL_WIDTH: Final = max(map(len, Level)) + 1
_NAME_WIDTH: Final = max(map(len, BY_NAME)) + 1
_INDENT: Final = " " * (_LEVEL_WIDTH + _NAME_WIDTH)


def _check_name(text: str) -> str:
    if text not in BY_NAME:
        near = " or ".join(get_close_matches(text, BY_NAME)) or "`fee-ledger doctor --list` has them all"
        raise argparse.ArgumentTypeError(f"there is no check {text!a}: {near}")
    return text


@TOOLS.add(
    "doctor",
    "say what is wrong with an installation, and how to heal it",
    "doctor",
    "doctor --dsn postgresql://me@db/ledger",
    "doctor roles-guards tables-lag",
    "doctor --silent-minutes 1440 sources-silent",
    """doctor --json | jq -r 'select(.level == "FAULT") | .remedy'""",
    "doctor --list",
    arguments=(
        argument("checks", metavar="CHECK", nargs="*", type=_check_name, help="by name (default: every check)"),
        argument("--list", action="store_true", help="say which checks there are"),
        argument("--json", action="store_true", help="print a JSON document a line, one for each line of text"),
        argument("--silent-minutes", type=number(1, 525_600), default=60, metavar="N",
                 help="a source without a sign of life for longer is silent (default %(default)s)"),
        argument("--address", type=address, metavar="HOST:PORT",
                 help="of the service, if it runs elsewhere than `serve` would listen"),
    ),
    parents=(knob_flags,),
    notes="""\
It takes the knobs that `serve` takes, from the same options, environment and file, and says of that
service: would it start, and how is the one that runs? The role of --dsn may be any of the ledger.
A line is OK, NOTE (to be known), WARNING (works, and should not stay so), FAULT (does not work, or
loses what is recorded), or "not looked at" with the reason. Below it stands what heals it. Nothing
is written but a file to measure fsync, beside the data of the embedded PostgreSQL; it is removed.

exit code 0: no WARNING and no FAULT; 1: some; 2: PostgreSQL or the ledger could not be looked at,
or unusable arguments; 130: interrupted""",
    to_the_end=True,
)  # fmt: skip
def _doctor(options: Options) -> int:
    checks = [BY_NAME[name] for name in dict.fromkeys(options.checks)] or list(CHECKS)
    if options.list:
        return _list(checks, as_json=options.json)
    counts: Counter[Level] = Counter()
    told: set[str] = set()
    with opened(settings_of(options), options.address or "", options.silent_minutes) as site:
        for check in checks:
            for finding in _looked(check, site):
                counts[finding.level] += 1
                if options.json:
                    print(_document(check, finding))
                    continue
                again = finding.level is Level.UNSEEN and finding.says in told
                print("\n".join(_lines(check, unseen("as above") if again else finding)))
                told.add(finding.says)
        lacks = max((_lacks(check, site) for check in checks), key=len)
    if not options.json:
        print(_summary(counts))
    if lacks:
        return tell(UNUSABLE, f"fee-ledger: {lacks}")
    return 1 if any(counts[level] for level in FOUND) else 0


def _looked(check: Check, site: Site) -> Iterator[Finding]:
    """Yield what a check finds; where it cannot look, why."""
    if why := _lacks(check, site):
        yield unseen(why)
        return
    try:
        yield from check.find(site)
    except psycopg.Error as error:
        yield unseen(_lacks(check, site) or _said(error))
    except KeyError as error:  # of a newer release
        yield unseen(f"the log holds {error}, which this release does not know")


def _lacks(check: Check, site: Site) -> str:
    """Return why a check cannot look; empty: it can."""
    if site.session is not None and site.session.closed and check.needs is not Needs.MACHINE:
        return "PostgreSQL cannot be used: it ended the session"
    return {Needs.MACHINE: "", Needs.POSTGRESQL: site.lacks_store, Needs.LOG: site.lacks_log}[check.needs]


def _said(error: Exception) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, InsufficientPrivilege):
        said += "; give the --dsn of the role of the service"
    return said


def _lines(check: Check, finding: Finding) -> list[str]:
    """Return a finding as a person reads it; its command is not wrapped, to be copied."""
    first, *more = paragraph(masked(finding.says), _INDENT)
    begin = f"{finding.level:<{_LEVEL_WIDTH}}{check.name:<{_NAME_WIDTH}}"
    remedy = [visible(line) for line in f"{_INDENT}> {finding.remedy}".split("\n")] if finding.remedy else []
    return [f"{begin}{first.lstrip()}", *more, *remedy]


def _document(check: Check, finding: Finding) -> str:
    return json.dumps({
        "check": check.name,
        "level": finding.level,
        "says": masked(finding.says),
        "remedy": finding.remedy,
        "figures": dict(finding.figures),
    })  # fmt: skip


def _summary(counts: Counter[Level]) -> str:
    found = sum(counts[level] for level in FOUND)
    parts = [f"{counts[level]} {level}" for level in (Level.FAULT, Level.WARNING, Level.NOTE) if counts[level]]
    not_seen = [f"{counts[Level.UNSEEN]} not looked at"] if counts[Level.UNSEEN] else []
    return f"{many(found, 'finding')} ({', '.join([*parts, f'{counts[Level.OK]} OK', *not_seen])})"


def _list(checks: Sequence[Check], *, as_json: bool) -> int:
    if as_json:
        lines = [json.dumps({"check": each.name, "looks_at": each.looks_at, "finds": each.finds}) for each in checks]
    else:
        lines = table(("check", "~looks at"), [(each.name, f"{each.looks_at} {each.finds}") for each in checks])
    print("\n".join(lines))
    return 0
