"""Exports of exchanges in their own formats: two fills of each agree with the ledger, and a changed fee does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import FeeLine
from tests.tools.engine_files.conftest import Reconcile

Export = Callable[[list[FeeLine], Decimal], str]  # the second is added to each fee


def _ms(line: FeeLine) -> int:
    return int(line.transact_time.ToMilliseconds())


def _sells(line: FeeLine) -> bool:
    return line.side == fill_pb2.SIDE_SELL


def _makes(line: FeeLine) -> bool:
    return line.liquidity == fill_pb2.LIQUIDITY_MAKER


def _fee(line: FeeLine, more: Decimal) -> str:
    return f"{Decimal(line.fee_amount) + more:f}"


def binance(lines: list[FeeLine], more: Decimal) -> str:
    return json.dumps([
        {"symbol": "BTCUSDT", "id": int(line.fill_ref.exec_id), "orderId": 100234, "orderListId": -1,
         "price": f"{line.last_px}.00000000", "qty": f"{line.last_qty}000000", "quoteQty": line.notional,
         "commission": _fee(line, more), "commissionAsset": "USDT", "time": _ms(line), "isBuyer": not _sells(line),
         "isMaker": _makes(line), "isBestMatch": True}
        for line in lines
    ])  # fmt: skip


def okx(lines: list[FeeLine], more: Decimal) -> str:
    return json.dumps({"code": "0", "msg": "", "data": [
        {"instType": "SPOT", "instId": "BTC-USDT", "tradeId": line.fill_ref.exec_id, "ordId": "100234", "clOrdId": "",
         "billId": "1111", "tag": "", "fillPx": line.last_px, "fillSz": line.last_qty,
         "side": "sell" if _sells(line) else "buy", "posSide": "net", "execType": "M" if _makes(line) else "T",
         "feeCcy": "USDT", "fee": f"-{_fee(line, more)}", "ts": str(_ms(line) + 3), "fillTime": str(_ms(line))}
        for line in lines
    ]})  # fmt: skip


def bybit(lines: list[FeeLine], more: Decimal) -> str:
    fills = [
        {"symbol": "BTCUSDT", "orderType": "Market", "orderLinkId": "", "side": "Sell" if _sells(line) else "Buy",
         "orderId": "100234", "leavesQty": "0", "execTime": str(_ms(line)), "feeCurrency": "USDT",
         "isMaker": _makes(line), "execFee": _fee(line, more), "feeRate": line.basis.rate,
         "execId": line.fill_ref.exec_id, "execPrice": line.last_px, "execQty": line.last_qty,
         "execValue": line.notional, "execType": "Trade"}
        for line in lines
    ]  # fmt: skip
    result = {"nextPageCursor": "", "category": "spot", "list": fills}
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1672283754510})


def kraken(lines: list[FeeLine], more: Decimal) -> str:
    trades = {
        line.fill_ref.exec_id: {
            "ordertxid": "100234", "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": "XXBTUSDT",
            "time": f"<{Decimal(_ms(line)) / 1000:.4f}>", "type": "sell" if _sells(line) else "buy",
            "ordertype": "limit", "price": f"{line.last_px}.00000", "cost": line.notional, "fee": _fee(line, more),
            "vol": line.last_qty, "margin": "0.00000", "misc": "", "trade_id": 40274859, "maker": _makes(line),
        }
        for line in lines
    }  # fmt: skip
    printed = json.dumps({"error": [], "result": {"trades": trades, "count": 2}})
    return printed.replace('"<', "").replace('>"', "")


def kraken_csv(lines: list[FeeLine], more: Decimal) -> str:
    names = [
        *("txid", "ordertxid", "pair", "time", "type", "ordertype"),
        *("price", "cost", "fee", "vol", "margin", "misc", "ledgers"),
    ]
    rows = [
        [line.fill_ref.exec_id, "100234", "XBT/USDT", f"{line.transact_time.ToJsonString()[:-1]}0".replace("T", " "),
         "sell" if _sells(line) else "buy", "limit", f"{line.last_px}.00000", line.notional, _fee(line, more),
         line.last_qty, "0.00000", "", "L5GH2X-JWTQJ-ABCDEF,LWLY4J-OZSCV-P4RHND"]
        for line in lines
    ]  # fmt: skip
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in (names, *rows))


def coinbase(lines: list[FeeLine], more: Decimal) -> str:
    fills = [
        {"entry_id": "22222-2222222-22222222", "trade_id": line.fill_ref.exec_id, "order_id": "100234",
         "trade_time": line.transact_time.ToJsonString(), "trade_type": "FILL", "price": line.last_px,
         "size": line.last_qty, "commission": _fee(line, more), "product_id": "BTC-USDT",
         "sequence_timestamp": "2023-07-06T18:23:17Z", "liquidity_indicator": "MAKER" if _makes(line) else "TAKER",
         "size_in_quote": False, "user_id": "3333", "side": "SELL" if _sells(line) else "BUY"}
        for line in lines
    ]  # fmt: skip
    return json.dumps({"fills": fills, "cursor": "789100"})


def coinbase_exchange(lines: list[FeeLine], more: Decimal) -> str:
    return json.dumps([
        {"created_at": line.transact_time.ToJsonString(), "trade_id": int(line.fill_ref.exec_id),
         "product_id": "BTC-USDT", "order_id": "100234", "user_id": "3333", "profile_id": "p",
         "liquidity": "M" if _makes(line) else "T", "price": line.last_px, "size": line.last_qty,
         "fee": _fee(line, more), "side": "sell" if _sells(line) else "buy", "settled": True, "usd_volume": "600.2"}
        for line in lines
    ])  # fmt: skip


def coinbase_csv(lines: list[FeeLine], more: Decimal) -> str:
    head = "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit\n"
    return head + "".join(
        f"default,{line.fill_ref.exec_id},BTC-USDT,{'SELL' if _sells(line) else 'BUY'},"
        f"{line.transact_time.ToJsonString()},{line.last_qty},BTC,{line.last_px},{_fee(line, more)},-601.7,USDT\n"
        for line in lines
    )


def bitmart(lines: list[FeeLine], more: Decimal) -> str:
    return json.dumps({"code": 1000, "trace": "t-1", "message": "success", "data": [
        {"tradeId": line.fill_ref.exec_id, "orderId": "100234", "clientOrderId": "1", "symbol": "BTC_USDT",
         "side": "sell" if _sells(line) else "buy", "orderMode": "spot", "type": "limit", "price": line.last_px,
         "size": line.last_qty, "notional": line.notional, "fee": _fee(line, more), "feeCoinName": "USDT",
         "tradeRole": "maker" if _makes(line) else "taker", "createTime": str(_ms(line)), "updateTime": str(_ms(line))}
        for line in lines
    ]})  # fmt: skip


def ccxt(lines: list[FeeLine], more: Decimal) -> str:
    fees = [{"cost": f"<{_fee(line, more)}>", "currency": "USDT", "rate": f"<{line.basis.rate}>"} for line in lines]
    printed = json.dumps([
        {"info": {"symbol": "BTCUSDT", "fills": [{"x": 1}]}, "id": line.fill_ref.exec_id, "timestamp": _ms(line),
         "datetime": line.transact_time.ToJsonString(), "symbol": "BTC/USDT", "order": "100234", "type": None,
         "side": "sell" if _sells(line) else "buy", "takerOrMaker": "maker" if _makes(line) else "taker",
         "price": f"<{line.last_px}>", "amount": f"<{line.last_qty}>", "cost": f"<{line.notional}>", "fee": fee,
         "fees": [fee]}
        for line, fee in zip(lines, fees, strict=True)
    ])  # fmt: skip
    return printed.replace('"<', "").replace('>"', "")


EXPORTS: Final[dict[str, tuple[str, Export]]] = {
    "binance.json": ("binance", binance),
    "okx.json": ("okx", okx),
    "bybit.json": ("bybit", bybit),
    "kraken.json": ("kraken", kraken),
    "kraken.csv": ("kraken", kraken_csv),
    "coinbase.json": ("coinbase", coinbase),
    "coinbase-exchange.json": ("coinbase", coinbase_exchange),
    "coinbase.csv": ("coinbase", coinbase_csv),
    "bitmart.json": ("bitmart", bitmart),
    "ccxt.json": ("ccxt", ccxt),
}

NO_FEE_CURRENCY: Final = ("kraken.json", "kraken.csv", "coinbase.json", "coinbase-exchange.json")


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_agrees_with_the_ledger_and_a_fee_that_is_not_its_own_is_a_break(
    reconcile: Reconcile, trader: list[FeeLine], tmp_path: Path, name: str
) -> None:
    preset, export = EXPORTS[name]
    file = tmp_path / name
    file.write_text(export(trader, Decimal(0)))
    without = ("--without", "fee_currency") if name in NO_FEE_CURRENCY else ()
    found = reconcile(file, "--columns", preset, "--account", "trader", *without)
    assert (found.code, found.err, found.kinds) == (0, "", {})
    summary: dict[str, Any] = json.loads(found.out)["summary"]
    assert (summary["engine_fills"], summary["ledger_fills"]) == (2, 2)
    assert ("fee_currency" in summary["verdict"]) == bool(without)
    file.write_text(export(trader, Decimal("0.1")))
    changed = reconcile(file, "--columns", preset, "--account", "trader", *without)
    assert [(one["kind"], one["difference"]) for one in changed.breaks] == [("FEE", "0.1")] * 2


@pytest.mark.parametrize("name", NO_FEE_CURRENCY)
def test_the_currency_of_a_fee_that_an_export_does_not_name_is_not_guessed(
    reconcile: Reconcile, trader: list[FeeLine], tmp_path: Path, name: str
) -> None:
    preset, export = EXPORTS[name]
    file = tmp_path / name
    file.write_text(export(trader, Decimal(0)))
    found = reconcile(file, "--columns", preset, "--account", "trader")
    assert (found.code, {(one["kind"], one["engine"]) for one in found.breaks}) == (
        1,
        {("NOT_COMPARED", "no fee_currency")},
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("bybit.json", '"execType": "Trade"', '"execType": "Funding"', "column execType: 'Funding' is not Trade, so"),
        ("coinbase.json", '"size_in_quote": false', '"size_in_quote": true', "size_in_quote: 'true' is not false"),
        ("coinbase.json", '"MAKER"', '"UNKNOWN_LIQUIDITY_INDICATOR"', "leaves the column out"),
        ("okx.json", '"instId"', '"tradeId":"2","instId"', "the name 'tradeId' stands twice in one object"),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_such_fill_is_refused(
    reconcile: Reconcile, trader: list[FeeLine], tmp_path: Path, name: str, old: str, new: str, why: str
) -> None:
    preset, export = EXPORTS[name]
    file = tmp_path / name
    file.write_text(export(trader, Decimal(0)).replace(old, new, 1))
    assert why in reconcile(file, "--columns", preset, "--account", "trader").fault


def test_the_sign_of_a_preset_is_not_turned_twice(reconcile: Reconcile, trader: list[FeeLine], tmp_path: Path) -> None:
    file = tmp_path / "okx.json"
    file.write_text(okx(trader, Decimal(0)))
    fault = reconcile(file, "--columns", "okx", "--account", "trader", "--negate-fees").fault
    assert fault == "--negate-fees: preset okx does that by itself"


def test_a_preset_takes_pairs_beside_it(reconcile: Reconcile, trader: list[FeeLine], tmp_path: Path) -> None:
    file = tmp_path / "okx.json"
    file.write_text(okx(trader, Decimal(0)).replace('"billId": "1111"', '"subAcct": "trader"'))
    found = reconcile(file, "--columns", "okx,account_id=subAcct,order_id=")
    assert (found.code, found.kinds) == (0, {})
    assert "one preset" in reconcile(file, "--columns", "okx,bybit").fault
