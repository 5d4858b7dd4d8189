"""Adjustments of fees: a late evaluation changes what was recorded, to the exact difference (A31).

An adjustment restates lines of one account-day. It takes effect where they do; the log says when it became known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ledger.domain.events import AdjustedLine, Basis, FeeAdjusted, FeeEvent, KnownLine, Recorded, SymbolTerms
from ledger.domain.money import decimal_text
from ledger.domain.pricing.plan import price_for, rate_time_ns, standing_at
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Market, Rulebook
from ledger.domain.state.volume_cells import FEE_SCALE, exact, to_totals
from ledger.fills.account_day import AccountDay, adjusted
from ledger.fills.lines import lines_at, places_having

LATE_GRANT: Final = "LATE_GRANT"


class LineRef(NamedTuple):
    """The place of a line: the position of the event that recorded it, and its number there."""

    position: int
    line: int


class PlacedLine(NamedTuple):
    """A line with its fee as it is now."""

    ref: LineRef
    venue: str
    known: KnownLine


class Restated(NamedTuple):
    """A line, and its fee from now on, in units of the decimals of its basis."""

    placed: PlacedLine
    fee: int
    basis: Basis


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
    for recorded in stream:
        event = recorded.event
        assert isinstance(event, FeeEvent), recorded
        if isinstance(event, FeeAdjusted):
            for line in event.lines:
                ref = LineRef(line.position, line.line)
                if ref in found:
                    found[ref] = found[ref]._replace(known=adjusted(found[ref].known, event, line))
        else:
            places = places_having(event, traits)
            for number, fill in zip(places.tolist(), lines_at(event, places), strict=True):
                ref = LineRef(recorded.position, number)
                known = KnownLine(fill, event.symbols[fill.symbol_index], event.bases[fill.basis_index])
                found[ref] = PlacedLine(ref, event.venue, known)
    return found


def lines_before(lines: Iterable[PlacedLine], until_ns: int) -> Iterator[PlacedLine]:
    """Yield the lines that traded before an instant."""
    return (placed for placed in lines if placed.known.line.transact_time_ns < until_ns)


def restated_by_grants(
    lines: Iterable[PlacedLine], before: AccountState, after: AccountState, book: Rulebook
) -> Iterator[Restated]:
    """Yield the lines of an account whose fee changes, because another grant counts at their instant than before.

    The rules are those that price fills, asked with what is known now.
    """
    for placed in lines:
        line, terms, basis = placed.known
        market = book.market(placed.venue, terms.symbol, terms.product, line.transact_time_ns)
        assert isinstance(market, Market), placed  # the line was priced there
        rate_ns = rate_time_ns(market.programme, transact_ns=line.transact_time_ns, order_ns=line.order_time_ns)
        if rate_ns != line.transact_time_ns:
            market = book.market(placed.venue, terms.symbol, terms.product, rate_ns)
            assert isinstance(market, Market), placed
        old, new = (standing_at(state, market.programme, rate_ns) for state in (before, after))
        if old.grant == new.grant:
            continue
        if market.terms != terms:
            market = replace(market, terms=terms, plans={})  # registered anew since, from before the fill on
        price = price_for(market, new, line.traits, line.token, line.token_price)
        fee, now = price.fee(line.price, line.quantity), price.posting.basis
        if (fee, *_terms_of(now)) != (line.fee, *_terms_of(basis)):
            yield Restated(placed, fee, now)


def adjust(day: AccountDay, restated: Sequence[Restated], cause_position: int) -> FeeAdjusted:
    """Make the event of an account-day with at least one line to adjust, and update the totals of the day."""
    symbols: dict[SymbolTerms, int] = {}
    bases: dict[Basis, int] = {}
    lines = tuple(_adjusted_line(each, symbols, bases) for each in restated)
    event = FeeAdjusted(
        cause=LATE_GRANT,
        cause_position=cause_position,
        time_min_ns=min(line.transact_time_ns for line in lines),
        time_max_ns=max(line.transact_time_ns for line in lines),
        time_max_so_far_ns=day.time_max_so_far_ns,
        symbols=tuple(symbols),
        bases=tuple(bases),
        lines=lines,
        totals=(),
    )
    day.adjust(event)
    return replace(event, totals=to_totals(day.sums))


def differences(event: FeeAdjusted) -> list[FeeDifference]:
    """Return how much more or less each line costs; where the currency changed, there is an entry in each."""
    found = []
    for line in event.lines:
        old, new = event.bases[line.basis_before].fee_currency, event.bases[line.basis_after].fee_currency
        before, after = exact(line.fee_before, FEE_SCALE), exact(line.fee_after, FEE_SCALE)
        if old == new:
            found.append(FeeDifference(line, after - before, new))
        else:
            found += [FeeDifference(line, -before, old), FeeDifference(line, after, new)]
    return found


def _terms_of(basis: Basis) -> tuple[int, int, str, int]:
    """Return the part of a basis whose change makes a fee another one."""
    return basis.rate_ppm, basis.discount_ppm, basis.fee_currency, basis.fee_decimals


def _adjusted_line(restated: Restated, symbols: dict[SymbolTerms, int], bases: dict[Basis, int]) -> AdjustedLine:
    ref, venue, (line, terms, basis) = restated.placed
    return AdjustedLine(
        position=ref.position,
        line=ref.line,
        venue=venue,
        exec_id=line.exec_id,
        transact_time_ns=line.transact_time_ns,
        symbol_index=symbols.setdefault(terms, len(symbols)),
        traits=line.traits,
        price=decimal_text(line.price, terms.price_scale),
        quantity=decimal_text(line.quantity, terms.quantity_scale),
        fee_before=decimal_text(line.fee, basis.fee_decimals),
        basis_before=bases.setdefault(basis, len(bases)),
        fee_after=decimal_text(restated.fee, restated.basis.fee_decimals),
        basis_after=bases.setdefault(restated.basis, len(bases)),
    )
