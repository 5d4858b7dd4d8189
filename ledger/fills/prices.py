"""What fills cost: the price of each kind of fill once, the fees of all fills at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ledger.arrays.columns import INT64_ROOM, Ints, distinct, is_wide, narrow, starts_of, texts, wide
from ledger.domain.events import TRAIT_BANNED, TRAIT_SELF_TRADE, Basis
from ledger.domain.pricing.plan import NO_STANDING, Price, Standing, price_for, standing_at
from ledger.domain.rules.self_trading import self_trades
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Market
from ledger.fills.batch import AccountDays, FillBatch

_TRAITS_END: Final = 256


@dataclass(frozen=True, slots=True)
class Lines:
    """Fills of a batch sorted by account-day.

    `place` in the batch, `group` among the account-days, `market` in `markets`. Price and quantity
    are mantissas; once offered, at the scales of the market's symbol. Rates are those of `rate_time_ns` (A25).
    """

    batch: FillBatch
    markets: list[Market]
    place: Ints
    group: Ints
    market: Ints
    price: Ints
    quantity: Ints
    rate_time_ns: Ints

    def __len__(self) -> int:
        return len(self.place)

    def only(self, keep: Ints) -> Lines:
        """Those lines for which a column of booleans says so."""
        names = ("place", "group", "market", "price", "quantity", "rate_time_ns")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Of each account-day that has lines: (group, start, end)."""
        starts = starts_of(self.group)
        ends = [*starts.tolist(), len(self)][1:]
        return zip(self.group[starts].tolist(), starts.tolist(), ends, strict=True) if len(self) else iter(())


@dataclass(frozen=True, slots=True)
class Priced:
    """Lines with what they cost: `kind` is a place in `prices`, fees are in units of their currency's decimals.

    `notionals` are (places of lines, their notionals): those that int64 holds, and those that it does not.
    """

    lines: Lines
    prices: list[Price]
    kind: Ints
    traits: Ints
    notionals: list[tuple[Ints, Ints]]
    fee: Ints

    def fees_by_place(self) -> dict[int, tuple[int, Basis]]:
        """(amount, basis) of each fill by its place in the batch."""
        rows = zip(self.lines.place.tolist(), self.fee.tolist(), self.kind.tolist(), strict=True)
        return {place: (fee, self.prices[kind].share.basis) for place, fee, kind in rows}


def price_lines(lines: Lines, groups: AccountDays, accounts: Mapping[str, AccountState]) -> Priced:
    """Price lines by what holds at the instant of each. `accounts` are those of the batch that have an event."""
    batch = lines.batch
    held = {name: accounts[name] for name in batch.accounts if name in accounts}
    standings, standing = _standings(lines, groups, held)
    traits = batch.traits[lines.place]
    if any(each.banned for each in standings):
        traits = traits | np.where(np.array([each.banned for each in standings])[standing], TRAIT_BANNED, 0)
    if len(batch.counterparty_owner_id):
        traits = traits | np.where(_self_trades(batch, held)[lines.place], TRAIT_SELF_TRADE, 0)
    markets = len(lines.markets)
    codes = (standing * markets + lines.market) * _TRAITS_END + traits
    used, kind = distinct(codes, len(standings) * markets * _TRAITS_END)
    prices = [
        price_for(
            lines.markets[code // _TRAITS_END % markets],
            standings[code // _TRAITS_END // markets],
            code % _TRAITS_END,
        )
        for code in used.tolist()
    ]
    if len(batch.token):
        _price_tokens(lines, standings, standing, traits, prices, kind)
    notionals, fee = _amounts(lines, prices, kind)
    return Priced(lines, prices, kind, traits, notionals, fee)


def _standings(lines: Lines, groups: AccountDays, accounts: Mapping[str, AccountState]) -> tuple[list[Standing], Ints]:
    """What of their accounts matters to the lines, and a place in it for each; most accounts hold nothing."""
    kinds: dict[tuple[Any, ...], int] = {_kind_of(NO_STANDING): 0}
    standings = [NO_STANDING]
    standing = np.zeros(len(lines), dtype=np.int64)

    def code(account: AccountState, market: int, rate_ns: int, transact_ns: int) -> int:
        programme = lines.markets[market].programme
        found = standing_at(account, programme, rate_ns)
        if rate_ns != transact_ns:  # whatever the rates are those of, a ban is one when the fill trades
            found = found._replace(banned=standing_at(account, programme, transact_ns).banned)
        known = kinds.setdefault(_kind_of(found), len(standings))
        if known == len(standings):
            standings.append(found)
        return known

    holders = {name: account for name, account in accounts.items() if account.change_instants}
    if not holders:
        return standings, standing
    rate_times, times = lines.rate_time_ns.tolist(), lines.batch.transact_time_ns[lines.place].tolist()
    one_programme = len({id(market.programme) for market in lines.markets}) == 1
    for group, start, end in lines.spans():
        account = holders.get(groups.keys[group][0])
        if account is None:
            continue
        changes = account.change_instants
        rated, traded, markets = rate_times[start:end], times[start:end], lines.market[start:end].tolist()
        instants = (*rated, *traded)
        if one_programme and bisect_right(changes, min(instants)) == bisect_right(changes, max(instants)):
            standing[start:end] = code(account, markets[0], rated[0], traded[0])
        else:
            standing[start:end] = [code(account, *each) for each in zip(markets, rated, traded, strict=True)]
    return standings, standing


def _kind_of(standing: Standing) -> tuple[Any, ...]:
    """Standings that price alike, whoever holds them."""
    grant, *rest = standing
    return (grant.grant_id if grant else "", *rest)


def _self_trades(batch: FillBatch, accounts: Mapping[str, AccountState]) -> Ints:
    """Whether each fill of the batch has one owner on both sides; who does not say an owner is that of the account."""
    owners = texts([accounts[name].owner_id if name in accounts else name for name in batch.accounts])[batch.account]
    if len(batch.owner_id):
        owners = np.where(batch.owner_id == b"", owners, batch.owner_id)
    return self_trades(owners, batch.counterparty_owner_id)


def _price_tokens(
    lines: Lines, standings: Sequence[Standing], standing: Ints, traits: Ints, prices: list[Price], kind: Ints
) -> None:
    """Fills that are to be paid in a token have a price of their own: each token price makes another."""
    known: dict[tuple[Any, ...], int] = {}
    for at, place in enumerate(lines.place.tolist()):
        token, token_price = lines.batch.said("token", place), lines.batch.said("token_price", place)
        if not token:
            continue
        key = (int(lines.market[at]), int(standing[at]), int(traits[at]), token, token_price)
        if key not in known:
            known[key] = len(prices)
            market, holds, trait, *paying = key
            prices.append(price_for(lines.markets[market], standings[holds], trait, *paying))
        kind[at] = known[key]


def _amounts(lines: Lines, prices: Sequence[Price], kind: Ints) -> tuple[list[tuple[Ints, Ints]], Ints]:
    """(notionals as (places, values), fees) of all lines: what int64 holds at once, the rest with Python's integers."""
    every = np.arange(len(lines))
    over = _overflows(lines.price, lines.quantity, prices, kind)
    if not over.any():
        notional, fee = _computed(lines.price, lines.quantity, prices, kind)
        return [(every, notional)], fee
    few = _computed(wide(lines.price[over]), wide(lines.quantity[over]), prices, kind[over])
    notionals, fee = [(every[over], few[0])], few[1]
    if not over.all():
        many = _computed(
            lines.price[~over].astype(np.int64), lines.quantity[~over].astype(np.int64), prices, kind[~over]
        )
        notionals.append((every[~over], many[0]))
        fee = np.zeros(len(lines), dtype=object)
        fee[over], fee[~over] = few[1], many[1]
    return notionals, narrow(fee)


def _computed(price: Ints, quantity: Ints, prices: Sequence[Price], kind: Ints) -> tuple[Ints, Ints]:
    """(notionals, fees)."""
    factor, denominator = _rules(prices, kind, in_int64=not is_wide(price, quantity))
    notional = price * quantity
    amount = notional
    if any(each.on_base for each in prices):
        amount = np.where(np.array([each.on_base for each in prices])[kind], quantity, notional)
    fee = np.zeros_like(amount)
    for divide in {each.divide for each in prices}:  # one, but where programmes round differently
        those = np.array([each.divide is divide for each in prices])[kind]
        fee[those] = divide(amount[those] * factor[those], denominator[those])
    return notional, fee


def _rules(prices: Sequence[Price], kind: Ints, *, in_int64: bool) -> tuple[Ints, Ints]:
    """(factor, denominator) of each line. In int64 those of lines that `_overflows` are left out."""
    rules = [(each.factor, each.denominator) for each in prices]
    if in_int64:
        rules = [rule if _fits(*rule) else (0, 1) for rule in rules]
    factor, denominator = np.array(rules, dtype=np.int64 if in_int64 else object).T
    return factor[kind], denominator[kind]


def _overflows(price: Ints, quantity: Ints, prices: Sequence[Price], kind: Ints) -> Ints:
    """Of each line whether price x quantity x factor, or twice the denominator, needs more than int64."""
    if is_wide(price, quantity):
        return np.ones(len(kind), dtype=bool)
    rules = [(each.factor, each.denominator) for each in prices]
    room = np.array([INT64_ROOM // max(abs(rule[0]), 1) if _fits(*rule) else 0 for rule in rules])
    over: Ints = quantity > room[kind] // price
    return over


def _fits(factor: int, denominator: int) -> bool:
    return abs(factor) < INT64_ROOM and denominator < INT64_ROOM // 2
