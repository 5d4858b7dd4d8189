"""The program `fee-ledger`: its parser, out of the table of subcommands, and how one of them runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from textwrap import fill
from typing import Any, Final

from ledger.cli.arguments import ADDRESS_VARIABLE, WIDTH, HelpFormatter, Parser
from ledger.cli.errors import told, unread
from ledger.cli.extra import needs_extra
from ledger.cli.subcommands import Group, Options, argument
from ledger.visible import as_it_is

PROGRAM: Final = "fee-ledger"

_SENTENCE: Final = "An event-sourced fee ledger: which fee, at which rate, and why - at any instant."
_EPILOG: Final = f"""\
examples:
  fee-ledger start-trial alice --start 2024-09-01   # order something, of the ledger at --address
  fee-ledger state alice --as-of 2024-10-01         # ask it
  fee-ledger fees alice --json | jq .fee_amount     # and go on with the answer

`fee-ledger serve` runs a ledger. Where yours is, say by --address or {ADDRESS_VARIABLE}.
`fee-ledger COMMAND --help` shows what a command takes, with examples.

exit code 0: done; 1: the ledger refused, or something was found, and it is told; 2: unusable
arguments, or no answer; 130: interrupted
"""

SHELL: Final = Group("shell")


def program(groups: Sequence[Group], note: str = "") -> Parser:
    """Return the parser of `fee-ledger` with the subcommands of some groups, in their order.

    The help ends with the note.
    """
    parser = Parser(
        prog=PROGRAM,
        description=f"{_SENTENCE}\n\n{_table(groups)}",
        epilog=f"{_EPILOG}\n{fill(note, WIDTH)}".rstrip() + "\n",
        formatter_class=_ProgramHelp,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version('fee-ledger')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in groups:
        for subcommand in group.subcommands:
            subcommand.add_to(commands)
    parser.set_defaults(program=parser)
    return parser


def run(options: Options) -> int:
    """Run the subcommand that was asked for; what stops it is told on stderr. Return the exit code."""
    one = options.subcommand
    where, timeout_s = getattr(options, "address", ""), getattr(options, "timeout", None)

    def work() -> int:
        with unread() if one.to_the_end else nullcontext():
            code: int = one.work(options)
        return code

    return told(work, where, timeout_s, refused=one.refused, interrupted=one.interrupted)


class _ProgramHelp(HelpFormatter):
    """Leaves the list of subcommands to the description, where it has headings."""

    def add_argument(self, action: argparse.Action) -> None:
        if not isinstance(action.choices, dict):
            super().add_argument(action)


def _table(groups: Sequence[Group]) -> str:
    """Return every subcommand under the heading of its group, one line each."""
    width = max(len(one.name) for group in groups for one in group.subcommands)
    blocks = [
        "\n".join([f"{group.heading}:", *(f"  {one.name:<{width}}  {one.help}" for one in group.subcommands)])
        for group in groups
    ]
    return "\n\n".join(blocks)


@SHELL.add(
    "completion",
    "print what a shell needs to complete commands and options",
    "completion bash > ~/.local/share/bash-completion/completions/fee-ledger",
    "completion zsh > ~/.zfunc/_fee-ledger",
    arguments=(argument("shell", choices=("bash", "zsh", "tcsh")),),
)
def _completion(options: Options) -> int:
    with needs_extra():
        import shtab  # noqa: PLC0415 - it is in the extra service
    _complete_paths(options.program, {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY})
    with as_it_is():
        print(shtab.complete(options.program, options.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser, by_metavar: Mapping[str, Any]) -> None:
    """Have the arguments that name files and folders completed, of a parser and of all subcommands."""
    for action in parser._actions:
        if isinstance(action.metavar, str) and action.metavar in by_metavar:
            action.complete = by_metavar[action.metavar]  # type: ignore[attr-defined]  # shtab looks for it
        for below in action.choices.values() if isinstance(action.choices, dict) else ():
            _complete_paths(below, by_metavar)
