"""The states that the writer holds in memory: read from the log when missing, forgotten when too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import reduce
from typing import Final, TypeVar

import numpy as np

from ledger import programmes
from ledger.arrays.columns import Ints
from ledger.domain.commands import AccountCommand
from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.decide.daily_close import Closes, evolve_closes, fold_closes
from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.decide.promotion import Promotions, evolve_promotions
from ledger.domain.events import FeeAdjusted, FeeEvent, KnownLine, Recorded
from ledger.domain.instants import DAY_NS, day_number
from ledger.domain.state.account import (
    AccountState,
    OwnerState,
    SourceState,
    evolve_account,
    evolve_owner,
    evolve_source,
    fold_account,
)
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import (
    BOUNTY_PREFIX,
    CLOSES_PREFIX,
    PROMOTIONS,
    DayKey,
    account_stream,
    bounty_stream,
    closes_stream,
    fee_stream,
    owner_stream,
    source_stream,
)
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import LineRef, PlacedLine, Restated, adjust, lines_now
from ledger.fills.batch import AccountDays, FillBatch
from ledger.fills.days import DayTable
from ledger.fills.runs import Runs
from ledger.store.codec.events import decode
from ledger.store.log import FeeDay, KnownRequest, Log
from ledger.store.rows import Row
from ledger.writing.messages import Ask, Input

_ALL: Final = 2**63 - 1

K = TypeVar("K")
V = TypeVar("V")


class _Lru(OrderedDict[K, V]):
    """States in memory, least recently used first."""

    def used(self, keys: Iterable[K]) -> None:
        """Move those that were just used to the end."""
        for key in keys:
            self.move_to_end(key)


class States:
    """What is known of the rules, accounts, account-days, owners and sources after the last commit of the log.

    `load` and the other loaders read with one query of each kind; `shrink` ends a commit.
    """

    def __init__(self, log: Callable[[], Log], *, day_bytes_max: int, accounts_max: int) -> None:
        self._log = log
        self.book = fold_rulebook(programmes.parse, log().rulebook(_ALL))
        self.accounts: _Lru[str, AccountState] = _Lru()  # those that have an event
        self._without_event: set[str] = set()
        self.days = DayTable()
        self._accounts_max = accounts_max
        self._day_bytes_max = day_bytes_max
        self.owners: dict[str, OwnerState] = {}
        self.sources: dict[str, SourceState] = {}
        self.requests: dict[str, KnownRequest] = {}
        self._promotions: Promotions | None = None
        self._rounds: dict[str, Round] = {}
        self._closes: dict[str, Closes] = {}
        self._evaluations: dict[str, EvaluationState] = {}
        self._touched: set[str] = set()

    def shrink(self) -> None:
        """Let go of the lines that were looked at, and of the least recently used beyond the limits."""
        self.accounts.used(self._touched)
        while len(self.accounts) > self._accounts_max:
            self.accounts.popitem(last=False)
        if len(self._without_event) > self._accounts_max:
            self._without_event.clear()
        self.days.shrink(self._day_bytes_max)

    def load(self, inputs: Sequence[Input]) -> None:
        """Read which of the requests were recorded, and the accounts of commands, with one query each."""
        asks = [item for item in inputs if isinstance(item, Ask)]
        self.owners.clear()
        self._touched.clear()
        self.requests = {}
        if not asks:
            return
        self.requests = dict(self._log().requests(ask.request.request_id for ask in asks))
        self.load_accounts(ask.command.account_id for ask in asks if isinstance(ask.command, AccountCommand))

    def load_accounts(self, account_ids: Iterable[str]) -> None:
        """Have accounts in memory."""
        self._load(account_ids, ())

    def _load(self, account_ids: Iterable[str], keys: Sequence[DayKey]) -> Ints:
        """Have accounts and account-days in memory, reading those that are not with one query; the days' places."""
        wanted = set(account_ids) - self._without_event
        unknown = {account_stream(name): name for name in wanted if name not in self.accounts}
        places = self.days.places(keys)
        missing = {fee_stream(*keys[at]): keys[at] for at in (places < 0).nonzero()[0].tolist()}
        if unknown or missing:
            events, days = self._log().accounts_and_days(unknown, missing)
            self._fold_accounts(unknown, events)
            self._enter_days(missing, days)
            places = self.days.places(keys)
        self._touched |= wanted - self._without_event
        return places

    def _fold_accounts(self, names: Mapping[str, str], events: Iterable[Recorded]) -> None:
        """Have accounts by stream, all of whose events these are."""
        streams: dict[str, list[Recorded]] = {stream: [] for stream in names}
        for recorded in events:
            streams[recorded.stream].append(recorded)
        for stream, of_account in streams.items():
            if of_account:
                self.accounts[names[stream]] = fold_account(names[stream], of_account)
            else:
                self._without_event.add(names[stream])

    def _enter_days(self, keys: Mapping[str, DayKey], in_log: Mapping[str, FeeDay]) -> None:
        """Hold account-days by stream, of which these are in the log."""
        last = {key: in_log[stream].last if stream in in_log else None for stream, key in keys.items()}
        self.days.enter({key: AccountDay(last=event) for key, event in last.items()})
        if in_log:
            digests = [day.digests for day in in_log.values()]
            places = self.days.places([keys[stream] for stream in in_log])
            self.days.take_in(np.repeat(places, list(map(len, digests))), np.concatenate(digests))

    def load_batch(self, batch: FillBatch, groups: AccountDays, of_this_commit: Sequence[Row]) -> Ints:
        """Have its accounts and their days in memory; where an exec_id may have been recorded, the lines of a day too.

        Returns the places of the account-days.
        """
        places = self._load(batch.accounts, groups.keys)
        keys = {fee_stream(*key): key for key in self.days.suspects(batch, groups, places)}
        if not keys:
            return places
        in_log = self._log().streams(keys, _ALL)
        for recorded in (*in_log, *_decoded(of_this_commit, keys)):
            assert isinstance(recorded.event, FeeEvent)
            self.days.remember(keys[recorded.stream], recorded.event)
        return places

    def remember(self, runs: Runs) -> None:
        """Have the lines of runs that were just decided at hand too, where those before them are."""
        for at, key in enumerate(runs.keys) if self.days.known else ():
            if key in self.days.known:
                self.days.remember(key, runs[at][1])

    def fee_days(self, streams: Iterable[str], of_this_commit: Sequence[Row]) -> set[str]:
        """Those of some fee streams that have an event, in the log or in the commit in the making."""
        names = set(streams)
        in_log = self._log().existing(names)
        return in_log | {row.stream for row in of_this_commit if row.stream in names}

    def lines_now(self, stream: str, of_this_commit: Sequence[Row]) -> dict[LineRef, PlacedLine]:
        """The lines of a fee stream, in the log and in the commit in the making, with their fees as they are now."""
        in_log = self._log().streams([stream], _ALL)
        return lines_now([*in_log, *_decoded(of_this_commit, {stream})])

    def adjust(self, key: DayKey, restated: Sequence[Restated], cause_position: int) -> FeeAdjusted:
        """The event of an account-day with at least one line to adjust; its totals move on."""
        self._load((), [key])
        day = self.days.day(key)
        event = adjust(day, restated, cause_position)
        self.days.enter({key: day})
        return event

    def evolve_day(self, recorded: Recorded) -> None:
        """Take in an adjustment where the lines of its account-day are at hand; its totals have moved on."""
        _, account_id, day = recorded.stream.split("/")
        assert isinstance(recorded.event, FeeAdjusted), recorded
        if (key := (account_id, day_number(day))) in self.days.known:
            self.days.remember(key, recorded.event)

    def known_line(self, batch: FillBatch, place: int) -> KnownLine | None:
        """The line recorded under the name of a fill whose day is at hand; lines of a suspect day are known."""
        key = (batch.accounts[batch.account[place]], int(batch.transact_time_ns[place]) // DAY_NS)
        return self.days.known.get(key, {}).get((batch.venue, batch.name(place)))

    def account(self, account_id: str) -> AccountState:
        if account_id not in self.accounts:
            self.load_accounts([account_id])
        return self.accounts.get(account_id) or AccountState(account_id)

    def evolve_account(self, recorded: Recorded) -> None:
        """Take in one more event of `account/<id>`."""
        account_id = recorded.stream.removeprefix("account/")
        self.accounts[account_id] = evolve_account(self.account(account_id), recorded)
        self._without_event.discard(account_id)

    def owner(self, owner_id: str) -> OwnerState:
        if owner_id not in self.owners:
            state = OwnerState(owner_id)
            for recorded in self._log().streams([owner_stream(owner_id)], _ALL):
                state = evolve_owner(state, recorded)
            self.owners[owner_id] = state
        return self.owners[owner_id]

    def promotions(self) -> Promotions:
        if self._promotions is None:
            self._promotions = reduce(evolve_promotions, self._log().streams([PROMOTIONS], _ALL), Promotions())
        return self._promotions

    def round(self, week: str) -> Round:
        if week not in self._rounds:
            self._rounds[week] = reduce(evolve_round, self._log().streams([bounty_stream(week)], _ALL), Round(week))
        return self._rounds[week]

    def closes(self, asset: str) -> Closes:
        if asset not in self._closes:
            self._closes[asset] = fold_closes(self._log().streams([closes_stream(asset)], _ALL), Closes(asset))
        return self._closes[asset]

    def evolve_closes(self, recorded: Recorded) -> None:
        """Take in one more event of `closes/<asset>`."""
        asset = recorded.stream.removeprefix(CLOSES_PREFIX)
        self._closes[asset] = evolve_closes(self.closes(asset), recorded)

    def evaluation(self, stream: str) -> EvaluationState:
        if stream not in self._evaluations:
            stream_so_far = self._log().streams([stream], _ALL)
            self._evaluations[stream] = reduce(evolve_evaluation, stream_so_far, EvaluationState())
        return self._evaluations[stream]

    def evolve_evaluation(self, recorded: Recorded) -> None:
        """Take in one more event of `evaluation/<programme>/<instant>`."""
        self._evaluations[recorded.stream] = evolve_evaluation(self.evaluation(recorded.stream), recorded)

    def rewards_version(self, stream: str) -> int:
        """Version of the last event of `promotions` or `bounty/<week>`."""
        state = self.promotions() if stream == PROMOTIONS else self.round(stream.removeprefix(BOUNTY_PREFIX))
        return state.version

    def evolve_rewards(self, recorded: Recorded) -> None:
        """Take in one more event of these streams."""
        if recorded.stream == PROMOTIONS:
            self._promotions = evolve_promotions(self.promotions(), recorded)
        else:
            week = recorded.stream.removeprefix(BOUNTY_PREFIX)
            self._rounds[week] = evolve_round(self.round(week), recorded)

    def source(self, source: str) -> SourceState:
        if source not in self.sources:
            state = SourceState(source)
            last = self._log().last_of(source_stream(source))
            self.sources[source] = state if last is None else evolve_source(state, last)
        return self.sources[source]


def _decoded(rows: Iterable[Row], streams: Container[str]) -> list[Recorded]:
    """The events of some streams in the commit in the making, as the log will have them."""
    return [
        decode(row.position, row.stream, row.version, row.topic, row.state) for row in rows if row.stream in streams
    ]
