"""Ask the rules what a business owner expects of them: worked cases in, every difference out.

    .venv/bin/python ledger/tools/cases/command.py FILE...

Exit code 0: all cases passed. 1: some failed. 2: a file is unreadable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

try:
    from ledger.tools.cases.cases import OPS, Verdict, check_file
    from ledger.tools.cases.config import CHOICES, FLAGS
    from ledger.tools.cases.fields import UnreadableError
except ImportError as error:
    print(f"check_cases.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

EPILOG: Final = """\
A FILE is a JSON list of cases:
  [{"id": "B06", "rule": "any text", "note": "any text",
    "given": {"volume_usdt": "500000", "config": {"boundary_policy": "table"}},
    "when": {"op": "tier_for_volume"},
    "expect": {"tier": "VIP2"}}]

Each key of "expect" must equal the answer, in value and JSON type; keys it does not name are free. Amounts and rates
are texts without exponent and trailing zeros; times end in Z. "config" sets switches of the packaged programme; what it
leaves out has its default. Anything the format does not have makes a file unreadable: a typing error must not pass.

ops, and what they answer:
  {ops}

switches of "config", default first:
  {switches}
  effective_delay_s: seconds; timezone: UTC or any IANA zone; program_start: none or a time; holidays: list of dates

The rules asked are those of the service: ledger/domain/rules. Worked cases lie in tests/cases/.

exit code 0: all cases passed; 1: some failed; 2: a file is unreadable, nothing was asked
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    verdicts: list[tuple[Path, Verdict]] = []
    for path in options.files:
        try:
            verdicts += [(path, verdict) for verdict in check_file(path)]
        except UnreadableError as error:
            print(f"check_cases.py: {path}: {error}", file=sys.stderr)
            return 2
    failed = [(path, verdict) for path, verdict in verdicts if verdict.differences]
    for path, verdict in failed:
        print(_difference(path, verdict))
    print(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _difference(path: Path, verdict: Verdict) -> str:
    """A failed case as a diff: what was expected, what the rules say."""
    lines = [f"{path}: {verdict.case_id} ({verdict.op})"]
    for key, expected, found in verdict.differences:
        lines += [f"  - {key}: {expected}", f"  + {key}: {found}"]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    switches = {**CHOICES, **{name: ("true", "false") if on else ("false", "true") for name, on in FLAGS.items()}}
    ops = "\n  ".join(f"{name}: {op.answers}" for name, op in OPS.items())
    epilog = EPILOG.replace("{ops}", ops)
    epilog = epilog.replace("{switches}", "\n  ".join(f"{name}: {', '.join(each)}" for name, each in switches.items()))
    parser = argparse.ArgumentParser(
        prog="check_cases.py",
        description="Ask the rules of the fee programme what worked cases expect of them.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="JSON list of cases")
    return parser


if __name__ == "__main__":
    sys.exit(main())
