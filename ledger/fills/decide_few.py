"""The decision on few fills, line by line: for a single fill, arrays take many times as long as the rules.

It asks the same rules and prices as `decide` does over columns, and counts in the same totals, so its events are the
same, byte for byte. Whatever is out of the ordinary it leaves to columns, before anything has changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from ledger.arrays.columns import INT64_MAX, Packed, digest, packed_list, packed_words
from ledger.arrays.decimal_columns import rescaled_one
from ledger.domain.events import Basis, Columns, SourceSpan, SymbolTerms, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.pricing.plan import Price, price_for, rate_time_ns
from ledger.domain.rules.self_trading import self_trades
from ledger.domain.state.owners import newly_named
from ledger.domain.state.rulebook import Market, Rulebook
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.domain.streams import DayKey
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE
from ledger.fills.batch import CARRIED
from ledger.fills.days import DayTable
from ledger.fills.lines import NUMBERED
from ledger.fills.listed_batch import ListedBatch
from ledger.fills.running_totals import NO_LINES, FeeCell, LineSums
from ledger.fills.standings import HeldStandings

FEW: Final = 16  # fills up to which this takes clearly less time than columns do: at some 24 both take as long

C = TypeVar("C", int, tuple[int, int, int])


class Group(NamedTuple):
    """The fills of one account-day, by their places in the batch."""

    key: DayKey
    places: list[int]


class FewDecided(NamedTuple):
    """The fill runs of few fills, in the order of account-days, and the fee (amount, basis) of each by its place."""

    runs: list[tuple[DayKey, VolumeRecorded]]
    fees: dict[int, tuple[int, Basis]]


class _Line(NamedTuple):
    """A fill with its price. `market` and `kind` sort lines as columns sort them."""

    place: int
    digest: int
    market: tuple[int, int, int]
    in_force: Market
    kind: tuple[int, tuple[int, int, int], int]
    traits: int
    price: int
    quantity: int
    priced: Price
    fee: int


def group_few(batch: ListedBatch) -> list[Group]:
    """Group fills by account-day, in the order of accounts and days, as `by_account_day` does."""
    lists = batch.lists
    days = [
        (account, at_ns // DAY_NS) for account, at_ns in zip(lists["account"], lists["transact_time_ns"], strict=True)
    ]
    places: dict[tuple[int, int], list[int]] = {}
    for place, day in enumerate(days):
        places.setdefault(day, []).append(place)
    return [Group((batch.accounts[day[0]], day[1]), places[day]) for day in sorted(places)]


def decide_few(
    batch: ListedBatch,
    groups: Sequence[Group],
    accounts: HeldStandings,
    places: Sequence[int],
    days: DayTable,
    book: Rulebook,
    next_position: int,
) -> FewDecided | None:
    """Decide a batch as `decide_fills` does, and count its fills in the days; None: columns have to.

    These are asked where a fill may be known or comes twice, is refused, is paid in a token or names a new owner, and
    where the standing of an account has to be worked out.
    """
    if any(batch.lists["token"]) or _names_new_owners(batch, groups, accounts):
        return None
    pricing = _Pricing(batch, accounts, book)
    lines: list[list[_Line]] = []
    for group, day in zip(groups, places, strict=True):
        of_day = [line for place in group.places if (line := pricing.line(place)) is not None]
        digests = {line.digest for line in of_day}
        if len(digests) < len(group.places) or any(days.has(day, each) for each in digests):
            return None
        lines.append(of_day)
    for of_day, day in zip(lines, places, strict=True):
        for line in of_day:
            days.take_in_one(day, line.digest, next_position)
    runs = _runs(batch, groups, lines, places, days, next_position)
    fees = {line.place: (line.fee, line.priced.posting.basis) for of_day in lines for line in of_day}
    return FewDecided(runs, fees)


def _names_new_owners(batch: ListedBatch, groups: Sequence[Group], accounts: HeldStandings) -> bool:
    said = batch.lists["owner_id"]
    if not said:
        return False
    for (account_id, _), places in groups:
        owners = dict.fromkeys([said[place].decode() for place in places if said[place]], 0)
        if newly_named(accounts.owners_of(account_id), owners):
            return True
    return False


class _Pricing:
    """Prices the fills of a batch, one by one."""

    def __init__(self, batch: ListedBatch, accounts: HeldStandings, book: Rulebook) -> None:
        self._batch = batch
        self._lists = batch.lists
        self._accounts = accounts
        self._book = book

    def line(self, place: int) -> _Line | None:
        """Return a fill with its price; None for one that is to be refused, or whose standing is to be worked out."""
        lists = self._lists
        transact_ns = lists["transact_time_ns"][place]
        order_ns = lists["order_time_ns"][place] if lists["order_time_ns"] else 0
        found = self._market(place, transact_ns)
        if not isinstance(found, Market):
            return None
        rate_ns = rate_time_ns(found.programme, transact_ns=transact_ns, order_ns=order_ns)
        if rate_ns != transact_ns:
            found = self._market(place, rate_ns)
            if not isinstance(found, Market):
                return None
        price = rescaled_one(lists["price"][place], lists["price_decimals"][place], found.terms.price_scale)
        quantity = rescaled_one(lists["quantity"][place], lists["quantity_decimals"][place], found.terms.quantity_scale)
        if price is None or quantity is None:
            return None
        account = lists["account"][place]
        held = self._accounts.of_fill(account, found.programme, rate_ns, transact_ns)
        if held is None:
            return None
        code, standing = held
        traits = lists["traits"][place] | (TRAIT_BANNED if standing.banned else 0)
        if lists["counterparty_owner_id"] and self._is_self_trade(place, account):
            traits |= TRAIT_SELF_TRADE
        priced = price_for(found, standing, traits)
        fee = priced.fee(price, quantity)
        market = (lists["symbol"][place], lists["product"][place], bisect_right(self._book.change_instants, rate_ns))
        digest_ = digest(lists["exec_id"][place])
        return _Line(place, digest_, market, found, (code, market, traits), traits, price, quantity, priced, int(fee))

    def _market(self, place: int, at_ns: int) -> Any:
        symbol = self._batch.symbols[self._lists["symbol"][place]]
        return self._book.market(self._batch.venue, symbol, self._lists["product"][place], at_ns)

    def _is_self_trade(self, place: int, account: int) -> bool:
        said = self._lists["owner_id"]
        owner = said[place] if said else b""
        owner = owner or self._accounts.owners_of(self._batch.accounts[account]).owner_id.encode()
        return self_trades(owner, self._lists["counterparty_owner_id"][place])


def _runs(
    batch: ListedBatch,
    groups: Sequence[Group],
    lines: Sequence[Sequence[_Line]],
    places: Sequence[int],
    days: DayTable,
    next_position: int,
) -> list[tuple[DayKey, VolumeRecorded]]:
    """Make the events, as `make_fill_runs` does, and count them in the days."""
    every = [line for of_day in lines for line in of_day]
    bases = _bases(every)
    referred = [_refer(batch, of_day, bases) for of_day in lines]
    wide = any(abs(amount) > INT64_MAX for line in every for amount in (line.price, line.quantity, line.fee))
    columns = _columns(batch, every, referred, wide=wide)
    runs, start = list[tuple[DayKey, VolumeRecorded]](), 0
    for number, (group, of_day, refers) in enumerate(zip(groups, lines, referred, strict=True)):
        times, end = refers.times_ns, start + len(of_day)
        latest_ns, totals, previous = days.move_one_on(
            places[number], max(times), _sums(of_day), next_position + number
        )
        event = VolumeRecorded(
            venue=batch.venue,
            sources=refers.sources,
            time_min_ns=min(times),
            time_max_ns=max(times),
            time_max_so_far_ns=latest_ns,
            symbols=tuple(refers.symbols),
            bases=tuple(refers.bases),
            columns=Columns(wide=wide, **{name: each.between(start, end) for name, each in columns.items()}),
            totals=totals,
            previous_position=previous,
        )
        runs.append((group.key, event))
        start = end
    return runs


class _Refers(NamedTuple):
    """The values that the lines of a run refer to, each once, and which of them each line does."""

    times_ns: list[int]
    symbols: list[SymbolTerms]
    symbol_index: list[int]
    bases: list[Basis]
    basis_index: list[int]
    sources: tuple[SourceSpan, ...]
    source_index: list[int]
    sequence_offset: list[int]


def _bases(lines: Sequence[_Line]) -> dict[Basis, int]:
    """Return the bases of all lines, numbered in the order of their kinds."""
    bases: dict[Basis, int] = {}
    for line in sorted(lines, key=attrgetter("kind")) if len(lines) > 1 else lines:
        bases.setdefault(line.priced.posting.basis, len(bases))
    return bases


def _refer(batch: ListedBatch, lines: Sequence[_Line], bases: Mapping[Basis, int]) -> _Refers:
    lists = batch.lists
    markets, symbol_index = _numbered([line.market for line in lines])
    terms = {line.market: line.in_force.terms for line in lines}
    codes, basis_index = _numbered([bases[line.priced.posting.basis] for line in lines])
    of_code = list(bases)
    sources, source_index = _numbered([lists["source"][line.place] for line in lines])
    spans, offsets = _spans(batch, lines, sources, source_index)
    return _Refers(
        times_ns=[lists["transact_time_ns"][line.place] for line in lines],
        symbols=[terms[market] for market in markets],
        symbol_index=symbol_index,
        bases=[of_code[code] for code in codes],
        basis_index=basis_index,
        sources=spans,
        source_index=source_index,
        sequence_offset=offsets,
    )


def _numbered(codes: Sequence[C]) -> tuple[Sequence[C], list[int]]:
    """Return (the codes, each once, ascending; the place of each among them)."""
    if len(codes) == 1:
        return codes, [0]
    distinct = sorted(set(codes))
    return distinct, [distinct.index(code) for code in codes]


def _spans(
    batch: ListedBatch, lines: Sequence[_Line], sources: Sequence[int], source_index: Sequence[int]
) -> tuple[tuple[SourceSpan, ...], list[int]]:
    """Return (the sources of a run with their numbers, how far each line is from the first number of its source)."""
    if not any(batch.sources):
        return tuple([SourceSpan(batch.sources[source], 0, 0) for source in sources]), []
    numbers = [batch.lists["sequence"][line.place] for line in lines]
    spans = []
    for number, source in enumerate(sources):
        of_source = [each for each, at in zip(numbers, source_index, strict=True) if at == number]
        spans.append(SourceSpan(batch.sources[source], min(of_source), max(of_source)))
    return tuple(spans), [each - spans[at].first_sequence for each, at in zip(numbers, source_index, strict=True)]


def _columns(
    batch: ListedBatch, lines: Sequence[_Line], referred: Sequence[_Refers], *, wide: bool
) -> dict[str, Packed]:
    """Pack all columns of all lines: widths are those of the batch, whose runs are cut out of them."""
    lists, widths, places = batch.lists, batch.widths, [line.place for line in lines]

    def joined(name: str) -> list[int]:
        return [value for refers in referred for value in getattr(refers, name)]

    amounts = {name: [getattr(line, name) for line in lines] for name in ("price", "quantity", "fee")}
    if wide:
        columns = {name: packed_words([str(value).encode() for value in values]) for name, values in amounts.items()}
    else:
        columns = {name: packed_list(values, signed=name == "fee") for name, values in amounts.items()}
    columns["exec_id"] = packed_words([lists["exec_id"][place] for place in places], widths["exec_id"])
    columns["traits"] = packed_list([line.traits for line in lines])
    columns["time_offset_ns"] = packed_list(
        [at - min(refers.times_ns) for refers in referred for at in refers.times_ns]
    )
    for name in ("symbol_index", "basis_index"):
        columns[name] = packed_list(joined(name))
    if len(batch.sources) > 1:
        columns["source_index"] = packed_list(joined("source_index"))
    if any(batch.sources):
        columns["sequence_offset"] = packed_list(joined("sequence_offset"))
    for name in CARRIED:
        if not (values := lists[name]):
            continue
        said = [values[place] for place in places]
        if name in widths:
            columns[name] = packed_words(said, widths[name])
        else:
            columns[NUMBERED.get(name, name)] = packed_list(said)
    return columns


def _sums(lines: Sequence[_Line]) -> dict[FeeCell, LineSums]:
    """Return the sums of the lines of one run by the cell and the currency that they count in."""
    found: dict[FeeCell, LineSums] = {}
    for line in lines:
        posting, terms = line.priced.posting, line.in_force.terms
        fee_cell = FeeCell(posting.cell, posting.basis.fee_currency)
        notional = line.price * line.quantity * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
        fee = line.fee * 10 ** (FEE_SCALE - posting.basis.fee_decimals)
        before = found.get(fee_cell, NO_LINES)
        found[fee_cell] = LineSums(
            before.lines + 1, before.notional + notional, before.charges + max(fee, 0), before.rebates + max(-fee, 0)
        )
    return found
