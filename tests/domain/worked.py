"""A small world for the domain: one programme, one symbol, batches of fills, all in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ledger import programmes
from ledger.arrays.columns import column, texts
from ledger.domain.events import (
    Envelope,
    Event,
    PairClassAssigned,
    ProgrammePublished,
    Recorded,
    SymbolRegistered,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.traits import packed_traits
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import FillBatch, by_account_day
from ledger.fills.days import DayTable
from ledger.fills.decide import BatchOutcome, decide_fills
from ledger.fills.known import KnownFills

NOON_NS = 20_000 * DAY_NS + DAY_NS // 2
TODAY = ("alice", NOON_NS // DAY_NS)


def programme(**changes: Any) -> Programme:
    """The packaged programme, with some fields changed."""
    return replace(programmes.parse(programmes.packaged()), **changes)


def recorded(event: Event, position: int = 1, stream: str = "stream") -> Recorded:
    """An event in the log."""
    return Recorded(position, stream, position, Envelope(NOON_NS, NOON_NS, 1), event)


def rulebook(
    rules: Programme | None = None,
    *,
    pair_class: str = "A",
    price_scale: int = 8,
    quantity_scale: int = 8,
    base: str = "XRP",
    quote: str = "USDT",
) -> Rulebook:
    """A rulebook with one programme and the symbol `S`."""
    rules = rules or programme()
    parse: Callable[[str], Programme] = lambda _: rules  # noqa: E731
    events: list[Event] = [
        ProgrammePublished(rules.programme_id, rules.version, 0, "", b""),
        SymbolRegistered("S", base, quote, 1, price_scale, quantity_scale),
    ]
    if pair_class:
        events.append(PairClassAssigned(rules.programme_id, "S", pair_class))
    return fold_rulebook(parse, [recorded(event, position) for position, event in enumerate(events, 1)])


def fills(*rows: dict[str, Any], source: str = "") -> FillBatch:
    """A batch of fills of `alice`: taker buys of 10 at 0.5 through the API, but for what the rows say."""
    defaults: dict[str, Any] = {
        "account_id": "alice",
        "symbol": "S",
        "side": 1,
        "liquidity": 2,
        "price": "0.5",
        "quantity": "10",
        "transact_time_ns": NOON_NS,
        "channel": 1,
        "product": 0,
        "order_time_ns": 0,
    }
    texts_of = (
        "trade_id order_id cl_ord_id owner_id counterparty_owner_id token token_price token_price_source"
        " charged_amount charged_currency charged_rate"
    )
    defaults.update(dict.fromkeys(texts_of.split(), ""))
    full = [{**defaults, "exec_id": f"E{number}", **row} for number, row in enumerate(rows)]
    columns: dict[str, Any] = {name: [row[name] for row in full] for name in (*defaults, "exec_id")}
    for names, name in (("accounts", "account_id"), ("symbols", "symbol")):
        values = columns.pop(name)
        columns[names] = list(dict.fromkeys(values))
        columns[name.removesuffix("_id")] = np.array([columns[names].index(value) for value in values])
    for name in ("price", "quantity"):
        decimals = [len(text.partition(".")[2]) for text in columns[name]]
        columns[f"{name}_decimals"] = np.array(decimals)
        columns[name] = column([int(text.replace(".", "")) for text in columns[name]])
    columns["traits"] = packed_traits(*(np.array(columns.pop(name)) for name in ("side", "liquidity", "channel")))
    for name in (*texts_of.split(), "exec_id"):
        columns[name] = texts(columns[name])
    for name in ("product", "transact_time_ns", "order_time_ns"):
        columns[name] = np.array(columns[name])
    places = np.arange(len(rows))
    return FillBatch(
        "bitmart",
        "",
        sources=(source,),
        index=places,
        source=np.zeros_like(places),
        sequence=places + 1 if source else np.zeros_like(places),
        **columns,
    )


def record(
    batch: FillBatch,
    book: Rulebook,
    *accounts: AccountState,
    days: DayTable | None = None,
    known: KnownFills | None = None,
) -> tuple[BatchOutcome, list[VolumeRecorded]]:
    """Decide a batch in a commit of its own: the outcome, and the events."""
    groups = by_account_day(batch)
    states = {account_id: AccountState(account_id) for account_id in batch.accounts}
    states.update({account.account_id: account for account in accounts})
    days = DayTable() if days is None else days
    days.enter({key: AccountDay() for key in groups.keys if days.places([key]) < 0})
    outcome = decide_fills(batch, groups, states, days.places(groups.keys), days, book, with_fees=True, known=known)
    return outcome, [event for _, event in outcome.runs]
