"""Adjustments: a fact that is recorded late restates lines of before, to the exact difference of their fees (A31).

An adjustment restates lines of one account-day. It takes effect where they do; the log says when it became known. What
a line is by the facts that it counts by is compared with what is posted of it, never one grant with another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from ledger.domain.decide.facts import AccountFacts
from ledger.domain.events import (
    AdjustedLine,
    Basis,
    CreditEvent,
    FeeAdjusted,
    FeeEvent,
    KnownLine,
    LineValues,
    Recorded,
    SymbolTerms,
)
from ledger.domain.pricing.plan import Standing, price_as_posted, rate_time_ns, standing_at
from ledger.domain.state.rulebook import Market, Rulebook
from ledger.domain.state.volume_cells import FEE_SCALE, to_totals
from ledger.domain.traits import TRAIT_BANNED
from ledger.fills.account_day import AccountDay, adjusted
from ledger.fills.lines import lines_at, places_having

_LINES_OF_AN_EVENT: Final = 10_000


class LineRef(NamedTuple):
    """The place of a line: the position of the event that recorded it, and its number there."""

    position: int
    line: int


class PlacedLine(NamedTuple):
    """A line as it is now.

    It counts by the facts known at `known_at`: its own position, or that of its last adjustment by a release of the
    software that compared grants. `currency` is the one that it was charged in then.
    """

    ref: LineRef
    venue: str
    known: KnownLine
    known_at: int
    currency: str


class Restated(NamedTuple):
    """A line as it is posted, and as it is from now on."""

    placed: PlacedLine
    after: KnownLine


class FeeDifference(NamedTuple):
    """The amount that an adjustment of a line comes to in one currency; it has FEE_SCALE decimals."""

    line: AdjustedLine
    amount: int
    currency: str


def lines_now(stream: Iterable[Recorded], traits: int = 0) -> dict[LineRef, PlacedLine]:
    """Return the lines of a fee stream that have some traits, as recorded in order, with their fees as they are now.

    Where the stream is cut, adjustments of lines that are not in it are left out.
    """
    found: dict[LineRef, PlacedLine] = {}
    events = list(stream) if traits else stream
    restated = _restated_places(events) if traits else {}
    for recorded in events:
        event = recorded.event
        assert isinstance(event, FeeEvent), recorded
        if isinstance(event, FeeAdjusted):
            for line in event.lines:
                ref = LineRef(line.position, line.line)
                if ref in found:
                    found[ref] = _restated(found[ref], recorded, event, line)
            continue
        if isinstance(event, CreditEvent):
            continue
        places = places_having(event, traits)
        if recorded.position in restated:
            places = np.union1d(places, np.array(restated[recorded.position]))
        for number, fill in zip(places.tolist(), lines_at(event, places), strict=True):
            ref = LineRef(recorded.position, number)
            known = KnownLine(fill, event.symbols[fill.symbol_index], event.bases[fill.basis_index])
            found[ref] = PlacedLine(ref, event.venue, known, recorded.position, known.basis.fee_currency)
    return {ref: placed for ref, placed in found.items() if placed.known.line.traits & traits == traits}


def _restated_places(stream: Iterable[Recorded]) -> dict[int, list[int]]:
    """Return the numbers of lines that were restated, by position: these may have other traits now."""
    found: dict[int, list[int]] = {}
    for recorded in stream:
        for line in recorded.event.lines if isinstance(recorded.event, FeeAdjusted) else ():
            found.setdefault(line.position, []).append(line.line)
    return found


def _restated(placed: PlacedLine, recorded: Recorded, event: FeeAdjusted, line: AdjustedLine) -> PlacedLine:
    known = adjusted(placed.known, event, line)
    if event.release_position:
        return placed._replace(known=known)
    return placed._replace(known=known, known_at=recorded.position, currency=known.basis.fee_currency)


def restated_by_facts(
    lines: Iterable[PlacedLine],
    before: AccountFacts,
    after: AccountFacts,
    from_ns: int,
    book_at: Callable[[int], Rulebook],
) -> Iterator[Restated]:
    """Yield the lines from an instant on that are posted otherwise than the facts that they count by now say.

    `before` and `after` are the account's facts without and with a release: a line that they say the same of stays as
    it was priced, also where an older release of the software priced otherwise than this one. `book_at` gives the rules
    that were known at a position: each line goes by those of its own.
    """
    for placed in lines:
        if placed.known.line.transact_time_ns >= from_ns:
            now = _target(placed, before, after, book_at(placed.known_at))
            if now != placed.known:
                yield Restated(placed, now)


def _target(placed: PlacedLine, before: AccountFacts, after: AccountFacts, book: Rulebook) -> KnownLine:
    """Return a line as it is by the facts known at its position and those released for it since.

    The rules are those that price fills.
    """
    line, terms, basis = placed.known
    market = book.market(placed.venue, terms.symbol, terms.product, line.transact_time_ns)
    assert isinstance(market, Market), placed  # the line was priced there
    was, account = (each.account_for(placed.known_at, basis.programme_id, placed.currency) for each in (before, after))
    banned = standing_at(account, market.programme, line.transact_time_ns).banned
    rate_ns = rate_time_ns(market.programme, transact_ns=line.transact_time_ns, order_ns=line.order_time_ns)
    if rate_ns != line.transact_time_ns:
        market = book.market(placed.venue, terms.symbol, terms.product, rate_ns)
        assert isinstance(market, Market), placed
    standing = standing_at(account, market.programme, rate_ns)
    if banned == line.banned and _said(standing) == _said(standing_at(was, market.programme, rate_ns)):
        return placed.known
    if market.terms != terms:
        market = replace(market, terms=terms, plans={})  # by its order's time it has other ones
    traits = line.traits | TRAIT_BANNED if banned else line.traits & ~TRAIT_BANNED
    price = price_as_posted(market, standing, line, traits, basis)
    fee = price.fee(line.price, line.quantity)
    return KnownLine(line._replace(traits=traits, fee=fee), terms, price.posting.basis)


def _said(standing: Standing) -> tuple[object, ...]:
    """Return what a price depends on of a standing: of its grant no more than the name."""
    return (standing.grant.grant_id if standing.grant else "", *standing[1:])


def nets(lines: Iterable[PlacedLine], restated: Iterable[Restated], from_ns: int) -> dict[str, int]:
    """Return how much more the lines from an instant on cost, by currency, each that has a line: at FEE_SCALE."""
    found = {placed.known.basis.fee_currency: 0 for placed in lines if placed.known.line.transact_time_ns >= from_ns}
    for placed, after in restated:
        for known, sign in ((placed.known, -1), (after, 1)):
            unit = sign * int(10 ** (FEE_SCALE - known.basis.fee_decimals))
            found[known.basis.fee_currency] = found.get(known.basis.fee_currency, 0) + known.line.fee * unit
    return found


def adjustments(
    day: AccountDay, restated: Sequence[Restated], cause: tuple[str, int], release_position: int
) -> Iterator[FeeAdjusted]:
    """Make the events of an account-day, a part of its lines in each, and update the totals of the day.

    `cause` is that of the fact, and its position.
    """
    for start in range(0, len(restated), _LINES_OF_AN_EVENT):
        symbols: dict[SymbolTerms, int] = {}
        bases: dict[Basis, int] = {}
        lines = tuple(_adjusted_line(each, symbols, bases) for each in restated[start : start + _LINES_OF_AN_EVENT])
        event = FeeAdjusted(
            *cause,
            time_min_ns=min(line.transact_time_ns for line in lines),
            time_max_ns=max(line.transact_time_ns for line in lines),
            time_max_so_far_ns=day.time_max_so_far_ns,
            symbols=tuple(symbols),
            bases=tuple(bases),
            lines=lines,
            totals=(),
            release_position=release_position,
        )
        day.adjust(event)
        yield replace(event, totals=to_totals(day.sums))


def differences(event: FeeAdjusted) -> list[FeeDifference]:
    """Return how much more or less each line costs; where the currency changed, there is an entry in each."""
    found = []
    for line in event.lines:
        old, new = (event.bases[each.basis_index].fee_currency for each in (line.before, line.after))
        before, after = _fee(event, line.before), _fee(event, line.after)
        if old == new:
            found.append(FeeDifference(line, after - before, new))
        else:
            found += [FeeDifference(line, -before, old), FeeDifference(line, after, new)]
    return found


def _fee(event: FeeAdjusted, values: LineValues) -> int:
    return values.fee * int(10 ** (FEE_SCALE - event.bases[values.basis_index].fee_decimals))


def _adjusted_line(restated: Restated, symbols: dict[SymbolTerms, int], bases: dict[Basis, int]) -> AdjustedLine:
    ref, venue, known, *_ = restated.placed
    before, after = (_values(each, symbols, bases) for each in (known, restated.after))
    return AdjustedLine(ref.position, ref.line, venue, known.line.exec_id, known.line.transact_time_ns, before, after)


def _values(known: KnownLine, symbols: dict[SymbolTerms, int], bases: dict[Basis, int]) -> LineValues:
    line, terms, basis = known
    symbol_index = symbols.setdefault(terms, len(symbols))
    return LineValues(
        symbol_index, line.traits, line.price, line.quantity, line.fee, bases.setdefault(basis, len(bases))
    )
