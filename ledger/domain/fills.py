"""A batch of fills as columns, and the decision on it: which fills are new, what each one costs, and what the log says.

The decision has two halves, because reading lies between them: `by_account_day` says which accounts and days it needs;
`Recording.take` decides. A `Recording` lives for one commit and gathers a run per account-day, which `close` turns
into events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import chain
from typing import Any, Final, NamedTuple, cast

from ledger.domain.events import (
    TRAIT_BANNED,
    TRAIT_SELF_TRADE,
    Basis,
    KnownLine,
    Line,
    SymbolTerms,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS
from ledger.domain.membership import grant_in_effect
from ledger.domain.money import decimal_text, mantissa
from ledger.domain.pricing import NO_STANDING, Share, Standing, price_for
from ledger.domain.programme import NO_TIER, Programme
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rulebook import Market, Rulebook
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.fake_accounts import flagged_at
from ledger.domain.rules.self_trading import is_self_trade
from ledger.domain.state import AccountState
from ledger.domain.totals import CellSum, Sums, add_totals, exact, to_totals

DayKey = tuple[str, int]  # account id, UTC day since 1970


@dataclass(frozen=True)
class FillBatch:
    """Fills that passed the checks of shape: parallel columns in the order in which they came.

    `index` is the place of a fill in its request, `sequence` its number at its `source` (0: it has none). Decimals are
    texts as sent, times ns, enums their numbers; empty text and 0 mean not said.
    """

    venue: str
    actor: str
    index: Sequence[int]
    source: Sequence[str]
    sequence: Sequence[int]
    account_id: Sequence[str]
    exec_id: Sequence[str]
    symbol: Sequence[str]
    side: Sequence[int]
    liquidity: Sequence[int]
    price: Sequence[str]
    quantity: Sequence[str]
    transact_time_ns: Sequence[int]
    channel: Sequence[int]
    product: Sequence[int]
    trade_id: Sequence[str]
    order_id: Sequence[str]
    cl_ord_id: Sequence[str]
    order_time_ns: Sequence[int]
    owner_id: Sequence[str]
    counterparty_owner_id: Sequence[str]
    token: Sequence[str]
    token_price: Sequence[str]
    token_price_source: Sequence[str]
    charged_amount: Sequence[str]
    charged_currency: Sequence[str]
    charged_rate: Sequence[str]

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def carried(self) -> list[tuple[Any, ...]]:
        """Per fill what goes into its line as it came: the fields of `Line` from `trade_id` on."""
        return list(zip(*(getattr(self, name) for name in CARRIED), strict=True))

    @cached_property
    def digests(self) -> list[int]:
        """Per fill the digest of its exec_id."""
        return list(map(hash, self.exec_id))

    def rows(self, keep: slice) -> FillBatch:
        """The same batch with only some of its fills."""
        return replace(self, **{name: getattr(self, name)[keep] for name in COLUMNS})


CARRIED: Final = Line._fields[Line._fields.index("trade_id") :]
COLUMNS: Final = tuple(column.name for column in fields(FillBatch))[2:]
assert COLUMNS[-len(CARRIED) :] == CARRIED


def merged(batches: Sequence[FillBatch]) -> FillBatch:
    """Batches of one venue and actor as one, in their order: what is decided together costs less."""
    first, *others = batches
    if not others:
        return first
    columns = {name: list(chain.from_iterable(getattr(batch, name) for batch in batches)) for name in COLUMNS}
    return FillBatch(first.venue, first.actor, **columns)


def by_account_day(batch: FillBatch) -> dict[DayKey, list[int]]:
    """Places of the fills of each account-day, in order."""
    groups: dict[DayKey, list[int]] = defaultdict(list)
    days = [time_ns // DAY_NS for time_ns in batch.transact_time_ns]
    for place, key in enumerate(zip(batch.account_id, days, strict=True)):
        groups[key].append(place)
    return groups


class AccountDay:
    """What the ledger holds of one account on one UTC day: running totals, and a digest of every exec_id.

    The digest is Python's 64-bit string hash: it only ever says "look closer", so a collision costs a read, never an
    answer. `known` holds the lines themselves, by (venue, exec_id), once a digest has hit.
    """

    __slots__ = ("digests", "known", "sums", "time_max_so_far_ns")

    def __init__(self) -> None:
        self.digests: set[int] = set()
        self.sums: Sums = {}
        self.time_max_so_far_ns = 0
        self.known: dict[tuple[str, str], KnownLine] | None = None

    def load(self, exec_ids: Iterable[str], last: VolumeRecorded | None) -> None:
        """Take over what the log says: every exec_id, and the totals after the last event."""
        self.digests.update(map(hash, exec_ids))
        if last is not None:
            add_totals(self.sums, last.totals)
            self.time_max_so_far_ns = last.time_max_so_far_ns

    def remember(self, event: VolumeRecorded) -> None:
        """Hold the lines of an event for comparison."""
        if self.known is None:
            self.known = {}
        self.known.update(((event.venue, known.line.exec_id), known) for known in event.known_lines())


def suspects(batch: FillBatch, groups: Mapping[DayKey, list[int]], days: Mapping[DayKey, AccountDay]) -> set[DayKey]:
    """Days in which an id of the batch may have been recorded and the lines are not at hand."""
    digests = batch.digests
    return {
        key
        for key, places in groups.items()
        if (day := days[key]).known is None
        and day.digests
        and not day.digests.isdisjoint([digests[at] for at in places])
    }


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch, by place in it: replays, refusals, and the fees (amount, basis) of all others."""

    replayed: list[int] = field(default_factory=list)
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)


class RunKey(NamedTuple):
    """Fills that may share an event: one account-day, venue and actor."""

    account_id: str
    day: int
    venue: str
    actor: str


class _Places(dict[Any, int]):
    """Values in the order in which they were first asked for: the place of each."""

    def __missing__(self, value: Any) -> int:
        place = self[value] = len(self)
        return place


class _Run:
    """Lines of one key, gathered until the commit or a decision on the account closes them.

    `sums` of a share: [place of its basis, lines, notional, charges, rebates], at the scales of its fills.
    """

    __slots__ = ("bases", "lines", "markets", "places", "sources", "sums")

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.sources = _Places()
        self.markets = _Places()
        self.bases = _Places()
        self.sums: dict[Share, list[int]] = {}
        self.places: dict[str, int] = {}

    def open(self, share: Share) -> list[int]:
        """Sums for a share that this run has not seen."""
        sums = self.sums[share] = [self.bases[share.basis], 0, 0, 0, 0]
        return sums

    def find(self, exec_id: str) -> KnownLine | None:
        """The line of an id. Lines are only ever appended: those indexed before stay where they are."""
        for place in range(len(self.places), len(self.lines)):
            self.places[self.lines[place][0]] = place
        if exec_id not in self.places:
            return None
        line = Line._make(self.lines[self.places[exec_id]])
        return KnownLine(line, list(self.markets)[line.symbol_index].terms, list(self.bases)[line.basis_index])


class Recording:
    """The fills of one commit, decided in the order in which they come."""

    def __init__(self) -> None:
        self._runs: dict[RunKey, _Run] = {}

    def take(
        self,
        batch: FillBatch,
        groups: Mapping[DayKey, list[int]],
        accounts: Mapping[str, AccountState],
        days: Mapping[DayKey, AccountDay],
        book: Rulebook,
        *,
        with_fees: bool,
    ) -> BatchOutcome:
        """Decide a batch whose accounts and days are at hand; lines of suspect days are known."""
        outcome = BatchOutcome()
        rows = _rows(batch, book)
        for (account_id, day), places in groups.items():
            key = RunKey(account_id, day, batch.venue, batch.actor)
            run = self._runs.get(key) or _Run()
            account_day = days[account_id, day]
            new = places
            if account_day.known is not None:  # a digest hit: otherwise nothing of this day can be known
                new = self._without_known(batch, places, key, account_day, outcome, with_fees)
            self._price(batch, rows, new, run, accounts[account_id], account_day, outcome, with_fees)
            if run.lines:
                self._runs[key] = run
        return outcome

    def find(self, batch: FillBatch, place: int, days: Mapping[DayKey, AccountDay]) -> KnownLine | None:
        """The line recorded under the name of a fill whose day is at hand; lines of a suspect day are known."""
        day = batch.transact_time_ns[place] // DAY_NS
        key = RunKey(batch.account_id[place], day, batch.venue, batch.actor)
        return self._find(key, days[key.account_id, day], batch.exec_id[place])

    def _find(self, key: RunKey, day: AccountDay, exec_id: str) -> KnownLine | None:
        """The line recorded under this id: out of the log, or out of a run of this commit."""
        if day.known is not None and (found := day.known.get((key.venue, exec_id))) is not None:
            return found
        runs = (run for open_key, run in self._runs.items() if open_key[:3] == key[:3])
        return next((found for run in runs if (found := run.find(exec_id)) is not None), None)

    def _without_known(
        self,
        batch: FillBatch,
        places: list[int],
        key: RunKey,
        day: AccountDay,
        outcome: BatchOutcome,
        with_fees: bool,
    ) -> list[int]:
        """Places of fills that are not recorded yet. The others are replays, or conflicts if the content differs."""
        new = []
        for place in places:
            known = self._find(key, day, batch.exec_id[place])
            if known is None:
                new.append(place)
            else:
                _again(batch, place, known, outcome, with_fees)
        return new

    def _price(
        self,
        batch: FillBatch,
        rows: Sequence[tuple[Any, ...]],
        places: list[int],
        run: _Run,
        account: AccountState,
        day: AccountDay,
        outcome: BatchOutcome,
        with_fees: bool,
    ) -> None:
        """The hot path: one line per fill, its fee decided by the plan of its kind."""
        changes, owner, digests, ids = account.change_instants, account.owner_id, day.digests, set[int]()
        markets, sources, sums_of, lines = run.markets, run.sources, run.sums, run.lines
        standing = NO_STANDING
        for place in places:
            row = rows[place]
            kind, exec_id, digest, time_ns, owner_id, other_id, token, token_price, source, sequence, carried = row
            if isinstance(kind, Refusal):
                outcome.refused.append((place, kind))
                continue
            if digest in ids and (known := run.find(exec_id)) is not None:
                _again(batch, place, known, outcome, with_fees)
                continue
            market, traits, price, quantity = kind
            if changes:
                standing = _standing(account, market.programme, time_ns)
                if standing.banned:
                    traits |= TRAIT_BANNED
            if other_id and is_self_trade(owner_id or owner, other_id):
                traits |= TRAIT_SELF_TRADE
            plain = not changes and not token
            price_of = (market.base_terms.get(traits) if plain else None) or price_for(
                market, standing, traits, token, token_price
            )
            share, factor, denominator, divide, on_base = price_of
            sums = sums_of.get(share) or run.open(share)
            notional = price * quantity
            fee = divide((quantity if on_base else notional) * factor, denominator)
            sums[1] += 1
            sums[2] += notional
            sums[3 if fee >= 0 else 4] += fee
            priced = (exec_id, time_ns, markets[market], traits, price, quantity, fee, sums[0])
            lines.append((*priced, sources[source], sequence, *carried))
            ids.add(digest)
            if with_fees:
                outcome.fees[place] = (fee, share.basis)
        digests |= ids

    def close(self, account_id: str, days: Mapping[DayKey, AccountDay]) -> list[tuple[RunKey, VolumeRecorded]]:
        """The events of an account so far: a decision on it comes next."""
        keys = [key for key in self._runs if key.account_id == account_id]
        return [(key, _event(key, self._runs.pop(key), days[key.account_id, key.day])) for key in keys]

    def close_all(self, days: Mapping[DayKey, AccountDay]) -> list[tuple[RunKey, VolumeRecorded]]:
        """All events that are left, in the order in which their runs began."""
        runs, self._runs = self._runs, {}
        return [(key, _event(key, run, days[key.account_id, key.day])) for key, run in runs.items()]


def _again(batch: FillBatch, place: int, known: KnownLine, outcome: BatchOutcome, with_fees: bool) -> None:
    """A fill whose name is taken: a replay, or a conflict if its content differs."""
    if _as_recorded(known, batch.product[place]) != _as_sent(batch, place):
        detail = f"{batch.exec_id[place]} was recorded with other content"
        outcome.refused.append((place, Refusal(Reason.FILL_CONFLICT, "exec_id", detail)))
        return
    outcome.replayed.append(place)
    if with_fees:
        outcome.fees[place] = (known.line.fee, known.basis)


def _markets(batch: FillBatch, book: Rulebook) -> Sequence[Market | Refusal]:
    """What rules each fill. Where nothing changes between the first and the last one, asked once per symbol."""
    times = batch.transact_time_ns
    changes = book.change_instants
    if bisect_right(changes, min(times)) == bisect_right(changes, max(times)):
        kinds = list(zip(batch.symbol, batch.product, strict=True))
        found = {kind: book.market(batch.venue, *kind, times[0]) for kind in set(kinds)}
        return [found[kind] for kind in kinds]
    return [
        book.market(batch.venue, symbol, product, time_ns)
        for symbol, product, time_ns in zip(batch.symbol, batch.product, times, strict=True)
    ]


Kind = tuple[Market, int, int, int]  # market, traits as far as the fill says them, mantissas of price and quantity


def _rows(batch: FillBatch, book: Rulebook) -> list[tuple[Any, ...]]:
    """Per fill all that `Recording` looks at: one tuple is cheaper than a dozen columns."""
    columns = (batch.exec_id, batch.digests, batch.transact_time_ns, batch.owner_id, batch.counterparty_owner_id)
    more = (batch.token, batch.token_price, batch.source, batch.sequence, batch.carried)
    return list(zip(_kinds(batch, book), *columns, *more, strict=True))


def _kinds(batch: FillBatch, book: Rulebook) -> list[Kind | Refusal]:
    """What of each fill its price depends on, but for the account."""
    kinds: list[Kind | Refusal] = []
    columns = (batch.side, batch.liquidity, batch.channel, batch.price, batch.quantity)
    rows = zip(_markets(batch, book), *columns, strict=True)
    for market, side, liquidity, channel, price_text, quantity_text in rows:
        if isinstance(market, Refusal):
            kinds.append(market)
            continue
        terms = market.terms
        price = mantissa(price_text, terms.price_scale)
        quantity = mantissa(quantity_text, terms.quantity_scale)
        if price is None or quantity is None:
            kinds.append(_too_fine(terms, price is None))
        else:
            kinds.append((market, side | liquidity << 2 | channel << 4, price, quantity))
    return kinds


def _standing(account: AccountState, programme: Programme, at_ns: int) -> Standing:
    """Worked out once between two changes of the account."""
    key = (bisect_right(account.change_instants, at_ns), programme)
    standing: Standing | None = account.standings.get(key)
    if standing is None:
        flagged = flagged_at(account.flags, at_ns) is not None
        grant = grant_in_effect(account, programme, at_ns)
        past_trial = any(grant.source == "TRIAL" and grant.valid_from_ns <= at_ns for grant in account.grants)
        banned = running_ban(account.bans, at_ns) is not None
        tier, source = (grant.tier, grant.source) if grant else (NO_TIER, "")
        standing = account.standings[key] = Standing(grant, tier, source, banned, past_trial, flagged)
    return standing


def _too_fine(terms: SymbolTerms, price: bool) -> Refusal:
    if price:
        detail = f"{terms.symbol} is registered with {terms.price_scale} decimals of price"
        return Refusal(Reason.PRICE_TOO_FINE, "last_px", detail)
    detail = f"{terms.symbol} is registered with {terms.quantity_scale} decimals of quantity"
    return Refusal(Reason.QUANTITY_TOO_FINE, "last_qty", detail)


def _event(key: RunKey, run: _Run, day: AccountDay) -> VolumeRecorded:
    """The run as an event; the totals of the day move on."""
    times = [line[1] for line in run.lines]
    time_min_ns, time_max_ns = min(times), max(times)
    for share, (_, lines, notional, charges, rebates) in run.sums.items():
        cell = day.sums.get(share.cell)
        if cell is None:
            cell = day.sums[share.cell] = CellSum()
        cell.lines += lines
        cell.notional += notional * share.notional_up
        cell.add_fees(share.basis.fee_currency, charges * share.fee_up, rebates * share.fee_up, lines)
    day.time_max_so_far_ns = max(day.time_max_so_far_ns, time_max_ns)
    return VolumeRecorded(
        venue=key.venue,
        sources=tuple(run.sources),
        time_min_ns=time_min_ns,
        time_max_ns=time_max_ns,
        time_max_so_far_ns=day.time_max_so_far_ns,
        symbols=tuple(market.terms for market in run.markets),
        bases=tuple(run.bases),
        lines=cast(Sequence[Line], run.lines),  # plain tuples in the order of Line
        totals=to_totals(day.sums),
    )


def _as_sent(batch: FillBatch, place: int) -> tuple[Any, ...]:
    """What makes a fill the same fill: every field but its number, decimals in canonical form."""
    traits = batch.side[place] | batch.liquidity[place] << 2 | batch.channel[place] << 4
    amounts = (canonical(batch.price[place]), canonical(batch.quantity[place]))
    time_ns = batch.transact_time_ns[place]
    return (batch.symbol[place], batch.product[place], traits, time_ns, *amounts, *batch.carried[place])


def _as_recorded(known: KnownLine, product_sent: int) -> tuple[Any, ...]:
    """The same of a line of the log. A fill that leaves the product to its symbol is the same fill."""
    line, terms = known.line, known.terms
    traits = line.traits & ~(TRAIT_SELF_TRADE | TRAIT_BANNED)
    product = terms.product if product_sent else 0
    amounts = (decimal_text(line.price, terms.price_scale), decimal_text(line.quantity, terms.quantity_scale))
    return (
        terms.symbol,
        product,
        traits,
        line.transact_time_ns,
        *amounts,
        *line[Line._fields.index("trade_id") :],
    )


def canonical(decimal: str) -> str:
    """A decimal without trailing zeros; 1.50 is 1.5, empty stays empty."""
    if not decimal:
        return ""
    _, _, fraction = decimal.partition(".")
    return decimal_text(exact(decimal, len(fraction)), len(fraction))
