"""The subcommand `cases`: worked cases of a business owner in, every difference from what the rules say out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.cli import Options, argument
from ledger.cli.errors import UnusableError
from ledger.tools.cases.cases import OPS, Verdict, check_file
from ledger.tools.cases.config import CHOICES, FLAGS
from ledger.tools.cases.fields import UnreadableError
from ledger.tools.group import TOOLS
from ledger.visible import visible

_FLAG_CHOICES: Final = {name: ("true", "false") if on else ("false", "true") for name, on in FLAGS.items()}
_OPS: Final = "\n  ".join(f"{name}: {op.answers}" for name, op in OPS.items())
_SWITCHES: Final = "\n  ".join(f"{name}: {', '.join(each)}" for name, each in {**CHOICES, **_FLAG_CHOICES}.items())
_NOTES: Final = f"""\
A FILE is a JSON list of cases:
  [{{"id": "B06", "rule": "any text", "note": "any text",
    "given": {{"volume_usdt": "500000", "config": {{"boundary_policy": "table"}}}},
    "when": {{"op": "tier_for_volume"}},
    "expect": {{"tier": "VIP2"}}}}]

Each key of "expect" must equal the answer, in value and JSON type; keys that it does not name may
have any value. Amounts and rates are texts without exponent and trailing zeros; times end in Z.
"config" sets switches of the packaged programme; what it leaves out has its default. Anything else
makes a file unreadable, so that a typing error cannot pass.

ops, and the keys of their answers:
  {_OPS}

switches of "config", the default first:
  {_SWITCHES}
  effective_delay_s: seconds
  timezone: UTC, or any other IANA zone
  program_start: none, or a time
  holidays: a list of dates

The rules that are asked are those of the service, in ledger/domain/rules. No ledger is needed.

exit code 0: all cases passed; 1: some failed; 2: a file is unreadable, and no verdict is printed"""


@TOOLS.add(
    "cases",
    "ask the rules of the programme what worked cases expect of them",
    "cases cases.json",
    arguments=(argument("files", metavar="FILE", nargs="+", type=Path, help="JSON list of cases"),),
    notes=_NOTES,
    to_the_end=True,
)
def _cases(options: Options) -> int:
    verdicts = [(path, verdict) for path in options.files for verdict in _verdicts(path)]
    failed = [(path, verdict) for path, verdict in verdicts if verdict.differences]
    for path, verdict in failed:
        print(_difference(path, verdict))
    print(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _verdicts(path: Path) -> list[Verdict]:
    try:
        return check_file(path)
    except UnreadableError as error:
        raise UnusableError(f"{path}: {error}") from error


def _difference(path: Path, verdict: Verdict) -> str:
    """Return a failed case as a diff: what was expected (-), and what the rules say (+)."""
    lines = [f"{path}: {verdict.case_id} ({verdict.op})"]
    for key, expected, found in verdict.differences:
        lines += [f"  - {key}: {expected}", f"  + {key}: {found}"]
    return "\n".join(map(visible, lines))
