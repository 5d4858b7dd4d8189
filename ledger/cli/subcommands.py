"""The table of subcommands: each one is declared once, with its help, examples, arguments, RPCs and what it does.

A subcommand either does something itself or has verbs, which are subcommands in turn: `fee-ledger programme show`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final, NamedTuple, TypeAlias

from ledger.cli.arguments import WIDTH, HelpFormatter, Parser, authority, common
from ledger.client import Client

CONNECT_S_MAX: Final = 2  # a ledger that is there answers sooner

Options: TypeAlias = argparse.Namespace
Work: TypeAlias = Callable[[Options], int]  # the exit code
Asking: TypeAlias = Callable[[Client, Options], int | None]  # the same over a ledger; None is 0


class Argument(NamedTuple):
    """The parameters of `add_argument`."""

    names: tuple[str, ...]
    settings: dict[str, Any]

    @property
    def dest(self) -> str:
        """The name under which the options have it."""
        return self.settings.get("dest") or self.names[0].lstrip("-").replace("-", "_")

    def value(self, options: Options) -> Any:
        """Return what was given, as the client takes it: a choice is a member of an enum, in capitals."""
        found = getattr(options, self.dest)
        return found.upper() if "choices" in self.settings else found


def argument(*names: str, **settings: Any) -> Argument:
    """An argument of a subcommand, as `add_argument` takes it."""
    return Argument(names, settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subcommand:
    """A thing that `fee-ledger` does, under one name."""

    name: str
    help: str  # one line, in lower case and without a full stop
    examples: Sequence[str]  # command lines; what follows `fee-ledger`
    work: Work | None = None  # none where it has verbs
    verbs: Sequence[Subcommand] = ()
    rpcs: Sequence[str] = ()  # methods of the contract that it calls, for example GetVipState
    arguments: Sequence[Argument] = ()
    parents: Sequence[Callable[[], Parser]] = ()  # parsers whose arguments it shares
    notes: str = ""  # what else its help says, after the examples
    refused: int = 1  # the exit code if a ledger refuses; 2 where 1 means that something was found
    interrupted: str = ""  # how to go on after Ctrl-C, told after "interrupted"
    to_the_end: bool = False  # goes on when nobody reads what it prints: its exit code, files or orders matter

    def add_to(self, commands: Any) -> None:
        """Add its parser, with those of its verbs, to the subparsers of `fee-ledger` or of the subcommand above."""
        parser: Parser = commands.add_parser(
            self.name,
            help=self.help,
            description=f"{self.help[0].upper()}{self.help[1:]}.",
            epilog=_epilog(self.examples, self.notes),
            formatter_class=HelpFormatter,
            allow_abbrev=False,
            parents=[parent() for parent in self.parents],
        )
        for names, settings in self.arguments:
            parser.add_argument(*names, **settings)
        if self.verbs:
            below = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
            for verb in self.verbs:
                verb.add_to(below)
        else:
            parser.set_defaults(subcommand=self)


class Group:
    """Subcommands that the help shows under one heading, in the order of their declarations."""

    def __init__(self, heading: str) -> None:
        self.heading = heading
        self.subcommands: list[Subcommand] = []

    def add(self, name: str, help_: str, *examples: str, **more: Any) -> Callable[[Work], Work]:
        """Declare the function below as a subcommand; `more` are fields of Subcommand."""

        def declare(work: Work) -> Work:
            self.subcommands.append(Subcommand(name=name, help=help_, examples=examples, work=work, **more))
            return work

        return declare

    def verbs(self, name: str, help_: str, *examples: str, **more: Any) -> Group:
        """Declare a subcommand whose verbs do the work, and return the group in which to declare them."""
        below = Group(name)
        self.subcommands.append(Subcommand(name=name, help=help_, examples=examples, verbs=below.subcommands, **more))
        return below

    def ask(
        self,
        name: str,
        help_: str,
        *examples: str,
        rpcs: Sequence[str],
        parents: Sequence[Callable[[], Parser]] = (),
        **more: Any,
    ) -> Callable[[Asking], Asking]:
        """Declare the function below, which asks a running ledger, as a subcommand."""

        def declare(asking: Asking) -> Asking:
            self.add(name, help_, *examples, rpcs=rpcs, parents=(*parents, common), **more)(_on_ledger(asking))
            return asking

        return declare

    def order(self, name: str, help_: str, *examples: str, rpc: str, **more: Any) -> Callable[[Asking], Asking]:
        """Declare the function below, which sends a running ledger a command, as a subcommand."""
        return self.ask(name, help_, *examples, rpcs=(rpc,), parents=(authority,), **more)


def _on_ledger(asking: Asking) -> Work:
    """Work that connects to the ledger at --address first."""

    def work(options: Options) -> int:
        with Client(options.address, timeout_s=options.timeout, connect_timeout_s=CONNECT_S_MAX) as ledger:
            return asking(ledger, options) or 0

    return work


def _epilog(examples: Sequence[str], notes: str) -> str:
    heading = "example:" if len(examples) == 1 else "examples:"
    text = "\n".join([heading, *(_example(example) for example in examples)])
    return f"{text}\n\n{notes}".rstrip()


def _example(example: str) -> str:
    """A command line that a shell takes as it is printed, over several lines if it is long."""
    whole = re.sub("'[^']*'", lambda quoted: quoted[0].replace(" ", "\0"), f"fee-ledger {example}")
    lines = wrap(
        whole,
        WIDTH - 2,  # room for the backslash
        initial_indent="  ",
        subsequent_indent="      ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return " \\\n".join(lines).replace("\0", " ")
