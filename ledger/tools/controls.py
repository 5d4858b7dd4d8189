"""What the controls of a ledger find: what ends, what is due, and what should not have happened.

    .venv/bin/python ledger/tools/controls.py [CONTROL ...] [--within-days N] [--as-of TIME] [--json]

Exit code 0: nothing found. 1: findings. 2: no ledger, or unusable arguments. 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

try:
    from google.protobuf.json_format import MessageToDict

    from ledger.cli.arguments import number, time_ns
    from ledger.client import Client, LedgerError
    from ledger.tools.answers import ADDRESS, Parser, address, sentences
except ImportError as error:
    print(f"controls.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

CONNECT_S_MAX: Final = 2
PAGE_SIZE: Final = 10_000
EPILOG: Final = """\
examples:
  %(prog)s                                       every control, 30 days ahead or back
  %(prog)s --list                                which controls there are
  %(prog)s benefits-ending --within-days 7       what ends this week with nothing after it
  %(prog)s --json | jq -r .finding_id            the same fact has the same id whenever it is found

Run it every day, and look at what is new. A control changes nothing.

exit code 0: nothing found; 1: findings; 2: no ledger, or unusable arguments; 130: interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        with Client(options.address, timeout_s=options.timeout, connect_timeout_s=CONNECT_S_MAX) as ledger:
            if options.list:
                return _list(ledger)
            return _find(ledger, options)
    except LedgerError as error:
        for sentence in sentences(error, options.address):
            print(f"controls.py: {sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("controls.py: interrupted", file=sys.stderr)
        return 130


def _list(ledger: Client) -> int:
    controls = ledger.list_controls()
    width = max(len(control.name) for control in controls)
    for control in controls:
        print(f"{control.name:<{width}}  {control.description}")
    return 0


def _find(ledger: Client, options: argparse.Namespace) -> int:
    """Findings as they come, under the name of their control."""
    found, heading = 0, ""
    for finding in _findings(ledger, options):
        found += 1
        if options.json:
            print(json.dumps(MessageToDict(finding, preserving_proto_field_name=True)))
            continue
        if finding.control != heading:
            heading = finding.control
            print(heading)
        print(f"  {finding.message}")
    if not options.json:
        print(f"{found:,} {'finding' if found == 1 else 'findings'}")
    return 1 if found else 0


def _findings(ledger: Client, options: argparse.Namespace) -> Iterator[Any]:
    for control in options.controls or [""]:
        yield from ledger.list_findings(
            control,
            as_of=options.as_of,
            within_days=options.within_days,
            programme_id=options.programme,
            page_size=PAGE_SIZE,
        )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="controls.py",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("controls", metavar="CONTROL", nargs="*", help="by name (default: every control)")
    add("--list", action="store_true", help="say which controls there are")
    add("--within-days", type=number(1, 366), default=30, metavar="N", help="days ahead, or back, by what a control"
        " looks for (default %(default)s)")  # fmt: skip
    add("--as-of", type=time_ns, metavar="TIME", help="as it is then, for example 2024-10-01 (default: now)")
    add("--programme", default="", metavar="ID", help="default: the only one")
    add("--json", action="store_true", help="print one JSON document per finding, a line each")
    add("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="of the ledger (default %(default)s)")
    add("--timeout", type=number(1, 3_600), default=60, metavar="SECONDS", help="how long to wait for an answer"
        " (default %(default)s)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
