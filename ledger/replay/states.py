"""The states that deciding again needs: those before a position, in memory while they are used, else out of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from ledger.arrays.columns import digests, text_column
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
from ledger.domain.state.volume_cells import CellSums, add_totals
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
from ledger.fills.mend import AccountSpan
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
_IDS_MAX: Final = 3_000_000  # digests of exec_ids in memory, about 100 bytes each


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
        self._accounts: Held[str, AccountState] = Held()
        self._days: Held[DayKey, AccountDay] = Held()
        self._owners: Held[str, list[str]] = Held()  # their accounts
        self._ids = 0
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

    def day(self, key: DayKey) -> AccountDay:
        """Return an account-day."""
        return self.days([key])[key]

    def days(self, keys: Iterable[DayKey]) -> Mapping[DayKey, AccountDay]:
        """Return account-days, those that are not in memory read at once.

        Of one whose events are not given only totals and times are known.
        """
        wanted = list(keys)
        missing = {fee_stream(*key): key for key in wanted if key not in self._days}
        found = {key: AccountDay() for key in missing.values()}
        given = list(filter(self._fed, missing))
        for recorded in self._past(*given):
            self._evolve_day(found[missing[recorded.stream]], recorded)
        for stream in given:
            self._days.hold(missing[stream], found[missing[stream]])
        if others := missing.keys() - given:
            for recorded in self._last_fees(sorted(others), self.next):
                self._go_on(found[missing[recorded.stream]], recorded)
        return {key: found[key] if key in found else self._days[key] for key in wanted}

    def evolve(self, recorded: Recorded) -> None:
        """Take in one more event."""
        kind, name = kind_and_subject(recorded.stream)
        match kind:
            case "account":
                evolved = evolve_account(self.account(name), recorded)
                self._accounts.hold(name, evolved or fold_account(name, [*self.before(recorded.stream), recorded]))
            case "owner":
                if isinstance(recorded.event, AccountLinked):
                    self.accounts_of(name).append(recorded.event.account_id)
            case "fees":
                self._evolve_day(self.day(day_key(recorded.stream)), recorded)
            case "promotions" | "bounty" | "closes" | "evaluation" | "repricing" | "release":
                super().evolve(recorded)
            case "registers" | "programme":
                before = self.book
                super().evolve(recorded)
                self.registered = (recorded, before) if isinstance(recorded.event, SymbolRegistered) else None

    def restore(self, day: AccountDay, event: FeeEvent) -> None:
        """Have a day go on with the recorded totals, whatever was expected; as it was, if these cannot be read."""
        sums: CellSums = {}
        try:
            add_totals(sums, event.totals)
        except UNDECIDABLE:
            return
        day.sums = sums
        day.time_max_so_far_ns = event.time_max_so_far_ns

    def count(self, ids: int) -> None:
        """Count digests of exec_ids that have come to the days in memory."""
        self._ids += ids

    def shrink(self) -> None:
        """Let go of states that were used least recently, where there are too many. None may be in use."""
        went = [held.shrink(_HELD_MAX) for held in (self._accounts, self._owners, self._shared)]
        while len(self._days) > _HELD_MAX or self._ids > _IDS_MAX:
            self._ids -= len(self._days.drop().digests)
            went.append(True)
        self._whole = self._whole and not any(went)

    def _past(self, *streams: str) -> Iterable[Recorded]:
        unknown = [stream for stream in streams if not (self._whole and self._fed(stream))]
        return self.before(*unknown) if unknown else ()

    def _fold_accounts(self, account_ids: Sequence[str]) -> dict[str, AccountState]:
        return fold_accounts(self._past(*map(account_stream, account_ids)), account_ids)

    def _go_on(self, day: AccountDay, recorded: Recorded) -> None:
        assert isinstance(recorded.event, FeeEvent), recorded
        self.restore(day, recorded.event)
        day.append(recorded.position)

    def _evolve_day(self, day: AccountDay, recorded: Recorded) -> None:
        self._go_on(day, recorded)
        if isinstance(recorded.event, VolumeRecorded):
            before = len(day.digests)
            names = text_column(recorded.event.columns.exec_id, len(recorded.event))
            day.digests.update(digests(names).tolist())
            self.count(len(day.digests) - before)
