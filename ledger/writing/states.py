"""The states that the writer holds in memory: read from the log when missing, forgotten when too many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from functools import reduce
from typing import Final

import numpy as np

from ledger import programmes
from ledger.arrays.columns import Ints
from ledger.domain.commands import AccountCommand
from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.decide.daily_close import Closes, evolve_closes, fold_closes
from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.decide.promotion import Promotions, evolve_promotions
from ledger.domain.events import FeeAdjusted, Recorded, SequenceConflict, SourceAdvanced
from ledger.domain.state.account import (
    AccountState,
    SourceState,
    evolve_account,
    evolve_source,
    fold_account,
)
from ledger.domain.state.held import NAME_BYTES, HeldAccounts
from ledger.domain.state.owners import family_of
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import (
    BOUNTY_PREFIX,
    CLOSES_PREFIX,
    PROMOTIONS,
    SOURCE_PREFIX,
    DayKey,
    account_stream,
    bounty_stream,
    closes_stream,
    fee_stream,
    source_stream,
)
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import LineRef, PlacedLine, Restated, adjust, lines_now
from ledger.fills.batch import AccountDays, FillBatch
from ledger.fills.days import DayTable, Suspects
from ledger.fills.known import Known, by_key, known_by_name
from ledger.store.codec.events import decode
from ledger.store.log import FeeDay, KnownRequest, Log
from ledger.store.rows import Rows
from ledger.writing.messages import Ask, Input
from ledger.writing.owners import Owners

_ALL: Final = 2**63 - 1
# Conflicts of a source that are known again when they come again: older ones are recorded once more.
_CONFLICTS, _EVENTS_WITH_CONFLICTS, _SOURCES_WITH_CONFLICTS = 10_000, 100, 16
_SOURCES_MAX: Final = 10_000  # in memory


class States:
    """The states of the rules, accounts, account-days, owners and sources after the last commit of the log.

    `load` and the other loaders read with one query of each kind; `shrink` ends a commit.
    """

    def __init__(self, log: Callable[[], Log], *, day_bytes_max: int, account_bytes_max: int) -> None:
        self._log = log
        self.book = fold_rulebook(programmes.parse, log().rulebook(_ALL))
        self.accounts = HeldAccounts()  # those that have an event
        self._without_event: set[str] = set()
        self.days = DayTable()
        self._account_bytes_max = account_bytes_max
        self._day_bytes_max = day_bytes_max
        self.owners = Owners(log)
        self.sources: dict[str, SourceState] = {}
        self._conflicts: dict[str, set[SequenceConflict]] = {}
        self.requests: dict[str, KnownRequest] = {}
        self._promotions: Promotions | None = None
        self._rounds: dict[str, Round] = {}
        self._closes: dict[str, Closes] = {}
        self._evaluations: dict[str, EvaluationState] = {}
        self._touched: set[str] = set()

    def shrink(self) -> None:
        """Let go of the least recently used beyond the limits."""
        self.accounts.used(self._touched)
        names_bytes = NAME_BYTES * len(self._without_event)
        if 2 * names_bytes > self._account_bytes_max:
            self._without_event.clear()
            names_bytes = 0
        self.accounts.shrink(self._account_bytes_max - names_bytes)
        while len(self.sources) > _SOURCES_MAX:
            del self.sources[next(iter(self.sources))]
        self.days.shrink(self._day_bytes_max)

    def load(self, inputs: Sequence[Input]) -> None:
        """Read which of the requests were recorded, and the accounts of commands, with one query each."""
        asks = [item for item in inputs if isinstance(item, Ask)]
        self.owners.forget()
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
            positions = np.concatenate([day.positions for day in in_log.values()])
            self.days.take_in(np.repeat(places, list(map(len, digests))), np.concatenate(digests), positions)

    def load_batch(self, batch: FillBatch, groups: AccountDays) -> Ints:
        """Have its accounts and their days in memory; returns the places of the account-days."""
        return self._load(batch.accounts, groups.keys)

    def known(
        self, batch: FillBatch, suspects: Suspects, of_this_commit: Rows, next_position: int, with_fees: Ints | None
    ) -> Known:
        """Find suspect fills of a batch in the log and the commit in the making; only runs that have one are read."""
        if not len(suspects.place):
            return Known()
        first = next_position - len(of_this_commit)
        streams = {key: fee_stream(*key) for key in suspects.key}
        places = suspects.place
        since = {(streams[key], place) for key, place in zip(suspects.key, suspects.since, strict=True)}
        making = {stream for stream, place in since if place >= first}
        in_log = [(stream, place) for stream, place in since if place < first]
        found = known_by_name(
            batch, by_key(suspects.key, places), self._runs_since(in_log, making, of_this_commit), with_fees
        )
        missing = [at for at, place in enumerate(places.tolist()) if place not in found.same]
        if missing:  # the digest is that of another id
            keys = [suspects.key[at] for at in missing]
            wanted, names = by_key(keys, places[missing]), {streams[key] for key in keys}
            every = (*self._log().runs_of(names), *_decoded(of_this_commit, names))
            found.update(known_by_name(batch, wanted, every, with_fees))
        self.adjust_known(found, streams.values(), of_this_commit)
        return found

    def runs_of_commits(
        self, in_log: Collection[tuple[str, int]], making: Container[str], of_this_commit: Rows
    ) -> Iterator[Recorded]:
        """Runs of each (fee stream, position) in the commit of that position, and of streams in that in the making."""
        if in_log:
            yield from self._log().runs_of_commits(in_log)
        if making:
            yield from _decoded(of_this_commit, making)

    def conflicts(self, source: str) -> Set[SequenceConflict]:
        """Conflicts of a source that the log has: the latest ones, as many as are looked back to."""
        if source not in self._conflicts:
            while len(self._conflicts) >= _SOURCES_WITH_CONFLICTS:
                self._conflicts.pop(next(iter(self._conflicts)))
            found = set[SequenceConflict]()
            version = self.source(source).conflicts_version
            for _ in range(_EVENTS_WITH_CONFLICTS):
                if not version or len(found) >= _CONFLICTS:
                    break
                event = self._log().version(source_stream(source), version).event
                assert isinstance(event, SourceAdvanced), source
                found.update(event.conflicts)
                version = event.conflicts_before
            self._conflicts[source] = found
        return self._conflicts[source]

    def evolve_source(self, recorded: Recorded) -> None:
        """Take in one more event of `source/<name>`."""
        name = recorded.stream.removeprefix(SOURCE_PREFIX)
        assert isinstance(recorded.event, SourceAdvanced), recorded
        self.sources[name] = evolve_source(self.source(name), recorded)
        if name in self._conflicts:
            if len(self._conflicts[name]) >= _CONFLICTS:
                self._conflicts[name].clear()
            self._conflicts[name].update(recorded.event.conflicts)

    def _runs_since(self, in_log: Sequence[tuple[str, int]], making: Container[str], rows: Rows) -> Iterator[Recorded]:
        if in_log:
            yield from self._log().runs_since(in_log)
        if making:
            yield from _decoded(rows, making)

    def adjust_known(self, found: Known, streams: Iterable[str], of_this_commit: Rows) -> None:
        """Have the fees of lines that were found as they are now; the lines are in some streams."""
        if not found.refs:
            return
        names = set(streams)
        in_making = [each for each in _decoded(of_this_commit, names) if isinstance(each.event, FeeAdjusted)]
        found.adjust([*self._log().adjustments_of(names, min(position for position, _ in found.refs)), *in_making])

    def fee_days(self, streams: Iterable[str], of_this_commit: Rows) -> set[str]:
        """Those of some fee streams that have an event, in the log or in the commit in the making."""
        names = set(streams)
        in_log = self._log().existing(names)
        return in_log | {row.stream for row in of_this_commit.of_streams(names)}

    def lines_now(self, stream: str, of_this_commit: Rows) -> dict[LineRef, PlacedLine]:
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

    def account(self, account_id: str) -> AccountState:
        if account_id not in self.accounts and account_id not in self._without_event:
            self.load_accounts([account_id])
        return self.accounts.get(account_id) or AccountState(account_id)

    def evolve_account(self, recorded: Recorded) -> None:
        """Take in one more event of `account/<id>`."""
        account_id = recorded.stream.removeprefix("account/")
        self.accounts[account_id] = evolve_account(self.account(account_id), recorded)
        self._without_event.discard(account_id)

    def family(self, account: AccountState) -> list[AccountState]:
        """The other accounts that share an owner with one, by id."""
        return family_of(account, self.owners.accounts_of, self._accounts_at_once)

    def _accounts_at_once(self, account_ids: Iterable[str]) -> list[AccountState]:
        names = list(account_ids)
        self.load_accounts(names)
        return [self.account(name) for name in names]

    # What has no event yet is not held: its name may be any that somebody asks with, and is refused.

    def promotions(self) -> Promotions:
        if self._promotions is None:
            self._promotions = reduce(evolve_promotions, self._log().streams([PROMOTIONS], _ALL), Promotions())
        return self._promotions

    def round(self, week: str) -> Round:
        if week in self._rounds:
            return self._rounds[week]
        found = reduce(evolve_round, self._log().streams([bounty_stream(week)], _ALL), Round(week))
        if found.version:
            self._rounds[week] = found
        return found

    def closes(self, asset: str) -> Closes:
        if asset in self._closes:
            return self._closes[asset]
        found = fold_closes(self._log().streams([closes_stream(asset)], _ALL), Closes(asset))
        if found.version:
            self._closes[asset] = found
        return found

    def evolve_closes(self, recorded: Recorded) -> None:
        """Take in one more event of `closes/<asset>`."""
        asset = recorded.stream.removeprefix(CLOSES_PREFIX)
        self._closes[asset] = evolve_closes(self.closes(asset), recorded)

    def evaluation(self, stream: str) -> EvaluationState:
        if stream in self._evaluations:
            return self._evaluations[stream]
        found = reduce(evolve_evaluation, self._log().streams([stream], _ALL), EvaluationState())
        if found.version:
            self._evaluations[stream] = found
        return found

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
        if source in self.sources:
            return self.sources[source]
        last = self._log().last_of(source_stream(source))
        if last is None:
            return SourceState(source)
        found = self.sources[source] = evolve_source(SourceState(source), last)
        return found


def _decoded(rows: Rows, streams: Container[str]) -> list[Recorded]:
    """The events of some streams in the commit in the making, as the log will have them."""
    return [decode(row.position, row.stream, row.version, row.topic, row.state) for row in rows.of_streams(streams)]
