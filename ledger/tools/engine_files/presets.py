"""The columns of exports that are known by name: of the ledger itself, of ccxt and of seven exchanges.

Each shape was written after the exchange's own documentation of its trade history: what that leaves open, such as a
fee's currency in Kraken's, is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """The columns of one export: ours -> its own; `fee.cost` is the field `cost` of `fee`."""

    columns: Mapping[str, str]
    fills: str = ""  # where an API's reply holds the list, for example result.list; empty: it is looked for
    key: str = ""  # if the reply holds an object of fills by their ids instead: the column that their ids make
    told_by: tuple[str, ...] = ()  # columns that only this export has; empty: the id and the time are enough
    negated: bool = False  # a charge is less than zero
    unit_ns: int = 0  # its transact_time is cut to; 0: exact
    only: Mapping[str, str] = {}  # columns in which every fill has this value; other entries are no fills
    currencies: Mapping[str, str] = {}  # names of currencies of its own, by the usual one


FORMATS: Final = ("csv", "jsonl", "json", "parquet")
TIMES: Final[Mapping[str, int]] = {  # ns in one unit of the column
    "transact_time": 1,  # ISO 8601, to the nanosecond
    "transact_time_ns": 1,
    "transact_time_us": 1_000,
    "transact_time_ms": 1_000_000,
    "transact_time_s": 1_000_000_000,
}
AMOUNTS: Final = ("last_px", "last_qty", "notional", "fee_amount", "fee_rate")
TEXTS: Final = ("symbol", "side", "liquidity", "fee_currency", "counterparty_owner_id", "order_id", "trade_id")
YES_NO: Final[Mapping[str, str]] = {"is_buyer": "side", "is_maker": "liquidity"}  # true or false -> what it tells
NAMES: Final = ("venue", "account_id", "exec_id", *TIMES, *AMOUNTS, *TEXTS, *YES_NO, "fees")

_SAME: Final = ("venue", "account_id", "exec_id", *TIMES, *AMOUNTS, *TEXTS)
_HISTORY: Final = (
    *("venue", "account_id", "exec_id", "transact_time", "last_px", "last_qty", "notional", "fee_amount", *TEXTS),
    *("kind", "position", "line", "adjusted_position", "adjusted_line", "fee_currency_after"),
)
_MILLISECOND: Final = 1_000_000

PRESETS: Final[Mapping[str, tuple[Shape, ...]]] = {
    "ledger": (  # what `fee-ledger history` writes, and the names of ListFeeHistory
        Shape(
            {**{name: name for name in _HISTORY}, "fee_rate": "rate"},
            told_by=("kind", "exec_id", "position", "line", "rate", "tier"),
        ),
        Shape({name: name for name in _SAME}),
    ),
    "ccxt": (  # fetchMyTrades
        Shape({
            "exec_id": "id", "transact_time_ms": "timestamp", "symbol": "symbol", "side": "side",
            "liquidity": "takerOrMaker", "last_px": "price", "last_qty": "amount", "notional": "cost",
            "order_id": "order", "fee_amount": "fee.cost", "fee_currency": "fee.currency", "fee_rate": "fee.rate",
            "fees": "fees", "account_id": "account_id", "venue": "venue", "trade_id": "trade_id",
        }),
    ),
    "binance": (  # GET /api/v3/myTrades, a list
        Shape({
            "exec_id": "id", "transact_time_ms": "time", "symbol": "symbol", "is_buyer": "isBuyer",
            "is_maker": "isMaker", "last_px": "price", "last_qty": "qty", "notional": "quoteQty",
            "fee_amount": "commission", "fee_currency": "commissionAsset", "order_id": "orderId",
        }),
    ),
    "okx": (  # GET /api/v5/trade/fills and fills-history
        Shape({
            "exec_id": "tradeId", "transact_time_ms": "fillTime", "symbol": "instId", "side": "side",
            "liquidity": "execType", "last_px": "fillPx", "last_qty": "fillSz", "fee_amount": "fee",
            "fee_currency": "feeCcy", "order_id": "ordId",
        }, fills="data", negated=True),
    ),
    "bybit": (  # GET /v5/execution/list
        Shape({
            "exec_id": "execId", "transact_time_ms": "execTime", "symbol": "symbol", "side": "side",
            "is_maker": "isMaker", "last_px": "execPrice", "last_qty": "execQty", "notional": "execValue",
            "fee_amount": "execFee", "fee_currency": "feeCurrency", "fee_rate": "feeRate", "order_id": "orderId",
        }, fills="result.list", only={"execType": "Trade"}),
    ),
    "kraken": (  # POST /0/private/TradesHistory, and the file trades.csv of its export
        Shape({
            "exec_id": "#key", "transact_time_s": "time", "symbol": "pair", "side": "type", "is_maker": "maker",
            "last_px": "price", "last_qty": "vol", "notional": "cost", "fee_amount": "fee", "order_id": "ordertxid",
        }, fills="result.trades", key="#key", currencies={"BTC": "XBT", "DOGE": "XDG"}),
        Shape({
            "exec_id": "txid", "transact_time": "time", "symbol": "pair", "side": "type", "last_px": "price",
            "last_qty": "vol", "notional": "cost", "fee_amount": "fee", "order_id": "ordertxid",
        }, unit_ns=100_000, currencies={"BTC": "XBT", "DOGE": "XDG"}),
    ),
    "coinbase": (  # GET /api/v3/brokerage/orders/historical/fills, GET /fills, and the fills report
        Shape({
            "exec_id": "trade_id", "transact_time": "trade_time", "symbol": "product_id", "side": "side",
            "liquidity": "liquidity_indicator", "last_px": "price", "last_qty": "size", "fee_amount": "commission",
            "order_id": "order_id",
        }, fills="fills", unit_ns=1_000, only={"size_in_quote": "false", "trade_type": "FILL"}),
        Shape({
            "exec_id": "trade_id", "transact_time": "created_at", "symbol": "product_id", "side": "side",
            "liquidity": "liquidity", "last_px": "price", "last_qty": "size", "fee_amount": "fee",
            "order_id": "order_id",
        }, unit_ns=1_000),
        Shape({
            "exec_id": "trade id", "transact_time": "created at", "symbol": "product", "side": "side",
            "last_px": "price", "last_qty": "size", "fee_amount": "fee", "fee_currency": "price/fee/total unit",
        }, unit_ns=_MILLISECOND),
    ),
    "bitmart": (  # POST /spot/v4/query/trades
        Shape({
            "exec_id": "tradeId", "transact_time_ms": "createTime", "symbol": "symbol", "side": "side",
            "liquidity": "tradeRole", "last_px": "price", "last_qty": "size", "notional": "notional",
            "fee_amount": "fee", "fee_currency": "feeCoinName", "order_id": "orderId",
        }, fills="data"),
    ),
}  # fmt: skip
