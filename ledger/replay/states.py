"""The states that deciding again needs: those before a position, in memory while they are used, else out of the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Final, TypeVar

from ledger.arrays.columns import digests, text_column
from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.decide.daily_close import Closes, evolve_closes
from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.decide.promotion import Promotions, evolve_promotions
from ledger.domain.events import AccountLinked, Envelope, FeeEvent, Recorded, SymbolRegistered, VolumeRecorded
from ledger.domain.state.account import AccountState, evolve_account, fold_account
from ledger.domain.state.owners import family_of, linked_accounts
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook, fold_rulebook
from ledger.domain.state.volume_cells import Sums, add_totals
from ledger.domain.streams import (
    PROMOTIONS,
    REGISTERS,
    DayKey,
    account_stream,
    bounty_stream,
    closes_stream,
    day_key,
    fee_stream,
    owner_stream,
    programme_stream,
)
from ledger.fills.account_day import AccountDay
from ledger.replay.compare import UNDECIDABLE

Earlier = Callable[[Sequence[str], int], Iterable[Recorded]]  # the events of streams before a position, in order

_HELD_MAX: Final = 50_000  # states of a kind in memory; those used least recently are folded anew when needed
_IDS_MAX: Final = 3_000_000  # digests of exec_ids in memory, about 100 bytes each

K = TypeVar("K")
V = TypeVar("V")


class _Held(OrderedDict[K, V]):
    """States in memory, the least recently used first; they can be had from the log again."""

    def hold(self, key: K, state: V) -> V:
        self[key] = state
        self.move_to_end(key)
        return state


class States:
    """The states before the position `next`. `recorded_at` says when a position before it was recorded,
    `decided_ns` when an event was decided.

    `fed` are the accounts whose events are given to `evolve`: of others nothing is held. `whole`: no event was left
    out so far, so that what is not in memory does not exist.
    """

    def __init__(
        self,
        parse: Callable[[str], Programme],
        earlier: Earlier,
        *,
        recorded_at: Callable[[int], int],
        decided_ns: Callable[[Envelope], int],
        fed: Callable[[str], bool] = lambda _: True,
        whole: bool = True,
    ) -> None:
        self.next = 1
        self.recorded_at = recorded_at
        self.decided_ns = decided_ns
        self.book = Rulebook(parse)
        self._known: tuple[int, Rulebook] | None = None
        self.registered: tuple[Recorded, Rulebook] | None = None  # the last terms of a symbol, and the book before them
        self._earlier = earlier
        self._fed = fed
        self._whole = whole
        self._accounts: _Held[str, AccountState] = _Held()
        self._days: _Held[DayKey, AccountDay] = _Held()
        self._owners: _Held[str, list[str]] = _Held()  # their accounts
        self._ids = 0
        self._promotions: Promotions | None = None
        self._rounds: dict[str, Round] = {}
        self._closes: dict[str, Closes] = {}
        self._evaluations: dict[str, EvaluationState] = {}

    def before(self, *streams: str) -> Iterable[Recorded]:
        """The events of streams before the position at hand."""
        return self._earlier(streams, self.next)

    def book_at(self, position: int) -> Rulebook:
        """The rules that were known up to a position before `next`; the last one asked for is remembered."""
        if self._known is None or self._known[0] != position:
            streams = [REGISTERS, *map(programme_stream, self.book.programmes)]
            self._known = (position, fold_rulebook(self.book.parse, self._earlier(streams, position + 1)))
        return self._known[1]

    def account(self, account_id: str) -> AccountState:
        """An account."""
        return self.accounts([account_id])[account_id]

    def accounts(self, account_ids: Iterable[str]) -> Mapping[str, AccountState]:
        """Accounts by id, those that are not in memory read at once."""
        wanted = list(account_ids)
        missing = [name for name in wanted if name not in self._accounts]
        found = self._fold_accounts(missing) if missing else {}
        for name in missing:
            if self._fed(name):
                self._accounts.hold(name, found[name])
        return {name: found[name] if name in found else self._accounts[name] for name in wanted}

    def accounts_of(self, owner_id: str) -> list[str]:
        """The accounts that are linked to an owner."""
        known = self._owners.get(owner_id)
        if known is None:
            known = linked_accounts(self._past(owner_stream(owner_id)))
        return self._owners.hold(owner_id, known)

    def family(self, account: AccountState) -> Sequence[AccountState]:
        """The other accounts that share an owner with one, by id."""
        return family_of(account, self.accounts_of, lambda names: self.accounts(names).values())

    def day(self, key: DayKey) -> AccountDay:
        """An account-day."""
        return self.days([key])[key]

    def days(self, keys: Iterable[DayKey]) -> Mapping[DayKey, AccountDay]:
        """Account-days, those that are not in memory read at once."""
        wanted = list(keys)
        missing = {fee_stream(*key): key for key in wanted if key not in self._days}
        for key in missing.values():
            self._days.hold(key, AccountDay())
        for recorded in self._past(*missing) if missing else ():
            self._evolve_day(missing[recorded.stream], recorded)
        return {key: self._days[key] for key in wanted}

    def round(self, week: str) -> Round:
        """A week of bounties."""
        if week not in self._rounds:
            self._rounds[week] = reduce(evolve_round, self._past(bounty_stream(week)), Round(week))
        return self._rounds[week]

    def promotions(self) -> Promotions:
        """All promotions."""
        if self._promotions is None:
            self._promotions = reduce(evolve_promotions, self._past(PROMOTIONS), Promotions())
        return self._promotions

    def closes(self, asset: str) -> Closes:
        """The closes of an asset."""
        if asset not in self._closes:
            self._closes[asset] = reduce(evolve_closes, self._past(closes_stream(asset)), Closes(asset))
        return self._closes[asset]

    def evaluation(self, stream: str) -> EvaluationState:
        """The runs of an evaluation."""
        if stream not in self._evaluations:
            self._evaluations[stream] = reduce(evolve_evaluation, self._past(stream), EvaluationState())
        return self._evaluations[stream]

    def evolve(self, recorded: Recorded) -> None:
        """Take in one more event."""
        kind, _, name = recorded.stream.partition("/")
        match kind:
            case "account":
                self._accounts.hold(name, evolve_account(self.account(name), recorded))
            case "owner":
                if isinstance(recorded.event, AccountLinked):
                    self.accounts_of(name).append(recorded.event.account_id)
            case "fees":
                key = day_key(recorded.stream)
                self.day(key)
                self._evolve_day(key, recorded)
            case "closes":
                self._closes[name] = evolve_closes(self.closes(name), recorded)
            case "evaluation":
                self._evaluations[recorded.stream] = evolve_evaluation(self.evaluation(recorded.stream), recorded)
            case "bounty":
                self._rounds[name] = evolve_round(self.round(name), recorded)
            case "promotions":
                self._promotions = evolve_promotions(self.promotions(), recorded)
            case "registers" | "programme":
                before, self.book = self.book, evolve_rulebook(self.book, recorded)
                self.registered = (recorded, before) if isinstance(recorded.event, SymbolRegistered) else None

    def restore(self, day: AccountDay, event: FeeEvent) -> None:
        """The day goes on with the totals that the log says, whatever was expected; as it was, if these say nothing."""
        sums: Sums = {}
        try:
            add_totals(sums, event.totals)
        except UNDECIDABLE:
            return
        day.sums = sums
        day.time_max_so_far_ns = event.time_max_so_far_ns

    def count(self, ids: int) -> None:
        """So many digests of exec_ids have come to the days in memory."""
        self._ids += ids

    def shrink(self) -> None:
        """Let go of what was used least recently, where it is too much. No state may be in use."""
        for held in (self._accounts, self._owners):
            while len(held) > _HELD_MAX:
                held.popitem(last=False)
                self._whole = False
        while len(self._days) > _HELD_MAX or self._ids > _IDS_MAX:
            _, day = self._days.popitem(last=False)
            self._ids -= len(day.digests)
            self._whole = False

    def _past(self, *streams: str) -> Iterable[Recorded]:
        return () if self._whole else self.before(*streams)

    def _fold_accounts(self, account_ids: Sequence[str]) -> dict[str, AccountState]:
        unknown = [name for name in account_ids if not (self._whole and self._fed(name))]
        events: list[Recorded] = []
        if unknown:
            events = sorted(self.before(*map(account_stream, unknown)), key=lambda recorded: recorded.stream)
        found = {name: AccountState(name) for name in account_ids}
        for stream, of_one in groupby(events, key=lambda recorded: recorded.stream):
            name = stream.partition("/")[2]
            found[name] = fold_account(name, of_one)
        return found

    def _evolve_day(self, key: DayKey, recorded: Recorded) -> None:
        assert isinstance(recorded.event, FeeEvent), recorded
        day = self._days[key]
        self.restore(day, recorded.event)
        if isinstance(recorded.event, VolumeRecorded):
            before = len(day.digests)
            names = text_column(recorded.event.columns.exec_id, len(recorded.event))
            day.digests.update(digests(names).tolist())
            self.count(len(day.digests) - before)
