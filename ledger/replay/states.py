"""The states that deciding again needs: those before a position, in memory while they are used, else out of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from ledger.arrays.columns import Ints, digests, text_column
from ledger.domain.decide.shared_states import SharedStates
from ledger.domain.events import (
    AccountLinked,
    Envelope,
    FeeAdjusted,
    FeeEvent,
    Recorded,
    SymbolRegistered,
    VolumeRecorded,
)
from ledger.domain.instants import utc_day
from ledger.domain.state.account import AccountState, evolve_account, fold_account, fold_accounts
from ledger.domain.state.held import Held
from ledger.domain.state.owners import family_of, linked_accounts
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.state.volume_cells import (
    FEE_SCALE,
    NOTIONAL_SCALE,
    CellSum,
    CellSums,
    add_sums,
    add_totals,
)
from ledger.domain.streams import (
    REGISTERS,
    DayKey,
    account_stream,
    day_key,
    fee_stream,
    kind_and_subject,
    owner_stream,
    programme_stream,
)
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import PlacedLine, lines_now
from ledger.fills.days import DayTable
from ledger.fills.mend import AccountSpan
from ledger.fills.standings import Accounts, HeldStandings, StandingTable
from ledger.replay.back_links import BackLinks
from ledger.replay.compare import UNDECIDABLE

Earlier = Callable[[Sequence[str], int], Iterable[Recorded]]  # the events of streams before a position, in order
# The fee streams of an account from the UTC day of an instant on that have an event before a position.
FeeStreams = Callable[[str, int, int], list[str]]
# The last event before a position of each of some fee streams that has one.
LastFees = Callable[[Sequence[str], int], Iterable[Recorded]]
# The credits and withdrawals before a position of the account-day that has a credit at another one, in order.
CreditsWith = Callable[[int, int], list[Recorded]]

# Accounts after one up to another with fills since a UTC day, recorded before a position: at most so many.
AccountsTrading = Callable[[str, str, int, int, int], list[str]]

_HELD_MAX: Final = 50_000  # states of a kind in memory; those used least recently are folded anew when needed
_DAY_BYTES_MAX: Final = 192_000_000  # of account-days in memory, with the digests of their exec_ids
_STANDING_BYTES_MAX: Final = 96_000_000  # of accounts, and what they hold
_LINES_END: Final = 1 << 40  # that the table of days can count in a cell,
_NOTIONAL_END: Final = 10 ** (50 + NOTIONAL_SCALE)  # and amounts
_FEE_END: Final = 10 ** (50 + FEE_SCALE)


class States(SharedStates):
    """The states before the position `next`. `recorded_at` says when a position before it was recorded,
    `decided_ns` when an event was decided, `back_links` which events of fee streams name the one before them.

    `fed` says whether the events of a stream are given to `evolve`: the states of others are read each time. `whole`:
    no event of those was left out so far, so that one that is not in memory has no event.
    """

    def __init__(
        self,
        parse: Callable[[str], Programme],
        earlier: Earlier,
        *,
        recorded_at: Callable[[int], int],
        decided_ns: Callable[[Envelope], int],
        back_links: BackLinks,
        fee_streams: FeeStreams,
        last_fees: LastFees,
        credits_with: CreditsWith,
        accounts_trading: AccountsTrading,
        fed: Callable[[str], bool] = lambda _: True,
        whole: bool = True,
    ) -> None:
        super().__init__(Rulebook(parse), self._past, self.book_at, evolves=fed)
        self.next = 1
        self.recorded_at = recorded_at
        self.decided_ns = decided_ns
        self.back_links = back_links
        self._fee_streams = fee_streams
        self._last_fees = last_fees
        self._credits_with = credits_with
        self._accounts_trading = accounts_trading
        self._known: tuple[int, Rulebook] | None = None
        self.registered: tuple[Recorded, Rulebook] | None = None  # the last terms of a symbol, and the book before them
        self._earlier = earlier
        self._fed = fed
        self._whole = whole
        self._dropped: set[str] = set()  # kinds of streams of which some state was let go
        self._accounts: Held[str, AccountState] = Held()
        self._standings = StandingTable()
        self.table = DayTable()
        self._beside: dict[int, CellSums] = {}  # by place in the table: totals of days that the table cannot hold
        self._owners: Held[str, list[str]] = Held()  # their accounts
        self._runs: tuple[str, int, list[Recorded]] | None = None  # of a fee stream, before a position

    def is_given(self, account_id: str) -> bool:
        """Return True if the events of an account are given to `evolve`."""
        return self._fed(account_stream(account_id))

    def before(self, *streams: str) -> Iterable[Recorded]:
        """Return the events of streams before the position at hand."""
        return self._earlier(streams, self.next)

    def book_at(self, position: int) -> Rulebook:
        """Return the rules that were known up to a position before `next`; the last ones asked for are remembered."""
        if self._known is None or self._known[0] != position:
            streams = [REGISTERS, *map(programme_stream, self.book.programmes)]
            self._known = (position, fold_rulebook(self.book.parse, self._earlier(streams, position + 1)))
        return self._known[1]

    def account(self, account_id: str) -> AccountState:
        """Return the state of an account."""
        return self.accounts([account_id])[account_id]

    def accounts(self, account_ids: Iterable[str]) -> Mapping[str, AccountState]:
        """Return accounts by id, those that are not in memory read at once."""
        wanted = list(account_ids)
        missing = [name for name in wanted if name not in self._accounts]
        found = self._fold_accounts(missing) if missing else {}
        for name in missing:
            if self.is_given(name):
                self._accounts.hold(name, found[name])
        return {name: found[name] if name in found else self._accounts[name] for name in wanted}

    def account_events(self, account_id: str) -> list[Recorded]:
        """Return the events of an account, in order."""
        return list(self.before(account_stream(account_id)))

    def fee_lines(self, account_id: str, from_ns: int) -> dict[str, int]:
        """Return how many lines each fee stream of an account has, if any, from the UTC day of an instant on."""
        keys = {stream: day_key(stream) for stream in self._fee_streams(account_id, from_ns, self.next)}
        days = self.days(keys.values())
        lines = {stream: sum(cell.lines for cell in days[key].sums.values()) for stream, key in keys.items()}
        return {stream: count for stream, count in lines.items() if count}

    def credits_with(self, position: int) -> list[Recorded]:
        """Return the credits and withdrawals of the account-day that has a credit at a position; none: it has not."""
        return self._credits_with(position, self.next)

    def accounts_trading(self, span: AccountSpan, from_ns: int, before: int, limit: int) -> list[str]:
        """Return accounts of a span that have fills since the UTC day of an instant, recorded before a position."""
        return self._accounts_trading(*span, utc_day(from_ns), before, limit)

    def latest_ns(self, stream: str) -> int:
        """Return when the latest line of a fee stream traded; 0: it has none."""
        return self.day(day_key(stream)).time_max_so_far_ns

    def lines(self, stream: str) -> Iterable[PlacedLine]:
        """Return the lines of a fee stream as they are now."""
        return lines_now(self.before(stream)).values()

    def fee_runs(self, stream: str, first: int, end: int, _: int) -> Iterator[Recorded]:
        """Return the fill runs of a fee stream at positions in [first, end), in order; those up to `end` are held."""
        if self._runs is None or self._runs[:2] != (stream, end):
            runs = [each for each in self.before(stream) if isinstance(each.event, VolumeRecorded)]
            self._runs = (stream, end, [each for each in runs if each.position < end])
        return (each for each in self._runs[2] if each.position >= first)

    def adjustments(self, stream: str) -> list[Recorded]:
        """Return the adjustments of a fee stream, in order."""
        return [each for each in self.before(stream) if isinstance(each.event, FeeAdjusted)]

    def accounts_of(self, owner_id: str) -> list[str]:
        """Return the accounts that are linked to an owner."""
        known = self._owners.get(owner_id)
        if known is None:
            known = linked_accounts(self._past(owner_stream(owner_id)))
        return self._owners.hold(owner_id, known) if self._fed(owner_stream(owner_id)) else known

    def family(self, account: AccountState) -> Sequence[AccountState]:
        """Return the other accounts that share an owner with one, by id."""
        return family_of(account, self.accounts_of, lambda names: self.accounts(names).values())

    def standings(self, account_ids: Sequence[str]) -> Accounts:
        """Return what fills of accounts are priced by: as columns, unless events of one are not given."""
        numbers = self._standings.numbers(account_ids)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            names = [account_ids[place] for place in new.tolist()]
            if not all(map(self.is_given, names)):
                return self.accounts(account_ids)
            accounts = self.accounts(names)
            numbers[new] = self._standings.enter(
                account if account.version else None for account in map(accounts.__getitem__, names)
            )
        return HeldStandings(self._standings, account_ids, numbers, self.accounts)

    def day(self, key: DayKey) -> AccountDay:
        """Return an account-day as it is, but for its digests."""
        return self.days([key])[key]

    def days(self, keys: Iterable[DayKey]) -> Mapping[DayKey, AccountDay]:
        """Return account-days as they are, but for their digests; those that are not in memory are read at once."""
        streams = {fee_stream(*key): key for key in keys}
        given = [key for stream, key in streams.items() if self._fed(stream)]
        self.day_places(given)
        found = dict(zip(given, map(self._day, given), strict=True))
        others = {stream: key for stream, key in streams.items() if key not in found}
        found.update((key, AccountDay()) for key in others.values())
        for recorded in self._last_fees(sorted(others), self.next) if others else ():
            self._go_on(found[others[recorded.stream]], recorded)
        return found

    def day_places(self, keys: Sequence[DayKey]) -> Ints:
        """Return the places of account-days whose events are given in `table`; those that are missing are read."""
        places = self.table.places(keys)
        missing = np.flatnonzero(places < 0)
        if len(missing):
            some = [keys[place] for place in missing.tolist()]
            self._enter({fee_stream(*key): key for key in some})
            places[missing] = self.table.places(some)
        return places

    def _enter(self, streams: Mapping[str, DayKey]) -> None:
        """Hold account-days, by their fee streams, as their events before the position at hand leave them."""
        found = {key: AccountDay() for key in streams.values()}
        ids: list[tuple[DayKey, int, Ints]] = []
        for recorded in self._past(*streams):
            key = streams[recorded.stream]
            self._go_on(found[key], recorded)
            if isinstance(recorded.event, VolumeRecorded):
                ids.append((key, recorded.position, _digests(recorded.event)))
        self._hold(found)
        if ids:
            of_runs, positions, each = zip(*ids, strict=True)
            sizes = list(map(len, each))
            places = np.repeat(self.table.places(of_runs), sizes)
            self.table.take_in(places, np.concatenate(each), np.repeat(positions, sizes))

    def evolve(self, recorded: Recorded) -> None:
        """Take in one more event."""
        kind, name = kind_and_subject(recorded.stream)
        match kind:
            case "account":
                evolved = evolve_account(self.account(name), recorded)
                self._accounts.hold(name, evolved or fold_account(name, [*self.before(recorded.stream), recorded]))
                self._standings.forget(name)
            case "owner":
                if isinstance(recorded.event, AccountLinked):
                    self.accounts_of(name).append(recorded.event.account_id)
            case "fees":
                self._evolve_day(day_key(recorded.stream), recorded)
            case "promotions" | "bounty" | "closes" | "evaluation" | "repricing" | "release":
                super().evolve(recorded)
            case "registers" | "programme":
                before = self.book
                super().evolve(recorded)
                self.registered = (recorded, before) if isinstance(recorded.event, SymbolRegistered) else None

    def shrink(self) -> None:
        """Let go of states that were used least recently, where there are too many. None may be in use."""
        self._note_dropped("account", self._accounts.shrink(_HELD_MAX))
        self._note_dropped("owner", self._owners.shrink(_HELD_MAX))
        self._whole &= not self._shared.shrink(_HELD_MAX)
        self._standings.shrink(_STANDING_BYTES_MAX)
        days = len(self.table)
        self.table.shrink(_DAY_BYTES_MAX)
        if len(self._beside) > _HELD_MAX or (self._beside and len(self.table) < days):
            self.table, self._beside = DayTable(), {}
        self._note_dropped("fees", len(self.table) < days)

    def _note_dropped(self, kind: str, dropped: bool) -> None:
        if dropped:
            self._dropped.add(kind)

    def _past(self, *streams: str) -> Iterable[Recorded]:
        unknown = [stream for stream in streams if not self._was_given(stream)]
        return self.before(*unknown) if unknown else ()

    def _was_given(self, stream: str) -> bool:
        """Return True if all events of a stream were given: if its state is not in memory, it has none."""
        return self._whole and kind_and_subject(stream)[0] not in self._dropped and self._fed(stream)

    def _fold_accounts(self, account_ids: Sequence[str]) -> dict[str, AccountState]:
        return fold_accounts(self._past(*map(account_stream, account_ids)), account_ids)

    def go_on(self, key: DayKey, recorded: Recorded) -> None:
        """Have a day go on with the totals that an event says, whatever was expected."""
        day = self.day(key)
        self._go_on(day, recorded)
        self._hold({key: day})

    def beside(self, places: Ints) -> Ints:
        """Return a boolean array: True for the place of a day of which the log says totals as no decision gives them.

        `table` does not hold these, `day` has them all the same.
        """
        return np.isin(places, list(self._beside)) if self._beside else np.zeros(len(places), dtype=bool)

    def _day(self, key: DayKey) -> AccountDay:
        day = self.table.day(key)
        beside = self._beside.get(int(self.table.places([key])[0]))
        if beside is not None:
            add_sums(day.sums, beside)
        return day

    def _hold(self, days: Mapping[DayKey, AccountDay]) -> None:
        beside: dict[DayKey, CellSums] = {}
        for key, day in days.items():
            if not all(map(_can_be_counted, day.sums.values())):
                beside[key], day.sums = day.sums, {}
        self.table.enter(days)
        if beside or self._beside:
            for key, place in zip(days, self.table.places(list(days)).tolist(), strict=True):
                self._beside.pop(place, None)
                if key in beside:
                    self._beside[place] = beside[key]

    def _go_on(self, day: AccountDay, recorded: Recorded) -> None:
        """Let a day go on from what an event says; its totals stay as they are if these cannot be read."""
        event = recorded.event
        assert isinstance(event, FeeEvent), recorded
        day.append(recorded.position)
        sums: CellSums = {}
        try:
            add_totals(sums, event.totals)
        except UNDECIDABLE:
            return
        day.sums = sums
        day.time_max_so_far_ns = event.time_max_so_far_ns

    def _evolve_day(self, key: DayKey, recorded: Recorded) -> None:
        ids = _digests(recorded.event) if isinstance(recorded.event, VolumeRecorded) else None
        self.go_on(key, recorded)
        if ids is not None:
            self.table.take_in(np.repeat(self.table.places([key]), len(ids)), ids, recorded.position)


def _can_be_counted(cell: CellSum) -> bool:
    """Return True if a table of account-days can hold the sums of a cell: those that lines come to it can."""
    fees = cell.fees.values()
    if not fees or not 0 <= sum(lines for *_, lines in fees) == cell.lines < _LINES_END:
        return False
    return 0 <= cell.notional < _NOTIONAL_END and all(
        lines >= 0 and 0 <= charges < _FEE_END and 0 <= -rebates < _FEE_END for charges, rebates, lines in fees
    )


def _digests(run: VolumeRecorded) -> Ints:
    return digests(text_column(run.columns.exec_id, len(run)))
