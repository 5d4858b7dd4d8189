"""Arguments that many subcommands take."""

from typing import Final

from ledger.cli.arguments import sha256, time_ns
from ledger.cli.subcommands import Argument, argument

ACCOUNT: Final = argument("account_id", metavar="ACCOUNT")
SYMBOL: Final = argument("symbol", metavar="SYMBOL")
# Notes of a help.
TWO_PERSONS: Final = "By the packaged programme it takes two persons: an actor, and another one as approver."

PROGRAMME_ID: Final = argument(
    "--programme", dest="programme_id", default="", metavar="ID", help="default: the only one"
)
VALID_FROM: Final = argument(
    "--from", dest="valid_from", type=time_ns, metavar="TIME", help="first instant (default: now)"
)


def at_time(field: str, help_: str) -> Argument:
    """--at, the instant of a command, which is a field of it; default: now."""
    return argument("--at", dest=field, type=time_ns, metavar="TIME", help=f"{help_} (default: now)")


def time_span(what: str) -> list[Argument]:
    """--from and --until, a span of time that `what` lies in."""
    return [
        argument("--from", dest="from_time", type=time_ns, metavar="TIME", help=f"{what} at and after it"),
        argument("--until", dest="until_time", type=time_ns, metavar="TIME", help=f"{what} before it"),
    ]


def evidence(field: str, *, required: bool) -> Argument:
    """--evidence, the SHA-256 of a document, which is a field of a command."""
    default = {} if required else {"default": b""}
    return argument("--evidence", dest=field, type=sha256, required=required, metavar="SHA256",
                    help="of the document, in hex", **default)  # fmt: skip
