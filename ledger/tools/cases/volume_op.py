"""The op about volume: which fills of 30 days count, and what they are worth."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Final

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.cumulative_trading_volume import counts_for, event_period, excluded_because
from ledger.domain.rules.end_day_close import CLOSE_SCALE, Missing, value_cells
from ledger.domain.rules.evaluation_days import evaluation_window
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import PRODUCTS, Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.tools.cases.fields import Fields, UnreadableError, to_day, to_scale
from ledger.tools.cases.history import read_history
from ledger.tools.cases.words import CHANNELS, SIDES

_SYMBOL: Final = re.compile(r"[A-Za-z0-9]+_([A-Za-z0-9]+)")
_EXEC_TYPES: Final = {"TRADE": 1, "TRADE_CANCEL": -1}
_MAIN: Final = "main"


def volume_30d(given: Fields, when: Fields, programme: Programme) -> dict[str, Any]:
    """R15-R17: cells as the ledger keeps them, valued by the rule an evaluation values them with."""
    account, at_ns = read_history(given, programme).account, when.instant("at")
    closes = given.fields("btc_usdt_daily_close", {})
    prices = {("BTC", _day(closes, text)): closes.scaled(text, CLOSE_SCALE) for text in closes.values}
    from_ns, until_ns = event_period(programme, evaluation_window(programme, at_ns))
    cells: dict[int, dict[CellKey, int]] = defaultdict(lambda: defaultdict(int))
    for fill in given.rows("fills"):
        exec_ns, owner, key, notional = _fill(fill, account)
        if from_ns <= exec_ns < until_ns and counts_for(owner, programme) == _MAIN:
            cells[exec_ns // DAY_NS][key] += notional
    found = value_cells(programme, cells, prices, at_ns, excluded_because)
    if isinstance(found, Missing):
        days = sorted({day for _, day in found.closes})
        return {"error": "PRICE_MISSING", "missing": [day_text(day) for day in days]}
    return {"volume_usdt": decimal_text(found.volume, NOTIONAL_SCALE)}


def _fill(row: Fields, main: AccountState) -> tuple[int, AccountState, CellKey, int]:
    """(instant, account, cell, notional with 36 decimals); a cancel takes its notional away."""
    exec_ns, account_id = row.instant("exec_time"), row.text("account", _MAIN)
    row.choice("side", SIDES)
    key = CellKey(
        quote_currency=row.read("symbol", _quote),
        product=PRODUCTS[row.choice("product", tuple(PRODUCTS))],
        channel=CHANNELS.index(row.choice("channel", CHANNELS)) + 1,
        self_trade=row.flag("self_trade", False),
        banned=running_ban(main.bans, exec_ns) is not None,
        zero_fee=False,
    )
    sign = _EXEC_TYPES[row.choice("exec_type", tuple(_EXEC_TYPES), "TRADE")]
    notional = _notional(row)
    row.end()
    account = main if account_id == _MAIN else AccountState(account_id, parent_account_id=_MAIN)
    return exec_ns, account, key, sign * notional


def _notional(row: Fields) -> int:
    """price x quantity with 36 decimals."""
    price, quantity = row.amount("price"), row.amount("qty")
    scales = [len(text.partition(".")[2]) for text in (price, quantity)]
    if sum(scales) > NOTIONAL_SCALE:
        raise UnreadableError(f"{row.path} has a notional finer than {NOTIONAL_SCALE} decimals")
    notional: int = to_scale(price, scales[0]) * to_scale(quantity, scales[1]) * 10 ** (NOTIONAL_SCALE - sum(scales))
    return notional


def _quote(value: Any) -> str:
    match = _SYMBOL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no symbol such as BTC_USDT")
    return match[1]


def _day(closes: Fields, text: str) -> int:
    try:
        return to_day(text)
    except ValueError as error:
        raise UnreadableError(f"{closes.path}.{text} {error}") from error
