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
from typing import Any, Final, NamedTuple, cast

from ledger.domain.events import (
    TRAIT_BANNED,
    TRAIT_SELF_TRADE,
    Basis,
    Line,
    SymbolTerms,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text, mantissa
from ledger.domain.pricing import Plan, plan_for
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rulebook import Market, Rulebook
from ledger.domain.rules.ban import running_ban
from ledger.domain.rules.best_grant import best_grant
from ledger.domain.rules.fee_amount import in_token
from ledger.domain.rules.self_trading import is_self_trade
from ledger.domain.state import AccountState, Grant
from ledger.domain.totals import FEE_SCALE, NOTIONAL_SCALE, CellSum, Sums, add_totals, exact, to_totals

DayKey = tuple[str, int]  # account id, UTC day since 1970


@dataclass(frozen=True)
class FillBatch:
    """Fills of one request that passed the checks of shape: parallel columns in the order of the request.

    `index[i]` is the place of a fill in its request; with a source its number is `first_sequence + index[i]`. Decimals
    are texts as sent, times ns, enums their numbers; empty text and 0 mean not said.
    """

    venue: str
    source: str
    first_sequence: int
    actor: str
    index: Sequence[int]
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

    def rows(self, keep: slice) -> FillBatch:
        """The same batch with only some of its fills."""
        return replace(self, **{name: getattr(self, name)[keep] for name in COLUMNS})


CARRIED: Final = Line._fields[Line._fields.index("trade_id") :]
COLUMNS: Final = tuple(column.name for column in fields(FillBatch))[4:]
assert COLUMNS[-len(CARRIED) :] == CARRIED


def by_account_day(batch: FillBatch) -> dict[DayKey, list[int]]:
    """Places of the fills of each account-day, in order."""
    groups: dict[DayKey, list[int]] = defaultdict(list)
    days = [time_ns // DAY_NS for time_ns in batch.transact_time_ns]
    for place, key in enumerate(zip(batch.account_id, days, strict=True)):
        groups[key].append(place)
    return groups


class KnownLine(NamedTuple):
    """A line of the log with what is needed to read it alone."""

    line: Line
    terms: SymbolTerms
    basis: Basis


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
        for line in map(Line._make, event.lines):
            known = KnownLine(line, event.symbols[line.symbol_index], event.bases[line.basis_index])
            self.known[event.venue, line.exec_id] = known

    def suspects(self, exec_ids: Iterable[str]) -> bool:
        """Whether any of these ids may be in the log already and the lines are not at hand."""
        return self.known is None and not self.digests.isdisjoint(map(hash, exec_ids))


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch. `fees` by place in the batch: (fee mantissa, basis), for recorded and replayed fills."""

    recorded: int = 0
    replayed: int = 0
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    fees: dict[int, tuple[int, Basis]] = field(default_factory=dict)


class RunKey(NamedTuple):
    """Fills that may share an event: one account-day, venue, source and actor."""

    account_id: str
    day: int
    venue: str
    source: str
    actor: str


class _Run:
    """Lines of one key, gathered until the commit or a decision on the account closes them."""

    __slots__ = ("bases", "basis_index", "lines", "plans", "sums", "symbol_index", "symbols")

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.symbols: list[SymbolTerms] = []
        self.symbol_index: dict[SymbolTerms, int] = {}
        self.bases: list[Basis] = []
        self.basis_index: dict[Basis, int] = {}
        self.plans: dict[tuple[Plan, str], tuple[int, int, list[int]]] = {}
        self.sums: list[tuple[Plan, list[int]]] = []

    def enter(self, plan: Plan, grant: Grant | None) -> tuple[int, int, list[int]]:
        """Indexes of the plan's symbol and basis in this run, and its sums [lines, notional, charges, rebates]."""
        key = (plan, grant.grant_id if grant else "")
        entry = self.plans.get(key)
        if entry is None:
            sums = [0, 0, 0, 0]
            self.sums.append((plan, sums))
            symbol = _intern(plan.market.terms, self.symbols, self.symbol_index)
            entry = (symbol, _intern(plan.basis(grant), self.bases, self.basis_index), sums)
            self.plans[key] = entry
        return entry


def _intern(value: Any, values: list[Any], index: dict[Any, int]) -> int:
    place = index.get(value)
    if place is None:
        place = index[value] = len(values)
        values.append(value)
    return place


class Standing(NamedTuple):
    """What of an account matters to a price, between two of its changes."""

    grant: Grant | None
    banned: bool
    past_trial: bool


_NO_STANDING: Final = Standing(None, False, False)


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
        markets = _markets(batch, book)
        for (account_id, day), places in groups.items():
            key = RunKey(account_id, day, batch.venue, batch.source, batch.actor)
            run = self._runs.get(key) or _Run()
            account_day = days[account_id, day]
            new = self._new_places(batch, places, key, account_day, outcome, with_fees)
            before = len(run.lines)
            self._price(batch, new, run, markets, accounts[account_id], outcome, with_fees)
            if len(run.lines) > before:
                account_day.digests.update(hash(line[0]) for line in run.lines[before:])
                outcome.recorded += len(run.lines) - before
                self._runs[key] = run
        outcome.refused.sort(key=lambda entry: entry[0])
        return outcome

    def _new_places(
        self,
        batch: FillBatch,
        places: list[int],
        key: RunKey,
        day: AccountDay,
        outcome: BatchOutcome,
        with_fees: bool,
    ) -> list[int]:
        """Places of fills that are not in the log yet. The others are replays, or conflicts if the content differs."""
        exec_ids = batch.exec_id
        digests = [hash(exec_ids[place]) for place in places]
        if day.digests.isdisjoint(digests) and len(set(digests)) == len(digests):
            return places
        new: list[int] = []
        taken: set[str] = set()
        for place in places:
            exec_id = exec_ids[place]
            known = self._find(key, day, exec_id)
            if known is None and exec_id not in taken:
                new.append(place)
                taken.add(exec_id)
            elif known is None:
                first = next(other for other in new if exec_ids[other] == exec_id)
                self._again(_as_sent(batch, first) == _as_sent(batch, place), place, exec_id, None, outcome)
            else:
                same = _as_recorded(known, batch.product[place]) == _as_sent(batch, place)
                self._again(same, place, exec_id, known if with_fees else None, outcome)
        return new

    @staticmethod
    def _again(same: bool, place: int, exec_id: str, known: KnownLine | None, outcome: BatchOutcome) -> None:
        if not same:
            refusal = Refusal(Reason.FILL_CONFLICT, "exec_id", f"{exec_id} was recorded with other content")
            outcome.refused.append((place, refusal))
            return
        outcome.replayed += 1
        if known is not None:
            outcome.fees[place] = (known.line.fee, known.basis)

    def _find(self, key: RunKey, day: AccountDay, exec_id: str) -> KnownLine | None:
        """The line recorded under this id: out of the log, or out of a run of this commit."""
        if day.known is not None and (found := day.known.get((key.venue, exec_id))) is not None:
            return found
        for open_key, run in self._runs.items():
            if open_key.account_id == key.account_id and open_key.day == key.day and open_key.venue == key.venue:
                for line in map(Line._make, run.lines):
                    if line.exec_id == exec_id:
                        return KnownLine(line, run.symbols[line.symbol_index], run.bases[line.basis_index])
        return None

    def _price(
        self,
        batch: FillBatch,
        places: list[int],
        run: _Run,
        markets: Sequence[Market | Refusal],
        account: AccountState,
        outcome: BatchOutcome,
        with_fees: bool,
    ) -> None:
        """The hot path: one line per fill, its fee decided by the plan of its kind."""
        changes = account.change_instants
        owner = account.owner_id
        carried = batch.carried
        for place in places:
            market = markets[place]
            if isinstance(market, Refusal):
                outcome.refused.append((place, market))
                continue
            terms = market.terms
            price = mantissa(batch.price[place], terms.price_scale)
            quantity = mantissa(batch.quantity[place], terms.quantity_scale)
            if price is None or quantity is None:
                outcome.refused.append((place, _too_fine(terms, price is None)))
                continue
            time_ns = batch.transact_time_ns[place]
            standing = _standing(account, market, time_ns) if changes else _NO_STANDING
            traits = batch.side[place] | batch.liquidity[place] << 2 | batch.channel[place] << 4
            if is_self_trade(batch.owner_id[place] or owner, batch.counterparty_owner_id[place]):
                traits |= TRAIT_SELF_TRADE
            if standing.banned:
                traits |= TRAIT_BANNED
            token, token_price = batch.token[place], batch.token_price[place]
            plan = plan_for(
                market,
                standing.grant,
                traits,
                token=token,
                token_priced=token_price != "",
                past_trial=standing.past_trial,
            )
            symbol_index, basis_index, sums = run.enter(plan, standing.grant)
            notional = price * quantity
            rule = plan.formula
            if token_price and plan.discount_ppm:
                rule = in_token(rule, token_price=exact(token_price, FEE_SCALE), token_price_scale=FEE_SCALE)
            fee = rule.divide((quantity if plan.on_base else notional) * rule.factor, rule.denominator)
            sums[0] += 1
            sums[1] += notional
            sums[2 if fee >= 0 else 3] += fee
            sequence = batch.first_sequence + batch.index[place] if batch.first_sequence else 0
            run.lines.append(
                (
                    batch.exec_id[place],
                    time_ns,
                    symbol_index,
                    traits,
                    price,
                    quantity,
                    fee,
                    basis_index,
                    sequence,
                )
                + carried[place]
            )
            if with_fees:
                outcome.fees[place] = (fee, run.bases[basis_index])

    def close(self, account_id: str, days: Mapping[DayKey, AccountDay]) -> list[tuple[RunKey, VolumeRecorded]]:
        """The events of an account so far: a decision on it comes next."""
        keys = [key for key in self._runs if key.account_id == account_id]
        return [(key, _event(key, self._runs.pop(key), days[key.account_id, key.day])) for key in keys]

    def close_all(self, days: Mapping[DayKey, AccountDay]) -> list[tuple[RunKey, VolumeRecorded]]:
        """All events that are left, in the order in which their runs began."""
        runs, self._runs = self._runs, {}
        return [(key, _event(key, run, days[key.account_id, key.day])) for key, run in runs.items()]


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


def _standing(account: AccountState, market: Market, at_ns: int) -> Standing:
    grant = best_grant(account.grants, market.programme, at_ns)
    past_trial = any(grant.source == "TRIAL" and grant.valid_from_ns <= at_ns for grant in account.grants)
    return Standing(grant, running_ban(account.bans, at_ns) is not None, past_trial)


def _too_fine(terms: SymbolTerms, price: bool) -> Refusal:
    if price:
        detail = f"{terms.symbol} is registered with {terms.price_scale} decimals of price"
        return Refusal(Reason.PRICE_TOO_FINE, "last_px", detail)
    detail = f"{terms.symbol} is registered with {terms.quantity_scale} decimals of quantity"
    return Refusal(Reason.QUANTITY_TOO_FINE, "last_qty", detail)


def _event(key: RunKey, run: _Run, day: AccountDay) -> VolumeRecorded:
    """The run as an event; the totals of the day move on."""
    times = [line[1] for line in run.lines]
    for plan, (lines, notional, charges, rebates) in run.sums:
        terms = plan.market.terms
        cell = day.sums.get(plan.cell)
        if cell is None:
            cell = day.sums[plan.cell] = CellSum()
        cell.lines += lines
        cell.notional += notional * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
        up = 10 ** (FEE_SCALE - plan.fee_decimals)
        cell.add_fees(plan.fee_currency, charges * up, rebates * up, lines)
    day.time_max_so_far_ns = max(day.time_max_so_far_ns, *times)
    return VolumeRecorded(
        venue=key.venue,
        source=key.source,
        time_min_ns=min(times),
        time_max_ns=max(times),
        time_max_so_far_ns=day.time_max_so_far_ns,
        symbols=tuple(run.symbols),
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
