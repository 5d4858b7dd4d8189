"""The fills a trade tape stands for: two of each trade, the maker's and the taker's.

A tape names no accounts. Each fill gets one by a hash of its exec_id; both legs of a trade may meet the same one, which
makes a self-trade. The same file and names always give the same fills, in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from ledger.cli import Options
from ledger.cli.errors import UnusableError
from ledger.cli.extra import needs_extra
from ledger.tools.import_trades.trade import Trade, decimals
from ledger.v1 import fill_pb2
from ledger.v1.command_pb2 import Authority
from ledger.v1.command_service_pb2 import RegisterSymbolRequest
from ledger.wire.fields import ID
from ledger.wire.status import timestamp

ACTOR: Final = "import_trades"
SYMBOL: Final = re.compile(r"(?=.{3,36}$)([A-Za-z0-9.:-]+)_([A-Za-z0-9.:-]+)")  # leaves room for the ids made of it
_CONTENT: Final = ("time_ms", "taker_side", "price", "amount")  # of a trade, beside its id
_RULE: Final = "1"  # of this module; other fills of the same file need another number


def account_of(exec_id: str, accounts: int) -> str:
    """Return acct-00001 to acct-<accounts>: SHA-256 of the exec_id, as a big-endian integer, mod accounts, + 1."""
    return f"acct-{int.from_bytes(sha256(exec_id.encode()).digest(), 'big') % accounts + 1:05d}"


class Leg(NamedTuple):
    """One side of a trade."""

    place: str  # of the trade in the file, for example "line 3"
    fill: fill_pb2.Fill


@dataclass(frozen=True, slots=True)
class Tape:
    """A file and the names its fills get."""

    file: Path
    trades: Sequence[Trade]
    source: str  # the name that the fills are numbered under; it changes whenever the fills would, or their order
    symbol: str  # BASE_QUOTE
    venue: str  # empty: the only one of the ledger
    pair_class: str
    accounts: int
    attempt: int

    def legs(self) -> Iterator[Leg]:
        """Return all fills in the order of the file, of each trade the maker's first."""
        return (self._leg(trade, maker=maker) for trade in self.trades for maker in (True, False))

    def reused_ids(self) -> Iterator[str]:
        """Yield a sentence for each trade that has the id of an earlier one, but not its content."""
        earlier: dict[str, Trade] = {}
        for trade in self.trades:
            first = earlier.setdefault(trade.id, trade)
            if differs := [name for name in _CONTENT if getattr(trade, name) != getattr(first, name)]:
                yield f"{trade.place}: id {trade.id} stands in {first.place} with another {', '.join(differs)}"

    def accounts_of(self, trade: Trade) -> tuple[str, str]:
        """Return the maker's account and the taker's."""
        maker, taker = (account_of(f"{self.symbol}-{trade.id}-{letter}", self.accounts) for letter in "MT")
        return maker, taker

    def symbol_request(self) -> RegisterSymbolRequest:
        """Return what registers the symbol with the finest scales of the file. Its request_id is a hash of the rest."""
        base, _, quote = self.symbol.partition("_")
        request = RegisterSymbolRequest(
            authority=Authority(actor=ACTOR),
            symbol=self.symbol,
            base_currency=base,
            quote_currency=quote,
            price_scale=max(decimals(trade.price) for trade in self.trades),
            quantity_scale=max(decimals(trade.amount) for trade in self.trades),
            pair_class=self.pair_class,
        )
        content = f"{self.attempt}\n".encode() + request.SerializeToString(deterministic=True)
        request.request_id = f"import-{sha256(content).hexdigest()[:32]}"
        return request

    def _leg(self, trade: Trade, *, maker: bool) -> Leg:
        accounts = self.accounts_of(trade)
        fill = fill_pb2.Fill(
            account_id=accounts[0 if maker else 1],
            exec_id=f"{self.symbol}-{trade.id}-{'M' if maker else 'T'}",
            symbol=self.symbol,
            side=fill_pb2.SIDE_BUY if (trade.taker_side == "buy") is not maker else fill_pb2.SIDE_SELL,
            liquidity=fill_pb2.LIQUIDITY_MAKER if maker else fill_pb2.LIQUIDITY_TAKER,
            last_px=trade.price,
            last_qty=trade.amount,
            transact_time=timestamp(trade.time_ms * 1_000_000),
            trade_id=trade.id,
            counterparty_owner_id=accounts[1 if maker else 0],
            channel=fill_pb2.CHANNEL_API,
        )
        return Leg(trade.place, fill)


def open_tape(options: Options) -> Tape:
    """Return the file that the command line names, read, with the names it gives the fills. Raises UnusableError."""
    if not SYMBOL.fullmatch(options.symbol):
        raise UnusableError(
            f"--symbol {options.symbol!a} is not BASE_QUOTE, for example XRP_ETH, of at most 36 characters"
        )
    with needs_extra():
        from ledger.tools.import_trades.tape import content_digest, read_tape  # noqa: PLC0415 - it imports ijson
    trades = read_tape(options.file)
    for trade in trades:
        if not ID.fullmatch(f"{options.symbol}-{trade.id}-M"):
            raise UnusableError(f"{options.file}: {trade.place}: id {trade.id} is too long for the ids made of it")
    venue = options.venue or ""
    made_by = "\n".join((_RULE, venue, options.symbol, str(options.accounts), str(options.attempt), ""))
    return Tape(
        options.file,
        trades,
        f"import:{options.symbol}:{content_digest(options.file, made_by.encode())[:12]}",
        options.symbol,
        venue,
        options.pair_class or "",
        options.accounts,
        options.attempt,
    )
