"""The prices of fills: one for each kind of fill, and the fees of all fills at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, distinct, is_wide, narrow, texts, wide
from ledger.domain.events import Basis
from ledger.domain.pricing.plan import Price, Standing, price_for
from ledger.domain.rules.fee_amount import Formula
from ledger.domain.rules.self_trading import self_trades
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE, TRAITS_END
from ledger.fills.batch import AccountDays, FillBatch
from ledger.fills.batch_lines import BatchLines
from ledger.fills.standings import Accounts, HeldStandings, standings_of


@dataclass(frozen=True, slots=True)
class Priced:
    """Lines with their fees, in units of the currency's decimals: `kind` is a place in `prices`.

    `notionals` are (places of lines, their notionals): those that int64 holds, and those that it does not.
    """

    lines: BatchLines
    prices: list[Price]
    kind: Ints
    traits: Ints
    notionals: list[tuple[Ints, Ints]]
    fee: Ints

    def fees_by_place(self) -> dict[int, tuple[int, Basis]]:
        """Return (amount, basis) of each fill by its place in the batch."""
        rows = zip(self.lines.place.tolist(), self.fee.tolist(), self.kind.tolist(), strict=True)
        return {place: (fee, self.prices[kind].posting.basis) for place, fee, kind in rows}


def price_lines(lines: BatchLines, groups: AccountDays, accounts: Accounts) -> Priced:
    """Price each line by what holds at its instant. `accounts` are those of the batch: as columns, or as states."""
    batch = lines.batch
    if isinstance(accounts, HeldStandings):
        standings, standing = accounts.of_lines(lines)
    else:
        standings, standing = standings_of(lines, groups, accounts)
    traits = batch.traits[lines.place]
    if any(each.banned for each in standings):
        traits = traits | np.where(np.array([each.banned for each in standings])[standing], TRAIT_BANNED, 0)
    if len(batch.counterparty_owner_id):
        traits = traits | np.where(_self_trades(batch, accounts)[lines.place], TRAIT_SELF_TRADE, 0)
    markets = len(lines.markets)
    codes = (standing * markets + lines.market) * TRAITS_END + traits
    used, kind = distinct(codes, len(standings) * markets * TRAITS_END)
    prices = [
        price_for(
            lines.markets[code // TRAITS_END % markets],
            standings[code // TRAITS_END // markets],
            code % TRAITS_END,
        )
        for code in used.tolist()
    ]
    if len(batch.token):
        _price_tokens(lines, standings, standing, traits, prices, kind)
    notionals, fee = amounts_of(lines.price, lines.quantity, prices, kind)
    return Priced(lines, prices, kind, traits, notionals, fee)


def _self_trades(batch: FillBatch, accounts: Accounts) -> Ints:
    """Return a boolean array: True where a fill has one owner on both sides. One that names none has its account's."""
    owners = texts(_owner_ids(batch, accounts))[batch.account]
    if len(batch.owner_id):
        owners = np.where(batch.owner_id == b"", owners, batch.owner_id)
    return self_trades(owners, batch.counterparty_owner_id)


def _owner_ids(batch: FillBatch, accounts: Accounts) -> list[str]:
    if isinstance(accounts, HeldStandings):
        return accounts.owner_ids
    return [accounts[name].owner_id if name in accounts else name for name in batch.accounts]


def _price_tokens(
    lines: BatchLines, standings: Sequence[Standing], standing: Ints, traits: Ints, prices: list[Price], kind: Ints
) -> None:
    """Give fills whose fee is paid in a token prices of their own: `prices` gains them, `kind` refers to them."""
    known: dict[tuple[Any, ...], int] = {}
    for at, place in enumerate(lines.place.tolist()):
        token, token_price = lines.batch.carried("token", place), lines.batch.carried("token_price", place)
        if not token:
            continue
        key = (int(lines.market[at]), int(standing[at]), int(traits[at]), token, token_price)
        if key not in known:
            known[key] = len(prices)
            market, holds, trait, *paying = key
            prices.append(price_for(lines.markets[market], standings[holds], trait, *paying))
        kind[at] = known[key]


def amounts_of(
    price: Ints, quantity: Ints, prices: Sequence[Price], kind: Ints
) -> tuple[list[tuple[Ints, Ints]], Ints]:
    """Return (notionals as (places, values), fees) of lines, whose `kind` is a place in `prices`.

    Those beyond int64 are worked out with Python's own integers.
    """
    every = np.arange(len(kind))
    over = _overflows(price, quantity, prices, kind)
    if not over.any():
        notional, fee = _notionals_and_fees(price, quantity, prices, kind)
        return [(every, notional)], fee
    few = _notionals_and_fees(wide(price[over]), wide(quantity[over]), prices, kind[over])
    notionals, fee = [(every[over], few[0])], few[1]
    if not over.all():
        many = _notionals_and_fees(price[~over].astype(np.int64), quantity[~over].astype(np.int64), prices, kind[~over])
        notionals.append((every[~over], many[0]))
        fee = np.zeros(len(kind), dtype=object)
        fee[over], fee[~over] = few[1], many[1]
    return notionals, narrow(fee)


def _notionals_and_fees(price: Ints, quantity: Ints, prices: Sequence[Price], kind: Ints) -> tuple[Ints, Ints]:
    """Return (notionals, fees) of lines whose products all fit their type.

    Prices [200, 300] and quantities [5, 2], in kinds of 1/100 and 1/50 of the notional -> ([1000, 600], [10, 12]).
    """
    factor, denominator = _factors_and_denominators(prices, kind, in_int64=not is_wide(price, quantity))
    notional = price * quantity
    amount = notional
    if any(each.on_base for each in prices):
        amount = np.where(np.array([each.on_base for each in prices])[kind], quantity, notional)
    fee = np.zeros_like(amount)
    for divide in {each.formula.divide for each in prices}:  # one, but where programmes round differently
        those = np.array([each.formula.divide is divide for each in prices])[kind]
        fee[those] = Formula(factor[those], denominator[those], divide).fee(amount[those])
    return notional, fee


def _factors_and_denominators(prices: Sequence[Price], kind: Ints, *, in_int64: bool) -> tuple[Ints, Ints]:
    """Return (factor, denominator) of each line; (0, 1) in int64 for a line that `_overflows`."""
    rules = [each.formula[:2] for each in prices]
    if in_int64:
        rules = [rule if _fits(*rule) else (0, 1) for rule in rules]
    factor, denominator = np.array(rules, dtype=np.int64 if in_int64 else object).T
    return factor[kind], denominator[kind]


def _overflows(price: Ints, quantity: Ints, prices: Sequence[Price], kind: Ints) -> Ints:
    """Return a boolean array: True where price x quantity x factor, or twice the denominator, needs more than int64."""
    if is_wide(price, quantity):
        return np.ones(len(kind), dtype=bool)
    rules = [each.formula[:2] for each in prices]
    room = np.array([INT64_ROOM // max(abs(rule[0]), 1) if _fits(*rule) else 0 for rule in rules])
    over: Ints = quantity > room[kind] // price
    return over


def _fits(factor: int, denominator: int) -> bool:
    return abs(factor) < INT64_ROOM and denominator < INT64_ROOM // 2
