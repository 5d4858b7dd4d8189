"""Look at programme files before anybody publishes one, and publish them: faults, what they say, what changes.

    .venv/bin/python ledger/tools/programme/command.py validate FILE... | diff A B | show FILE | publish FILE | list

Exit code 0: nothing found, or published. 1: faults, differences, or a refusal. 2: a file is unusable, or no ledger.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

try:
    from ledger import programmes
    from ledger.cli import screens
    from ledger.cli.arguments import time_ns
    from ledger.client import Client, LedgerError
    from ledger.domain.state.programme import Programme
    from ledger.tools.answers import ADDRESS, address, is_no, sentences
    from ledger.tools.programme.table import aligned, rate_table, statements
except ImportError as error:
    print(f"programme.py lacks packages ({error}): run `make run` once, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

CONNECT_S_MAX: Final = 2
EPILOG: Final = """\
examples:
  %(prog)s validate ledger/programmes/*.toml            every fault, one line each: file, name of the fault, key
  %(prog)s show ledger/programmes/bitmart-api-vip-3.0.toml
  %(prog)s diff old.toml new.toml                       every number and switch that is not the same
  %(prog)s publish new.toml --valid-from 2027-01-01 --actor ops-7 --approver ops-8
  %(prog)s list                                          every version that was published

A programme file is TOML; the packaged ones in ledger/programmes/ explain every key. What a file leaves out has its
default, and diff compares what the files mean: 0.04% and 4bps are the same.

A version is published for ever, by two persons: one asks, another approves. Sent again, it is published once.

exit code 0: nothing found, or published; 1: validate found faults, diff found differences, or the ledger refused;
2: a file is unusable, or no ledger
"""


class UnusableError(Exception):
    """One line: a file that cannot be looked at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        if options.verb == "validate":
            return _validate(options.files)
        if options.verb == "diff":
            return _diff(_programme(options.a), _programme(options.b))
        if options.verb == "show":
            return _show(_programme(options.file))
        with Client(options.address, connect_timeout_s=CONNECT_S_MAX) as ledger:
            return _publish(ledger, options) if options.verb == "publish" else _list(ledger)
    except LedgerError as error:
        for sentence in sentences(error, options.address):
            print(f"programme.py: {sentence}", file=sys.stderr)
        return 1 if is_no(error) else 2
    except UnusableError as error:
        print(f"programme.py: {error}", file=sys.stderr)
        return 2


def _validate(files: Sequence[Path]) -> int:
    """Every fault of every file."""
    found = [(path, programmes.faults(_content(path))) for path in files]
    for path, faults in found:
        for fault in faults:
            print(f"{path}: {fault}")
        if not faults:
            print(f"{path}: no faults")
    return 1 if any(faults for _, faults in found) else 0


def _diff(was: Programme, becomes: Programme) -> int:
    """What changes, in the order of the file."""
    old, new = statements(was), statements(becomes)
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    rows = [(key, old.get(key, "not there"), "->", new.get(key, "not there")) for key in keys]
    print("\n".join(aligned(rows)) if rows else "they say the same")
    return 1 if rows else 0


def _show(programme: Programme) -> int:
    """The table of rates, and everything else the programme says."""
    said = statements(programme)
    title = programme.title or programme.programme_id
    print(f"{title}: version {programme.version}, governs {said['venues']}\n")
    print("\n".join(rate_table(programme)))
    rest = [(key, value) for key, value in said.items() if not key.startswith(("rates.", "base_rates.", "volume.from"))]
    print()
    print("\n".join(aligned(rest)))
    return 0


def _publish(ledger: Client, options: argparse.Namespace) -> int:
    """The request is named by its content: the same publication sent again is answered, not done again."""
    content = _content(options.file)
    asked = f"{options.actor} {options.approver} {options.valid_from}\n{content}"
    request_id = f"publish-{sha256(asked.encode()).hexdigest()[:32]}"
    answer = ledger.publish_programme(
        content,
        valid_from=options.valid_from,
        actor=options.actor,
        approver=options.approver,
        ticket=options.ticket,
        request_id=request_id,
    )
    print("\n".join(screens.written(answer, str(options.file), request_id)))
    return 0


def _list(ledger: Client) -> int:
    print("\n".join(screens.programmes(ledger.list_programmes())))
    return 0


def _programme(path: Path) -> Programme:
    try:
        return programmes.parse(_content(path))
    except programmes.ProgrammeError as error:
        raise UnusableError(f"{path}: {error.faults[0]} (validate names every fault)") from error


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        detail = (error.strerror if isinstance(error, OSError) else "") or "is no UTF-8 text"
        raise UnusableError(f"{path}: {detail}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="programme.py",
        description="Look at programme files before anybody publishes one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    validate = verbs.add_parser("validate", help="name every fault of files")
    validate.add_argument("files", metavar="FILE", nargs="+", type=Path, help="programme file")
    diff = verbs.add_parser("diff", help="which numbers and switches differ between two files")
    diff.add_argument("a", metavar="A", type=Path, help="programme file as it was")
    diff.add_argument("b", metavar="B", type=Path, help="programme file as it becomes")
    show = verbs.add_parser("show", help="what a file says, as a table")
    show.add_argument("file", metavar="FILE", type=Path, help="programme file")
    publish = verbs.add_parser("publish", help="publish a file to a ledger: it takes two persons")
    publish.add_argument("file", metavar="FILE", type=Path, help="programme file")
    publish.add_argument("--valid-from", type=time_ns, metavar="TIME", help="first instant (default: now)")
    publish.add_argument("--actor", required=True, metavar="ID", help="who asks")
    publish.add_argument("--approver", required=True, metavar="ID", help="another person, who approved")
    publish.add_argument("--ticket", default="", help="reference to the case")
    listing = verbs.add_parser("list", help="every version that a ledger has")
    for verb in (publish, listing):
        verb.add_argument("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
