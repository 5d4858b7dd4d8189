"""The targets of posted lines: what they are by the facts known at their positions and those released since.

A target is found once per kind of line, by the rules that price fills; the fees of all lines come out of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, sums
from ledger.domain.decide.facts import AccountFacts
from ledger.domain.events import Basis, SymbolTerms
from ledger.domain.pricing.plan import Payment, Price, Standing, price_as_posted, rate_time_ns, standing_at
from ledger.domain.state.account import AccountState
from ledger.domain.state.rulebook import Market, Rulebook
from ledger.domain.state.volume_cells import FEE_SCALE
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE
from ledger.fills.posted import Codes, PostedLines
from ledger.fills.prices import amounts_of

# The rules known at a position, with the shared facts at some later ones, ascending.
BookAt = Callable[[int, Sequence[int]], Rulebook]

_CODES_END: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Targets:
    """The lines that are posted otherwise than they are from now on: their places, and their values that change."""

    lines: PostedLines
    place: Ints
    traits: Ints
    fee: Ints
    basis: Ints

    def __len__(self) -> int:
        return len(self.place)

    def between(self, start: int, end: int) -> Targets:
        """Return some of these lines."""
        columns = (self.place, self.traits, self.fee, self.basis)
        return Targets(self.lines, *(column[start:end] for column in columns))


class _Kind(NamedTuple):
    """All that the target of a line depends on, but for its amounts."""

    venue: str
    terms: SymbolTerms
    basis: Basis
    traits: int
    payment: Payment
    counterparty: str  # the owner of the other side, if the release changes the owner of the account to it or from it
    time_ns: int
    order_time_ns: int
    was_book: Rulebook
    book: Rulebook
    was: AccountState
    account: AccountState

    def target(self) -> tuple[int, Price] | None:
        """Return the traits and the price of such a line; None: the facts say of it what they said before.

        Then it stays as it was priced, also where an older release of the software priced otherwise than this one.
        """
        market = self._market(self.book, self.time_ns)
        programme = market.programme
        standing = standing_at(self.account, programme, self.time_ns)
        banned = standing.banned
        rate_ns = rate_time_ns(programme, transact_ns=self.time_ns, order_ns=self.order_time_ns)
        if rate_ns != self.time_ns:
            market = self._market(self.book, rate_ns)
            standing = standing_at(self.account, market.programme, rate_ns)
        unchanged = _said(standing) == _said(standing_at(self.was, market.programme, rate_ns))
        traits = self.traits | TRAIT_BANNED if banned else self.traits & ~TRAIT_BANNED
        if self.counterparty and self.was.owner_id != self.account.owner_id:
            with_oneself = self.counterparty == self.account.owner_id
            traits = traits | TRAIT_SELF_TRADE if with_oneself else traits & ~TRAIT_SELF_TRADE
        unchanged = unchanged and _ruled(market) == _ruled(self._market(self.was_book, rate_ns))
        if unchanged and traits == self.traits and not self._lost_its_grant(rate_ns):
            return None
        if market.terms != self.terms:
            market = replace(market, terms=self.terms, plans={})  # by its order's time it has other ones
        return traits, price_as_posted(market, standing, traits, self.payment, self.basis)

    def _lost_its_grant(self, at_ns: int) -> bool:
        """Return True if the grant that the line names gave something at an instant before, and gives nothing now.

        It need not be the one that counts: a line from before the end of its grant names that grant on.
        """
        named = self.basis.grant_id
        return _gives(self.was, named, at_ns) and not _gives(self.account, named, at_ns)

    def _market(self, book: Rulebook, at_ns: int) -> Market:
        market = book.market(self.venue, self.terms.symbol, self.terms.product, at_ns)
        assert isinstance(market, Market), self.terms  # the line was priced there
        return market


def _said(standing: Standing) -> tuple[object, ...]:
    """Return what a price depends on of a standing: of its grant no more than the name."""
    return (standing.grant.grant_id if standing.grant else "", *standing[1:])


def _gives(account: AccountState, grant_id: str, at_ns: int) -> bool:
    return any(each.grant_id == grant_id and each.valid_from_ns <= at_ns < each.ends_at_ns for each in account.grants)


def _ruled(market: Market) -> tuple[object, ...]:
    """Return what shared facts say of a market."""
    return market.pair_class, market.override


def targets(
    lines: PostedLines,
    before: AccountFacts,
    after: AccountFacts,
    from_ns: int,
    book_at: BookAt,
) -> Targets:
    """Return the lines from an instant on that are posted otherwise than the facts that they count by now say.

    `before` and `after` are the account's facts without and with a release. `book_at` gives the rules that were known
    at a position, with some shared facts: each line goes by those of its own, and by what is released for it.
    """
    places = np.flatnonzero(lines.time_ns >= from_ns)
    if not len(places):
        return _none(lines)
    known_by = _KnownBy(lines, places, before, after, book_at)
    order_ns = lines.order_time_ns[places]
    instants = known_by.change_instants()
    of_order = np.where(order_ns > 0, np.searchsorted(instants, order_ns, side="right") + 1, 0)
    firsts, kind = distinct_rows(
        known_by.code,
        np.searchsorted(instants, lines.time_ns[places], side="right"),
        of_order,
        known_by.counterparty,
        *(column[places] for column in (lines.venue, lines.symbol, lines.basis, lines.traits, lines.payment)),
    )
    found = [known_by.kind(int(places[first]), first).target() for first in firsts.tolist()]
    changes = np.array([each is not None for each in found])[kind]
    if not changes.any():
        return _none(lines)
    price_of = np.cumsum([each is not None for each in found]) - 1
    decided = [each for each in found if each is not None]
    places, kind = places[changes], price_of[kind[changes]]
    prices = [price for _, price in decided]
    _, fee = amounts_of(lines.price[places], lines.quantity[places], prices, kind)
    traits = np.array([each for each, _ in decided], dtype=np.int64)[kind]
    basis = lines.bases.of(price.posting.basis for price in prices)[kind]
    other = (fee != lines.fee[places]) | (traits != lines.traits[places]) | (basis != lines.basis[places])
    other = np.flatnonzero(other)
    return Targets(lines, places[other], traits[other], fee[other], basis[other])


def _none(lines: PostedLines) -> Targets:
    nothing = np.zeros(0, dtype=np.int64)
    return Targets(lines, nothing, nothing, nothing, nothing)


class _KnownBy:
    """By which rules and facts lines count: `code` says it of each line, as a place in `_all`."""

    def __init__(
        self,
        lines: PostedLines,
        places: Ints,
        before: AccountFacts,
        after: AccountFacts,
        book_at: BookAt,
    ) -> None:
        self._lines = lines
        positions, known = np.unique(lines.known_at[places], return_inverse=True)
        books = Codes[int]()
        ways = Codes[tuple[int, int]]()  # (a rulebook, how many facts were known)
        way_of, first_of = [], list[tuple[Rulebook, int]]()
        for position in positions.tolist():
            book = book_at(position, ())
            way_of.append(ways.code((books.code(id(book)), after.known_up_to(position))))
            if len(first_of) < len(ways.values):
                first_of.append((book, position))
        way = np.array(way_of, dtype=np.int64)[known]
        firsts, self.code = distinct_rows(way, lines.basis[places], lines.currency[places])
        self._all = list[tuple[Rulebook, Rulebook, AccountState, AccountState]]()
        for first in firsts.tolist():
            _, position = first_of[int(way[first])]
            programme_id = lines.bases.values[int(lines.basis[places[first]])].programme_id
            currency = lines.currencies.values[int(lines.currency[places[first]])]
            of_line = (position, programme_id, currency)
            was_book, book = (book_at(position, each.shared_since(*of_line)) for each in (before, after))
            was, account = (each.account_for(*of_line) for each in (before, after))
            self._all.append((was_book, book, was, account))
        changes = ((was.owner_id, account.owner_id) for *_, was, account in self._all)
        self._owners = ["", *sorted({owner for change in changes if change[0] != change[1] for owner in change})]
        self.counterparty = self._counterparties(places)

    def _counterparties(self, places: Ints) -> Ints:
        """Return of each line the place of its counterparty in `_owners`; 0: it is none of them."""
        named = self._lines.counterparty[places]
        found = np.zeros(len(places), dtype=np.int64)
        for place, owner_id in enumerate(self._owners):
            if owner_id:
                found[named == owner_id.encode()] = place
        return found

    def change_instants(self) -> Ints:
        """Return the instants at which any of the rules and accounts change, ascending."""
        states = {id(state): state.change_instants for each in self._all for state in each}
        found: Ints = np.unique(np.array([at for instants in states.values() for at in instants], dtype=np.int64))
        return found

    def kind(self, place: int, at: int) -> _Kind:
        """Return the kind of a line, by its place, and by its place among those that are looked at."""
        lines = self._lines
        return _Kind(
            lines.venues.values[int(lines.venue[place])],
            lines.symbols.values[int(lines.symbol[place])],
            lines.bases.values[int(lines.basis[place])],
            int(lines.traits[place]),
            lines.payments.values[int(lines.payment[place])],
            self._owners[int(self.counterparty[at])],
            int(lines.time_ns[place]),
            int(lines.order_time_ns[place]),
            *self._all[int(self.code[at])],
        )


def distinct_rows(*columns: Ints) -> tuple[Ints, Ints]:
    """Return (the first place of each different row, the place of each row among these). No value is negative.

    distinct_rows([5, 3, 5], [1, 1, 1]) -> ([1, 0], [1, 0, 1])
    """
    codes, end = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        column_end = int(column.max()) + 1
        if end * column_end >= _CODES_END:
            found, codes = np.unique(codes, return_inverse=True)
            end = len(found)
        codes, end = codes * column_end + column, end * column_end
    _, firsts, kinds = np.unique(codes, return_index=True, return_inverse=True)
    return firsts, kinds


def nets(found: Targets) -> dict[str, int]:
    """Return how much more lines cost than they did, by currency, at FEE_SCALE."""
    lines, net = found.lines, dict[str, int]()
    for basis, fee, sign in ((lines.basis[found.place], lines.fee[found.place], -1), (found.basis, found.fee, 1)):
        for code, amount in sums_by_code(basis, fee).items():
            known = lines.bases.values[code]
            unit = sign * int(10 ** (FEE_SCALE - known.fee_decimals))
            net[known.fee_currency] = net.get(known.fee_currency, 0) + amount * unit
    return net


def add_nets(nets: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return sums by currency."""
    return {name: nets.get(name, 0) + more.get(name, 0) for name in sorted({*nets, *more})}


def sums_by_code(codes: Ints, values: Ints) -> dict[int, int]:
    """Return the exact sum of the values of each code: sums_by_code([7, 9, 7], [1, 2, 3]) -> {7: 4, 9: 2}."""
    if not len(codes):
        return {}
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return dict(zip(ordered[starts].tolist(), map(int, sums(values[order], starts)), strict=True))


def currencies_of(lines: PostedLines, from_ns: int, programme_ids: Sequence[str]) -> set[str]:
    """Return the currencies in which lines from an instant on are charged now: those of some programmes, or of all."""
    used = np.unique(lines.basis[lines.time_ns >= from_ns])
    bases = [lines.bases.values[code] for code in used.tolist()]
    return {each.fee_currency for each in bases if not programme_ids or each.programme_id in programme_ids}
