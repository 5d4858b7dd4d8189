"""The decision on a batch of fills: the new ones get a price, and become the events that record them.

It runs over columns. Only what is out of the ordinary - a refusal, an id seen before, a payment in a token - is looked
at one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import numpy as np

from ledger.arrays.columns import Ints, distinct
from ledger.arrays.decimal_columns import rescaled
from ledger.domain.events import Basis
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.rulebook import Market, Rulebook, too_fine
from ledger.fills.batch import AccountDays, FillBatch
from ledger.fills.batch_lines import BatchLines
from ledger.fills.days import DayTable
from ledger.fills.fill_runs import FillRuns
from ledger.fills.known import KnownFills
from ledger.fills.make_fill_runs import make_fill_runs
from ledger.fills.prices import price_lines
from ledger.fills.standings import Accounts

_PRODUCTS: Final = 3  # numbers of the enum Product


@dataclass(slots=True)
class BatchOutcome:
    """The outcome of a batch, by place in it: replays, refusals, and the fees (amount, basis) of all others.

    `runs` are the events, in the order of account-days.
    """

    replayed: list[int] = field(default_factory=list)
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)
    runs: FillRuns | tuple[()] = ()


def decide_fills(
    batch: FillBatch,
    groups: AccountDays,
    accounts: Accounts,
    places: Ints,
    days: DayTable,
    book: Rulebook,
    *,
    with_fees: bool,
    known: KnownFills | None = None,
    next_position: int = 0,
) -> BatchOutcome:
    """Decide a batch whose accounts and days are at hand, and count its fills in the days.

    States in `accounts` may leave out those without an event; `places` are those of `groups.keys` in `days`; `known`
    are fills that lie in the log already; the fill runs will lie in the log from `next_position` on.
    """
    outcome = BatchOutcome()
    in_log = _answer_known(known, outcome, batch) if known is not None else []
    lines = priceable_lines(batch, groups, book, in_log, outcome)
    lines, twice = _first_of_each_name(lines, places, days, outcome, next_position)
    if len(lines):
        priced = price_lines(lines, groups, accounts)
        outcome.runs = make_fill_runs(priced, groups, places, days, next_position)
        if with_fees:
            outcome.fees.update(priced.fees_by_place())
            outcome.fees.update((place, outcome.fees[first]) for place, first in twice)
    outcome.refused.sort(key=lambda entry: entry[0])
    return outcome


def _answer_known(known: KnownFills, outcome: BatchOutcome, batch: FillBatch) -> list[int]:
    """Answer fills whose name is in the log, as replays or as conflicts, and return their places."""
    for place, same in known.same.items():
        _answer_taken_name(batch, place, outcome, same=same)
    outcome.fees.update(known.fees)
    return list(known.same)


def _answer_taken_name(batch: FillBatch, place: int, outcome: BatchOutcome, *, same: bool) -> bool:
    """Answer a fill whose name is taken, and return `same`: it is a replay, or else a conflict."""
    if same:
        outcome.replayed.append(place)
    else:
        detail = f"{batch.name(place)} was recorded with other content"
        outcome.refused.append((place, Refusal(Reason.FILL_CONFLICT, "exec_id", detail)))
    return same


def priceable_lines(
    batch: FillBatch, groups: AccountDays, book: Rulebook, known: list[int], outcome: BatchOutcome
) -> BatchLines:
    """Return the lines of markets that exist, with amounts that their symbols allow, and refuse the others."""
    rate_times = batch.transact_time_ns
    entries, market_of = _markets(batch, book, rate_times)
    by_order = [isinstance(entry, Market) and entry.programme.rate_time == "order" for entry in entries]
    if any(by_order) and len(batch.order_time_ns):  # A25
        rate_times = np.where(
            np.array(by_order)[market_of] & (batch.order_time_ns > 0), batch.order_time_ns, rate_times
        )
        entries, market_of = _markets(batch, book, rate_times)
    group, place = groups.group_of_each(), groups.order
    if known:
        new = ~np.isin(place, known)
        place, group = place[new], group[new]
    market = market_of[place]
    if any(isinstance(entry, Refusal) for entry in entries):
        ruled = np.array([isinstance(entry, Market) for entry in entries])
        takes = ruled[market]
        refused = zip(place[~takes].tolist(), market[~takes].tolist(), strict=True)
        outcome.refused += [(at, cast(Refusal, entries[code])) for at, code in refused]
        place, group, market = place[takes], group[takes], (np.cumsum(ruled) - 1)[market[takes]]
    markets = [entry for entry in entries if isinstance(entry, Market)]
    lines = BatchLines(
        batch, markets, place, group, market, batch.price[place], batch.quantity[place], rate_times[place]
    )
    return _at_scales(lines, outcome) if len(lines) else lines


def _markets(batch: FillBatch, book: Rulebook, times: Ints) -> tuple[list[Market | Refusal], Ints]:
    """Return the markets, and the place of each fill's: asked once per symbol, product and unchanged interval."""
    changes = book.change_instants
    earliest_ns = int(times.min())
    first = bisect_right(changes, earliest_ns)
    instants = [earliest_ns, *changes[first : bisect_right(changes, int(times.max()))]]
    interval = np.searchsorted(np.array(instants[1:], dtype=np.int64), times, side="right")
    count = len(instants)
    codes = (batch.symbol * _PRODUCTS + batch.product) * count + interval
    used, market = distinct(codes, len(batch.symbols) * _PRODUCTS * count)
    return [
        book.market(
            batch.venue,
            batch.symbols[code // count // _PRODUCTS],
            code // count % _PRODUCTS,
            instants[code % count],
        )
        for code in used.tolist()
    ], market


def _at_scales(lines: BatchLines, outcome: BatchOutcome) -> BatchLines:
    """Bring mantissas to the scales of their symbols, and refuse lines that are finer."""
    batch, terms = lines.batch, [market.terms for market in lines.markets]
    price_scale = np.array([entry.price_scale for entry in terms])[lines.market]
    quantity_scale = np.array([entry.quantity_scale for entry in terms])[lines.market]
    price, price_finer = rescaled(lines.price, batch.price_decimals[lines.place], price_scale)
    quantity, quantity_finer = rescaled(lines.quantity, batch.quantity_decimals[lines.place], quantity_scale)
    lines = replace(lines, price=price, quantity=quantity)
    finer = price_finer | quantity_finer
    if not finer.any():
        return lines
    for at in np.flatnonzero(finer).tolist():
        refusal = too_fine(terms[lines.market[at]], price=bool(price_finer[at]))
        outcome.refused.append((int(lines.place[at]), refusal))
    return lines.only(~finer)


def _first_of_each_name(
    lines: BatchLines, places: Ints, days: DayTable, outcome: BatchOutcome, next_position: int
) -> tuple[BatchLines, list[tuple[int, int]]]:
    """Return the first line of each name, and replays in the batch as (place, its first one's); the days learn them."""
    dropped: list[int] = []
    twice: list[tuple[int, int]] = []
    if not len(lines):
        return lines, twice
    again = days.take_in(places[lines.group], lines.batch.digests[lines.place], next_position)
    looked_at = set(lines.group[again].tolist())  # a name twice, or two names with one digest
    for number, start, end in lines.spans() if looked_at else ():
        if number in looked_at:
            dropped += _repeats(lines, range(start, end), outcome, twice)
    if not dropped:
        return lines, twice
    keep = np.ones(len(lines), dtype=bool)
    keep[dropped] = False
    return lines.only(keep), twice


def _repeats(lines: BatchLines, span: range, outcome: BatchOutcome, twice: list[tuple[int, int]]) -> list[int]:
    """Answer lines of one account-day whose name a line before them has, and return their places."""
    batch, first, dropped = lines.batch, dict[str, int](), list[int]()
    for at in span:
        place = int(lines.place[at])
        before = first.setdefault(batch.name(place), at)
        if before != at:
            dropped.append(at)
            if _answer_taken_name(batch, place, outcome, same=_content(lines, at) == _content(lines, before)):
                twice.append((place, int(lines.place[before])))
    return dropped


def _content(lines: BatchLines, at: int) -> tuple[Any, ...]:
    market = lines.markets[lines.market[at]]
    return lines.batch.content(int(lines.place[at]), market.terms.product)
