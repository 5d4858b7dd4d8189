"""The knobs as options of a command line: those that are asked for most in its help, the others after --help-all."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import Any, Final

import shtab

from ledger.knobs.environment import FILE_VARIABLE
from ledger.knobs.knob import Choice, Knob, KnobError, Origin, Said, Switch, Value, Whole, shown

_COMPLETIONS: Final[Mapping[str, Any]] = {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}  # by metavar
_ALL: Final = "--help-all"


def add_flags(parser: argparse.ArgumentParser, knobs: Collection[Knob]) -> None:
    """Add --config, and an option for each knob, under the heading of its group."""
    for number, (heading, members) in enumerate(groupby(knobs, key=lambda knob: knob.heading)):
        group = parser.add_argument_group(heading)
        if not number:
            _add_file(group)
        for knob in members:
            _add(group, knob)
    if not all(knob.is_common for knob in knobs):
        parser.add_argument(_ALL, action=_HelpAll, nargs=0, help="show the options of all knobs, and exit")


def said_by(options: argparse.Namespace, knobs: Collection[Knob]) -> dict[str, Said]:
    """Return what the options of a command line say, by knob."""
    said = vars(options)
    return {
        knob.name: Said(Origin.FLAG, knob.flag, said[knob.name]) for knob in knobs if said.get(knob.name) is not None
    }


def _add_file(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--config",
        action=_Once,
        metavar="FILE",
        help=f"a TOML file of knobs, such as lease_ms = 750 (default: ${FILE_VARIABLE}, else that of the user)",
    )


def _add(group: argparse._ArgumentGroup, knob: Knob) -> None:
    text = f"{knob.says[0].lower()}{knob.says[1:-1]}{_default(knob)}".replace("%", "%%")
    settings: dict[str, Any] = {"dest": knob.name, "help": text}
    if isinstance(knob, Switch):
        settings |= {"action": _SwitchOnce, "default": argparse.SUPPRESS}
    elif isinstance(knob, Choice):
        settings |= {"action": _Once, "choices": knob.choices}
    else:
        settings |= {"action": _Once, "type": _reader(knob), "metavar": knob.metavar}
    added = group.add_argument(knob.flag, **settings)
    if completion := _COMPLETIONS.get(knob.metavar):
        added.complete = completion  # type: ignore[attr-defined]  # shtab looks for it
    if not knob.is_common:
        added.help, added.hidden_help = argparse.SUPPRESS, text  # type: ignore[attr-defined]  # for _HelpAll


def _default(knob: Knob) -> str:
    if isinstance(knob, Switch):
        return f" (default {'yes' if knob.default else 'no'})"
    if isinstance(knob, Whole):
        return f" ({knob.lowest} to {knob.highest} {knob.unit}, default {knob.default})"
    return f" (default {knob.default})" if knob.default else ""


def _reader(knob: Knob) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        try:
            return knob.from_text(text)
        except KnobError as error:
            raise argparse.ArgumentTypeError(f"{'it' if knob.is_secret else shown(ascii(text))} {error}") from None

    return read


class _Once(argparse.Action):
    """An option that may be given once: the last of several would win in silence."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings | {"default": argparse.SUPPRESS})

    def __call__(self, _: object, options: argparse.Namespace, value: Any, flag: str | None = None) -> None:
        """Keep the value."""
        _refuse_two(self, options, flag)
        setattr(options, self.dest, value)


class _SwitchOnce(argparse.BooleanOptionalAction):
    """--projections or --no-projections, once."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, value: Any, flag: str | None = None
    ) -> None:
        """Keep which of both it was."""
        _refuse_two(self, options, flag)
        super().__call__(parser, options, value, flag)


def _refuse_two(action: argparse.Action, options: argparse.Namespace, flag: str | None) -> None:
    if hasattr(options, action.dest):
        raise argparse.ArgumentError(None, f"{flag} is given a second time: leave one of them away")


class _HelpAll(argparse.Action):
    """Print the help with every option in it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it, and exit."""
        for action in parser._actions:
            action.help = getattr(action, "hidden_help", action.help)
        parser.print_help()
        parser.exit()
