"""Arguments of the command line: types that say what is wrong in one line, and what many subcommands share."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final, NoReturn

from ledger.domain.instants import SECOND_NS
from ledger.masked import masked
from ledger.visible import visible

ADDRESS: Final = "127.0.0.1:50051"
ADDRESS_VARIABLE: Final = "FEE_LEDGER_ADDRESS"  # of the environment: in place of --address
WIDTH: Final = 100  # columns of a help text
UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1

_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_INVALID_CHOICE: Final = re.compile(r"argument (.*): invalid choice: '(.*)' \(choose from (.*)\)")
_CHOICES_MAX: Final = 12  # more are not told one by one
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are, and gives long options room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=WIDTH)

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indent of subcommands too, which argparse forgets."""
        super().add_argument(action)
        if isinstance(action.choices, dict):
            self._action_max_length += self._indent_increment


class FromEnvironment(str):
    """The value of a variable: what is wrong with it is said of the variable, for nobody typed it here."""

    __slots__ = ()


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Tell why, and exit with 2; of many choices only those that look like what was typed."""
        if found := _INVALID_CHOICE.fullmatch(message):
            argument_, typed, listed = found.groups()
            names = re.findall(r"[a-z][a-z0-9-]+", listed)
            if len(names) > _CHOICES_MAX:
                near = " or ".join(get_close_matches(typed, names))
                meant = f": did you mean {near}?" if near else ""
                message = f"argument {argument_}: invalid choice: '{typed}'{meant}"
        self.exit(2, f"{self.prog}: {visible(masked(message))} (see {self.prog} --help)\n")


def time_ns(text: str) -> int:
    """An ISO 8601 time, UTC if it does not say, as nanoseconds since 1970."""
    if found := _TIME.fullmatch(text):
        day, clock, decimals, zone = found.groups()
        try:
            whole = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(zone or 'Z').replace('Z', '+00:00')}")
            whole = whole.astimezone(UTC)  # its zone may bring it out of the years that can be written
        except (ValueError, OverflowError):
            pass
        else:
            since = whole - _EPOCH
            return (since.days * 86_400 + since.seconds) * SECOND_NS + int((decimals or "").ljust(9, "0"))
    raise argparse.ArgumentTypeError(f"{text!a} is no time: give 2024-10-01, or 2024-10-01T08:30:00.000001Z")


def known_at(text: str) -> dict[str, int]:
    """A position, or a time."""
    if re.fullmatch("[0-9]{1,20}", text):
        return {"known_at_position": number(0, UINT64_MAX)(text)}
    return {"known_at_time": time_ns(text)}


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,20}", text) or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from {lowest} to {highest}")
        return int(text)

    return read


def sha256(text: str) -> bytes:
    """64 hex digits."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!a} is no SHA-256: give 64 hex digits, as sha256sum prints them")
    return bytes.fromhex(text)


def address(text: str) -> str:
    """HOST:PORT."""
    if not re.fullmatch(r"[!-~]+:[0-9]{1,5}", text):
        said_by = f"{ADDRESS_VARIABLE}=" if isinstance(text, FromEnvironment) else ""
        raise argparse.ArgumentTypeError(f"{said_by}{text!a} is not HOST:PORT, for example {ADDRESS}")
    return text


def add_address(add: Callable[..., object]) -> None:
    """Add --address, whose default the environment may say."""
    given = os.environ.get(ADDRESS_VARIABLE)
    add("--address", type=address, default=FromEnvironment(given) if given else ADDRESS, metavar="HOST:PORT",
        help=f"of the ledger (default: ${ADDRESS_VARIABLE}, else {ADDRESS})")  # fmt: skip


def common() -> Parser:
    """Return the arguments of every subcommand that calls a ledger."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("where and how").add_argument
    add_address(add)
    add("--json", action="store_true", help="print JSON: one document, or one line per entry of a list")
    add("--timeout", type=number(1, 3_600), default=30, metavar="SECONDS",
        help="how long to wait for an answer (default %(default)s)")  # fmt: skip
    return parser


def clocks() -> Parser:
    """The two clocks of a read."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("clocks").add_argument
    add("--as-of", type=time_ns, metavar="TIME", help="what was in effect then, for example 2024-10-01 or "
        "2024-10-01T00:00:00.000001Z (default: now)")  # fmt: skip
    _add_known_at(add)
    return parser


def known_clock() -> Parser:
    """The one clock of a read that is about what is recorded, whenever it takes effect."""
    parser = Parser(add_help=False)
    _add_known_at(parser.add_argument_group("clocks").add_argument)
    return parser


def _add_known_at(add: Callable[..., object]) -> None:
    add("--known-at", type=known_at, default={}, metavar="POSITION|TIME",
        help="what the ledger knew at a position or a time (default: all it knows)")  # fmt: skip


def limit() -> Parser:
    """How much of a list."""
    parser = Parser(add_help=False)
    parser.add_argument("--limit", type=number(1, 2**31 - 1), metavar="N", help="print the first N only (default: all)")
    return parser


def authority() -> Parser:
    """Return the arguments that say who asks for a command, who approves, and whether it is only to be previewed."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("who asks, and why").add_argument
    add("--actor", default="", metavar="ID", help="who asks, by a pseudonymous id")
    add("--approver", default="", metavar="ID", help="a second person who approved")
    add("--ticket", default="", help="reference to the case")
    add("--reason", default="", metavar="TEXT", help="why, in free text")
    add("--request-id", default="", metavar="ID", help="send again what was sent with it: it is done once (default: "
        "a new one)")  # fmt: skip
    add("--validate-only", action="store_true", help="only say what would be recorded now, and record nothing")
    return parser
