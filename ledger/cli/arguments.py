"""The arguments of the command line: what each subcommand takes, and the text that teaches it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NoReturn

from ledger.domain.instants import SECOND_NS

ADDRESS: Final = "127.0.0.1:50051"

_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UINT32_MAX: Final = 2**32 - 1
_UINT64_MAX: Final = 2**64 - 1


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are, and gives long options room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=100)

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indent of subcommands too, which argparse forgets."""
        super().add_argument(action)
        if isinstance(action.choices, dict):
            self._action_max_length += self._indent_increment


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def time_ns(text: str) -> int:
    """An ISO 8601 time, UTC if it does not say, as nanoseconds since 1970."""
    if found := _TIME.fullmatch(text):
        day, clock, decimals, zone = found.groups()
        try:
            whole = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(zone or 'Z').replace('Z', '+00:00')}")
        except ValueError:
            pass
        else:
            since = whole - _EPOCH
            return (since.days * 86_400 + since.seconds) * SECOND_NS + int((decimals or "").ljust(9, "0"))
    raise argparse.ArgumentTypeError(f"{text!a} is no time: give 2024-10-01, or 2024-10-01T08:30:00.000001Z")


def known_at(text: str) -> dict[str, int]:
    """A position, or a time."""
    if re.fullmatch("[0-9]{1,20}", text):
        return {"known_at_position": number(0, _UINT64_MAX)(text)}
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
        raise argparse.ArgumentTypeError(f"{text!a} is not HOST:PORT, for example {ADDRESS}")
    return text


def common() -> Parser:
    """What every subcommand takes."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("where and how").add_argument
    add("--address", type=address, default=ADDRESS, metavar="HOST:PORT", help="of the ledger (default %(default)s)")
    add("--json", action="store_true", help="print JSON: one document, or one line per entry of a list")
    add("--timeout", type=number(1, 3_600), default=30, metavar="SECONDS",
        help="how long to wait for an answer (default %(default)s)")  # fmt: skip
    return parser


def clocks(*, as_of: bool = True) -> Parser:
    """The two clocks of a read."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("clocks").add_argument
    if as_of:
        add("--as-of", type=time_ns, metavar="TIME", help="what was in effect then, for example 2024-10-01 or "
            "2024-10-01T00:00:00.000001Z (default: now)")  # fmt: skip
    add("--known-at", type=known_at, default={}, metavar="POSITION|TIME",
        help="what the ledger knew at a position or a time (default: all it knows)")  # fmt: skip
    return parser


def limit() -> Parser:
    """How much of a list."""
    parser = Parser(add_help=False)
    parser.add_argument("--limit", type=number(1, 2**31 - 1), metavar="N", help="print the first N only (default: all)")
    return parser


def authority() -> Parser:
    """Who stands behind a command."""
    parser = Parser(add_help=False)
    add = parser.add_argument_group("who asks, and why").add_argument
    add("--actor", default="", metavar="ID", help="who asks, by a pseudonymous id")
    add("--approver", default="", metavar="ID", help="a second person who approved")
    add("--ticket", default="", help="reference to the case")
    add("--reason", default="", metavar="TEXT", help="why, in free text")
    add("--request-id", default="", metavar="ID", help="send again what was sent with it: it is done once (default: "
        "a new one)")  # fmt: skip
    return parser


def add_reads(add: Callable[..., Parser]) -> None:
    """Subcommands that ask. `add(name, help, example, *parents)` adds one."""
    add("info", "what ledger this is, and how far it is", "info")
    for name, help_ in (
        ("state", "tier, rates, grants and bans of an account"),
        ("rates", "rates of an account, how long they hold, and its volume"),
    ):
        parser = add(name, help_, f"{name} alice --as-of 2024-10-01 --known-at 8", clocks())
        parser.add_argument("account", metavar="ACCOUNT")
        parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add(
        "fees", "every fee of an account", "fees alice --from 2024-09-01 --until 2024-10-01", clocks(), limit()
    )
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--from", dest="from_time", type=time_ns, metavar="TIME", help="fills at and after it")
    parser.add_argument("--until", dest="until_time", type=time_ns, metavar="TIME", help="fills before it")
    _add_quote(add)
    parser = add("fill", "one fill and its fee", "fill alice 2024-09-30 E1", clocks(as_of=False))
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("day", metavar="DAY", help="UTC day of the trade, for example 2024-09-30")
    parser.add_argument("exec_id", metavar="EXEC_ID", help="the engine's id of the fill")
    parser.add_argument("--venue", default="", help="the market (default: the only one)")
    _add_close_reads(add)
    _add_accounts(add)
    parser = add("events", "the log as it is stored; --json decodes each event", "events account/alice --json",
                 clocks(as_of=False), limit())  # fmt: skip
    parser.add_argument("stream", metavar="STREAM", nargs="?", default="", help="one stream (default: the whole log)")
    parser.add_argument("--after", type=number(0, _UINT64_MAX), default=0, metavar="POSITION", help="later events only")
    _add_oversight(add)


def _add_oversight(add: Callable[..., Parser]) -> None:
    """Programmes, controls, and who did what alone."""
    parser = add("programmes", "every version of every programme", "programmes", clocks(), limit())
    parser.add_argument("programme", metavar="ID", nargs="?", default="", help="one programme (default: all)")
    parser = add("programme", "the file of a version", "programme --version 3.0 > programme.toml", clocks())
    parser.add_argument("programme", metavar="ID", nargs="?", default="", help="default: the only one")
    parser.add_argument("--version", default="", metavar="VERSION", help="default: the one in force")
    parser = add("pairs", "class of each pair, and rates of its own", "pairs --as-of 2024-10-01", clocks(), limit())
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add("findings", "what the controls find", "findings benefits-ending --within-days 7", limit())
    parser.add_argument("control", metavar="CONTROL", nargs="?", default="", help="one control (default: all)")
    parser.add_argument("--as-of", type=time_ns, metavar="TIME", help="as it is then (default: now)")
    parser.add_argument("--within-days", type=number(0, 366), default=0, metavar="N", help="days ahead, or back, by "
                        "what the control looks for (default: 30)")  # fmt: skip
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add("solo-actions", "who did what alone", "solo-actions --of ops-7 --from 2024-10-01", clocks(), limit())
    parser.add_argument("--of", default="", metavar="ACTOR", help="of this person only")
    parser.add_argument("--from", dest="from_time", type=time_ns, metavar="TIME", help="recorded at and after it")
    parser.add_argument("--until", dest="until_time", type=time_ns, metavar="TIME", help="recorded before it")


def _add_close_reads(add: Callable[..., Parser]) -> None:
    parser = add("closes", "daily closes that were known", "closes BTC --from 2024-09-08", clocks(), limit())
    parser.add_argument("asset", metavar="ASSET", nargs="?", default="", help="default: all")
    parser.add_argument("--from", dest="from_day", default="", metavar="DAY", help="first UTC day")
    parser.add_argument("--until", dest="until_day", default="", metavar="DAY", help="first UTC day after the last one")
    parser.add_argument("--restated", action="store_true", help="those too that were replaced")


def _add_quote(add: Callable[..., Parser]) -> None:
    example = "quote alice XRP_USDT buy maker --quantity 1000 --price 0.6"
    parser = add("quote", "what a fill would cost; nothing is recorded", example, clocks())
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("symbol", metavar="SYMBOL")
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("liquidity", choices=("maker", "taker"))
    parser.add_argument("--quantity", required=True, metavar="DECIMAL", help="in base currency")
    parser.add_argument("--price", required=True, metavar="DECIMAL", help="in quote currency")
    parser.add_argument("--channel", choices=("api", "web", "app"), default="unspecified", help="default: not said")
    parser.add_argument("--venue", default="", help="the market (default: the only one)")


def _add_accounts(add: Callable[..., Parser]) -> None:
    example = "accounts --tier VIP3 --ending-before 2024-10-08"
    parser = add("accounts", "accounts by tier, ban or owner", example, limit())
    parser.add_argument("--as-of", type=time_ns, metavar="TIME", help="what is in effect then (default: now)")
    parser.add_argument("--tier", default="", help="in effect; NONE for those without one")
    parser.add_argument("--ending-before", type=time_ns, metavar="TIME", help="whose tier ends before it")
    parser.add_argument("--banned", action=argparse.BooleanOptionalAction, help="banned ones only, or not banned ones")
    parser.add_argument("--flagged", action=argparse.BooleanOptionalAction, help="flagged as fake, or not")
    parser.add_argument("--owner", default="", metavar="ID", help="of this beneficial owner")
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")


def add_writes(add: Callable[..., Parser]) -> None:
    """Subcommands that change something; `add` as in `add_reads`."""
    parser = add("register-account", "register an account's owner and parent", "register-account alice-2 --owner alice")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--owner", default="", metavar="ID", help="beneficial owner (default: the account itself)")
    parser.add_argument("--parent", default="", metavar="ACCOUNT", help="the account it is a sub-account of")
    parser.add_argument("--registered", type=time_ns, metavar="TIME", help="when it was opened (default: now)")
    _add_registers(add)
    parser = add("start-trial", "start the trial of a new member", "start-trial alice --start 2024-09-01")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--start", type=time_ns, metavar="TIME", help="default: now")
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add(
        "change-tier",
        "grant a tier by hand",
        "change-tier alice VIP4 --until 2024-12-01 --actor ops-7 --approver ops-8 --reason 'agreed on the phone'",
    )
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("tier", metavar="TIER", help="for example VIP4")
    parser.add_argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="first instant (default: now)")
    parser.add_argument("--until", dest="valid_until", type=time_ns, metavar="TIME", help="first instant after it "
                        "(default: no end)")  # fmt: skip
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add("revoke-tier", "end a grant early", "revoke-tier alice g1")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("grant", metavar="GRANT", help="as `state` shows it, for example g1")
    parser.add_argument("--at", type=time_ns, metavar="TIME", help="when it ends (default: now)")
    parser = add("ban", "ban an account's API trading", "ban alice 3 ORDER_SPAM --ticket T-18")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("days", type=number(0, _UINT32_MAX), metavar="DAYS", help="whole days, 1 to 7")
    parser.add_argument("reason_code", metavar="REASON_CODE", help="for example ORDER_SPAM or LOW_FILL_RATIO")
    parser.add_argument("--start", type=time_ns, metavar="TIME", help="default: now")
    parser.add_argument("--evidence", dest="evidence_positions", type=number(1, _UINT64_MAX), action="append",
                        default=[], metavar="POSITION", help="of a behaviour metric; may be given again")  # fmt: skip
    parser = add("lift-ban", "end the running ban early", "lift-ban alice --actor ops-7 --approver ops-8")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--at", type=time_ns, metavar="TIME", help="when it ends (default: now)")
    _add_programme_writes(add)
    _add_closes(add)
    _add_members(add)


def _add_programme_writes(add: Callable[..., Parser]) -> None:
    example = "publish programme.toml --from 2024-11-01 --actor ops-7 --approver ops-8"
    parser = add("publish", "publish a version of a programme; it takes two persons", example)
    parser.add_argument("file", metavar="FILE", help="the programme, in TOML")
    parser.add_argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="first instant (default: now)")
    parser = add("assign-class", "give a pair a class", "assign-class XRP_USDT B --from 2024-11-01")
    parser.add_argument("symbol", metavar="SYMBOL")
    parser.add_argument("pair_class", metavar="CLASS")
    parser.add_argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="first instant (default: now)")
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add("set-pair-rates", "give a pair rates of its own, or end them",
                 "set-pair-rates XRP_USDT --maker 0 --taker 0.0002")  # fmt: skip
    parser.add_argument("symbol", metavar="SYMBOL")
    parser.add_argument("--maker", metavar="DECIMAL", help="as a fraction (default: that of tier and class)")
    parser.add_argument("--taker", metavar="DECIMAL", help="likewise; without both the pair has no rates of its own")
    parser.add_argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="first instant (default: now)")
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")


def _add_closes(add: Callable[..., Parser]) -> None:
    example = f"record-close BTC 2024-10-01 61234.5 --source binance-1d \\\n    --evidence {'0' * 63}1"
    parser = add("record-close", "record the close of an asset on a UTC day, or restate it", example)
    parser.add_argument("asset", metavar="ASSET", help="for example BTC")
    parser.add_argument("day", metavar="DAY", help="UTC day that has ended, for example 2024-10-01")
    parser.add_argument("price", metavar="DECIMAL", help="of one unit")
    parser.add_argument("--source", required=True, metavar="ID", help="where it comes from, for example binance-1d")
    parser.add_argument("--evidence", type=sha256, required=True, metavar="SHA256", help="of the document, in hex")
    parser.add_argument("--currency", default="", metavar="ID", help="of the price (default: that of the programme)")
    parser.add_argument("--restates", type=number(1, _UINT64_MAX), default=0, metavar="POSITION", help="of the close "
                        "that this one replaces; it takes two persons")  # fmt: skip


def _add_members(add: Callable[..., Parser]) -> None:
    parser = add("flag", "flag an account as fake: no grant counts until it is unflagged", "flag alice robot")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("kind", choices=("fake", "robot"), help="what it is taken for")
    parser.add_argument("--at", type=time_ns, metavar="TIME", help="from when on (default: now)")
    parser.add_argument("--evidence", type=sha256, default=b"", metavar="SHA256", help="of the evidence, in hex")
    parser = add("unflag", "end every running flag", "unflag alice --ticket T-19")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--at", type=time_ns, metavar="TIME", help="when it ends (default: now)")
    claim = "--venue okx --level VIP2 --from 2024-09-01 --until 2024-10-01 --spot 500000"
    example = f"request-match carol {claim} \\\n    --evidence {'0' * 63}1"
    parser = add("request-match", "ask for the fee rates of a VIP of other exchanges", example)
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--venue", dest="venues", action="append", required=True, metavar="ID", help="an exchange; "
                        "may be given again")  # fmt: skip
    parser.add_argument("--level", required=True, metavar="ID", help="held there, for example VIP2")
    parser.add_argument("--from", dest="period_from", type=time_ns, required=True, metavar="TIME", help="of the volume")
    parser.add_argument("--until", dest="period_until", type=time_ns, required=True, metavar="TIME", help="of the same")
    parser.add_argument("--spot", default="0", metavar="DECIMAL", help="volume on spot markets (default 0)")
    parser.add_argument("--futures", default="0", metavar="DECIMAL", help="volume on futures markets (default 0)")
    parser.add_argument("--evidence", type=sha256, required=True, metavar="SHA256", help="of the document, in hex")
    parser.add_argument("--programme", default="", metavar="ID", help="default: the only one")
    parser = add(
        "approve-match", "approve a match that another person requested", "approve-match carol m1 --actor ops-8"
    )
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("match", metavar="MATCH", help="as it was answered, for example m1")
    parser = add("reject-match", "say no to a match", "reject-match carol m1 EVIDENCE_FALSE")
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("match", metavar="MATCH", help="as it was answered, for example m1")
    parser.add_argument("reason_code", metavar="REASON_CODE", help="for example EVIDENCE_FALSE")


def _add_registers(add: Callable[..., Parser]) -> None:
    example = "register-symbol XRP_USDT --price-scale 5 --quantity-scale 2 --pair-class A"
    parser = add("register-symbol", "register a symbol, or new terms of it", example)
    parser.add_argument("symbol", metavar="SYMBOL")
    parser.add_argument("--base", default="", metavar="CURRENCY", help="default: what SYMBOL has before its _")
    parser.add_argument("--quote", default="", metavar="CURRENCY", help="default: what SYMBOL has after its _")
    scale = number(0, _UINT32_MAX)
    parser.add_argument("--price-scale", type=scale, required=True, metavar="N", help="decimals of a price, 0 to 18")
    parser.add_argument("--quantity-scale", type=scale, required=True, metavar="N", help="decimals of a quantity")
    parser.add_argument("--pair-class", default="", metavar="CLASS", help="default: none, which pays the base rate")
    parser.add_argument("--product", choices=("spot", "futures"), default="spot", help="default %(default)s")
    parser.add_argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="default: the beginning")
    parser.add_argument("--programme", default="", metavar="ID", help="of the class (default: the only one)")
    parser = add("register-currency", "register the decimals fees are rounded to", "register-currency USDT 6")
    parser.add_argument("currency", metavar="CURRENCY")
    parser.add_argument("decimals", type=scale, metavar="DECIMALS", help="0 to 18")
