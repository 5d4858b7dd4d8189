"""The program `fee-ledger`: its parser, out of the table of subcommands, and how one of them runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Final

import shtab

from ledger.cli.arguments import ADDRESS_VARIABLE, HelpFormatter, Parser
from ledger.cli.errors import told, unread
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


def program(groups: Sequence[Group]) -> Parser:
    """Return the parser of `fee-ledger` with the subcommands of some groups, in their order."""
    parser = Parser(
        prog=PROGRAM,
        description=f"{_SENTENCE}\n\n{_table(groups)}",
        epilog=_EPILOG,
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
    with as_it_is():
        print(shtab.complete(options.program, options.shell))
    return 0
