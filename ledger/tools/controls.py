"""`fee-ledger controls`: what the controls of a ledger find; what ends, what is due, what should not have happened."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ledger.cli import Options, argument
from ledger.cli.arguments import limit, number, time_ns
from ledger.cli.documents import line
from ledger.cli.printing import page_size
from ledger.cli.screens import many, paragraph, table
from ledger.cli.shared import PROGRAMME_ID
from ledger.client import Client
from ledger.tools.group import TOOLS


@TOOLS.ask(
    "controls",
    "what ends, what is due, and what should not have happened",
    "controls",
    "controls --list",
    "controls benefits-ending --within-days 7",
    "controls --json | jq -r .finding_id",
    rpcs=("ListControls", "ListFindings"),
    arguments=(
        argument("controls", metavar="CONTROL", nargs="*", help="by name (default: every control)"),
        argument("--list", action="store_true", help="say which controls there are"),
        argument("--as-of", type=time_ns, metavar="TIME", help="as it is then, for example 2024-10-01 (default: now)"),
        argument("--within-days", type=number(1, 366), default=30, metavar="N",
                 help="days ahead, or back, by what a control looks for (default %(default)s)"),
        PROGRAMME_ID,
    ),
    parents=(limit,),
    refused=2,
    notes="""\
Run it every day, and look at what is new: the same fact has the same finding_id whenever it is
found. A control changes nothing.

exit code 0: nothing found; 1: findings; 2: no ledger, or unusable arguments; 130: interrupted""",
    to_the_end=True,
)  # fmt: skip
def _controls(ledger: Client, options: Options) -> int:
    if options.list:
        return _list(ledger, options)
    found, heading = 0, ""
    for finding in islice(_findings(ledger, options), options.limit):
        found += 1
        if options.json:
            print(line(finding))
            continue
        if finding.control != heading:
            heading = finding.control
            print(heading)
        print("\n".join(_hanging(finding.message)))
    if not options.json:
        print(f"{'the first ' if found == options.limit else ''}{many(found, 'finding')}")
    return 1 if found else 0


def _list(ledger: Client, options: Options) -> int:
    controls = ledger.list_controls()
    if options.json:
        lines = [line(control) for control in controls]
    else:
        lines = table(("control", "~finds"), [(control.name, control.description) for control in controls])
    print("\n".join(lines))
    return 0


def _findings(ledger: Client, options: Options) -> Iterator[Any]:
    """Yield what each control finds, as it comes."""
    for control in options.controls or [""]:
        yield from ledger.list_findings(
            control,
            as_of=options.as_of,
            within_days=options.within_days,
            programme_id=options.programme_id,
            page_size=page_size(options),
        )


def _hanging(message: str) -> list[str]:
    """Return a message as lines of a screen's width, those after the first further indented."""
    first, *more = paragraph(message, "    ")
    return [first[2:], *more]
