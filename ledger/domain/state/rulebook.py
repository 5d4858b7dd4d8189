"""The rulebook, a fold of the shared streams: programmes, pair classes, symbols, currencies, all effective-dated."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, Final, TypeVar

from ledger.domain.events import (
    CurrencyRegistered,
    PairClassAssigned,
    PairRatesSet,
    ProgrammePublished,
    Recorded,
    SymbolRegistered,
    SymbolTerms,
)
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import PairRates, Programme
from ledger.domain.state.shared_facts import SharedFacts, evolve_shared_facts

FEE_DECIMALS_DEFAULT: Final = 8

T = TypeVar("T")
Dated = tuple[tuple[int, T], ...]  # (valid_from_ns, value), ascending; each holds until the next


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """The answers to all that rules ask about one symbol on one venue, while none of them changes."""

    programme: Programme
    pair_class: str
    terms: SymbolTerms
    base_currency: str
    base_decimals: int
    quote_decimals: int
    token_decimals: int  # of the token that fees may be paid in
    override: PairRates | None = None  # instead of the table
    plans: dict[Any, Any] = field(default_factory=dict)  # memo of `pricing.plan_for`


@dataclass(frozen=True)
class Rulebook:
    """The fold of `registers` and every `programme/<id>`. `versions` is the last version of each of these streams.

    Classes and rates of pairs are by (programme, symbol); `contents` are hashes of all files, by (programme, version).
    """

    parse: Callable[[str], Programme]
    versions: Mapping[str, int] = field(default_factory=dict)
    programmes: Mapping[str, Dated[Programme]] = field(default_factory=dict)
    contents: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    pair_classes: Mapping[tuple[str, str], Dated[str]] = field(default_factory=dict)
    pair_rates: Mapping[tuple[str, str], Dated[PairRates | None]] = field(default_factory=dict)
    symbols: Mapping[str, Dated[SymbolRegistered]] = field(default_factory=dict)
    currencies: Mapping[str, int] = field(default_factory=dict)
    shared_facts: SharedFacts = field(default_factory=dict)

    @cached_property
    def change_instants(self) -> tuple[int, ...]:
        """The instants at which anything here changes, ascending."""
        tables: list[Mapping[Any, Dated[Any]]] = [self.programmes, self.pair_classes, self.pair_rates, self.symbols]
        return tuple(sorted({at for table in tables for dated in table.values() for at, _ in dated}))

    @cached_property
    def venues(self) -> tuple[str, ...]:
        """The venues that any programme has ever governed."""
        versions = (programme for dated in self.programmes.values() for _, programme in dated)
        return tuple(dict.fromkeys(venue for programme in versions for venue in programme.venues))

    def programme(self, programme_id: str, at_ns: int) -> Programme | Refusal:
        """Return the version in force; an empty id means the only programme there is."""
        if not programme_id and len(self.programmes) == 1:
            programme_id = next(iter(self.programmes))
        if not programme_id:
            return Refusal(Reason.FIELD_REQUIRED, "programme_id", "this ledger has several programmes: name one")
        version = _value_at(self.programmes.get(programme_id, ()), at_ns)
        if version is None:
            return Refusal(Reason.PROGRAMME_UNKNOWN, "programme_id", f"no programme {programme_id} at this instant")
        return version

    def in_force(self, at_ns: int) -> list[Programme]:
        """Return the version of each programme that is in force at an instant; programmes without one are left out."""
        versions = (_value_at(dated, at_ns) for dated in self.programmes.values())
        return [version for version in versions if version is not None]

    def venue(self, venue: str) -> str | Refusal:
        """Return the venue meant; empty means the only one that is governed."""
        if not venue and len(self.venues) == 1:
            return self.venues[0]
        if not venue and self.venues:
            return Refusal(Reason.FIELD_REQUIRED, "venue", f"one of {', '.join(self.venues)}")
        if venue not in self.venues:
            return Refusal(Reason.VENUE_UNKNOWN, "venue", f"no programme governs {venue}: {', '.join(self.venues)}")
        return venue

    def market(self, venue: str, symbol: str, product: int, at_ns: int) -> Market | Refusal:
        """Return the market of a fill at an instant; product 0 is the symbol's own. `venue` came from `self.venue`."""
        key = (venue, symbol, product, bisect_right(self.change_instants, at_ns))
        found = self._markets.get(key)
        if found is None:
            found = self._markets[key] = self._find_market(venue, symbol, product, at_ns)
        return found

    @cached_property
    def _markets(self) -> dict[tuple[str, str, int, int], Market | Refusal]:
        return {}

    def _find_market(self, venue: str, symbol: str, product: int, at_ns: int) -> Market | Refusal:
        registered = _value_at(self.symbols.get(symbol, ()), at_ns)
        if registered is None:
            return Refusal(Reason.SYMBOL_UNKNOWN, "symbol", f"{symbol} is not registered at the time of the fill")
        programme = self._programme_of(venue, at_ns)
        if programme is None:
            return Refusal(Reason.VENUE_UNKNOWN, "venue", f"no programme governs {venue} at the time of the fill")
        product = product or registered.product
        if product not in programme.products:
            detail = f"{programme.programme_id} has no rates for this product"
            return Refusal(Reason.PRODUCT_WITHOUT_RATES, "product", detail)
        offer = programme.token_discount
        return Market(
            programme=programme,
            pair_class=self.pair_class(programme.programme_id, symbol, at_ns),
            override=self.override(programme, symbol, at_ns),
            terms=SymbolTerms(
                symbol, registered.quote_currency, product, registered.price_scale, registered.quantity_scale
            ),
            base_currency=registered.base_currency,
            base_decimals=self.decimals(registered.base_currency),
            quote_decimals=self.decimals(registered.quote_currency),
            token_decimals=self.decimals(offer.token if offer else ""),
        )

    def pair_class(self, programme_id: str, symbol: str, at_ns: int) -> str:
        """Return the class of a pair; empty: none (A19)."""
        return _value_at(self.pair_classes.get((programme_id, symbol), ()), at_ns) or ""

    def override(self, programme: Programme, symbol: str, at_ns: int) -> PairRates | None:
        """Return the rates a pair pays instead of the table: as last set, else as the programme's file says."""
        own = _value_at(self.pair_rates.get((programme.programme_id, symbol), ()), at_ns)
        return programme.overrides.get(symbol) if own is None else own

    def _programme_of(self, venue: str, at_ns: int) -> Programme | None:
        return next((version for version in self.in_force(at_ns) if venue in version.venues), None)

    def decimals(self, currency: str) -> int:
        """Return the decimals that fees in a currency are rounded to."""
        return self.currencies.get(currency, FEE_DECIMALS_DEFAULT)

    def with_programme(self, event: ProgrammePublished, programme: Programme) -> Rulebook:
        """Return the rulebook with one more version of a programme."""
        name = event.programme_id
        dated = _with_value(self.programmes.get(name, ()), event.valid_from_ns, programme)
        contents = {**self.contents, (name, event.version): event.content_sha256}
        return replace(self, programmes={**self.programmes, name: dated}, contents=contents)

    def with_pair_class(self, event: PairClassAssigned) -> Rulebook:
        """Return the rulebook with a class of a pair."""
        pair = (event.programme_id, event.symbol)
        dated = _with_value(self.pair_classes.get(pair, ()), event.valid_from_ns, event.pair_class)
        return replace(self, pair_classes={**self.pair_classes, pair: dated})

    def with_pair_rates(self, event: PairRatesSet) -> Rulebook:
        """Return the rulebook with rates of a pair's own, or without them from then on."""
        pair = (event.programme_id, event.symbol)
        ended = event.maker_ppm is None and event.taker_ppm is None
        rates = None if ended else PairRates(event.maker_ppm, event.taker_ppm)
        dated = _with_value(self.pair_rates.get(pair, ()), event.valid_from_ns, rates)
        return replace(self, pair_rates={**self.pair_rates, pair: dated})


def too_fine(terms: SymbolTerms, *, price: bool) -> Refusal:
    """Refuse a price, or else a quantity, with more decimals than its symbol has."""
    if price:
        detail = f"{terms.symbol} is registered with {terms.price_scale} decimals of price"
        return Refusal(Reason.PRICE_TOO_FINE, "last_px", detail)
    detail = f"{terms.symbol} is registered with {terms.quantity_scale} decimals of quantity"
    return Refusal(Reason.QUANTITY_TOO_FINE, "last_qty", detail)


def evolve_rulebook(book: Rulebook, recorded: Recorded) -> Rulebook:
    """Return the rulebook after one more event of its streams."""
    event = recorded.event
    changed = book
    if isinstance(event, ProgrammePublished):
        changed = book.with_programme(event, book.parse(event.content))
    elif isinstance(event, PairClassAssigned):
        changed = book.with_pair_class(event)
    elif isinstance(event, PairRatesSet):
        changed = book.with_pair_rates(event)
    elif isinstance(event, SymbolRegistered):
        terms = _with_value(book.symbols.get(event.symbol, ()), event.valid_from_ns, event)
        changed = replace(book, symbols={**book.symbols, event.symbol: terms})
    elif isinstance(event, CurrencyRegistered):
        changed = replace(book, currencies={**book.currencies, event.currency: event.decimals})
    shared_facts = evolve_shared_facts(book.shared_facts, recorded)
    return replace(changed, versions={**book.versions, recorded.stream: recorded.version}, shared_facts=shared_facts)


def fold_rulebook(parse: Callable[[str], Programme], events: Iterable[Recorded]) -> Rulebook:
    """Return the rulebook after the events of its streams, in position order."""
    return reduce(evolve_rulebook, events, Rulebook(parse))


def _value_at(dated: Dated[T], at_ns: int) -> T | None:
    """Return the value in force: the last one that starts at or before the instant."""
    index = bisect_right(dated, at_ns, key=lambda entry: entry[0])
    return dated[index - 1][1] if index else None


def _with_value(dated: Dated[T], valid_from_ns: int, value: T) -> Dated[T]:
    """Return the values with one more; of two at the same instant the later word counts."""
    kept = tuple(entry for entry in dated if entry[0] != valid_from_ns)
    return tuple(sorted((*kept, (valid_from_ns, value)), key=lambda entry: entry[0]))
