"""The states that the writer holds in memory: read from the log when missing, forgotten when too many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ledger import programmes
from ledger.arrays.columns import Ints
from ledger.domain.commands import AccountCommand, FactCommand, StandingCommand
from ledger.domain.decide.shared_states import SharedStates
from ledger.domain.events import (
    POSITION_MAX,
    CellTotals,
    CreditEvent,
    FeeAdjusted,
    FeeEvent,
    Recorded,
    SequenceConflict,
    SourceAdvanced,
    VolumeRecorded,
)
from ledger.domain.instants import LATEST_NS, day_number, utc_day
from ledger.domain.state.account import (
    AccountState,
    SourceState,
    evolve_account,
    evolve_source,
    fold_account,
)
from ledger.domain.state.held import NAME_BYTES, Held, account_bytes
from ledger.domain.state.owners import family_of
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import (
    DayKey,
    account_of,
    account_stream,
    day_key,
    fee_range,
    fee_stream,
    is_fee_stream,
    kind_and_subject,
    repricing_stream,
    source_stream,
    subject_of,
)
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import adjustments
from ledger.fills.batch import FillBatch
from ledger.fills.days import DayTable, Suspects
from ledger.fills.known import KnownFills, known_by_name, places_by_day
from ledger.fills.mend import LINES_READ_AT_ONCE, AccountSpan, Release
from ledger.fills.standings import HeldStandings, StandingTable
from ledger.fills.targets import Targets
from ledger.store.codec.account_snapshots import Snapshot, of_another, snapshot_of
from ledger.store.codec.events import decode_row
from ledger.store.fee_streams import FeeDay
from ledger.store.log import KnownRequest, Log
from ledger.store.rows import LogRows
from ledger.writing.messages import DecideCommand, Job
from ledger.writing.owners import Owners
from ledger.writing.snapshots import Snapshots

# Conflicts of a source that are known again when they come again: older ones are recorded once more.
_CONFLICTS, _EVENTS_WITH_CONFLICTS, _SOURCES_WITH_CONFLICTS = 10_000, 100, 16
_SOURCES_MAX, _SHARED_MAX = 10_000, 1_000  # in memory
_OF_FEES = _RUNS, _ADJUSTMENTS = "runs", "adjustments"  # of fee streams
_LOOKS_MAX = 20  # in one commit for accounts that trade: each takes some 0.1 ms for each day since the fact

T = TypeVar("T")
_Read = Callable[[Log, Collection[tuple[str, int]]], Iterable[Recorded]]


class States(SharedStates):
    """The states of the rules, accounts, account-days, owners and sources after the last commit of the log.

    `load` and the other loaders read with one query of each kind; `shrink` ends a commit.
    """

    def __init__(
        self,
        log: Callable[[], Log],
        *,
        day_bytes_max: int,
        account_bytes_max: int,
        rules: tuple[Rulebook, Sequence[int]] | None = None,
    ) -> None:
        """`log` waits for the commit in flight, and returns the log.

        `rules` are those of the log, and the positions of the events that made them (default: they are read).
        """
        self._log = log
        book, changed_at = rules or self._read_rules()
        super().__init__(book, self._events_in_log, self.book_at, changed_at)
        self.accounts: Held[str, AccountState] = Held(account_bytes)  # those that have an event
        self._without_event: set[str] = set()
        self._standings = StandingTable()
        self._snapshots = Snapshots(log)
        self.days = DayTable()
        self._days_in_log: set[int] = set()  # UTC days on which some account has an event that the log was asked for
        self._account_bytes_max = account_bytes_max
        self._day_bytes_max = day_bytes_max
        self.owners = Owners(log)
        self.sources: Held[str, SourceState] = Held()
        self._conflicts: Held[str, set[SequenceConflict]] = Held()
        self.requests: dict[str, KnownRequest] = {}
        self._touched: set[str] = set()
        self._moved_on: set[str] = set()  # accounts not in memory that have an event in the commit in the making
        self.releases: dict[int, Release] = {}  # the last one that was restated, by its position
        self._in_log: dict[tuple[str, ...], Any] = {}  # what it has for the commit in the making
        self.making = LogRows()  # the rows of the commit in the making

    @property
    def log(self) -> Log:
        """The log, with all that was decided but for the commit in the making."""
        return self._log()

    def aside(self) -> States:
        """Return other states after the last commit, for a decision of which nothing may stay here.

        Rules and accounts never change in place: those that this commit has loaded are shared. All else is read again.
        """
        found = States(
            self._log,
            day_bytes_max=self._day_bytes_max,
            account_bytes_max=self._account_bytes_max,
            rules=(self.book, self._changed_at),
        )
        found.requests = self.requests
        found.accounts.update((name, self.accounts[name]) for name in self._touched)
        return found

    def shrink(self) -> None:
        """Forget what was used least recently, as much of it as is beyond the limits."""
        self.accounts.used(self._touched)
        names_bytes = NAME_BYTES * len(self._without_event)
        if 2 * names_bytes > self._account_bytes_max:
            self._without_event.clear()
            names_bytes = 0
        bytes_max = self._account_bytes_max - names_bytes
        self._standings.shrink(bytes_max // 2)
        self.accounts.shrink(bytes_max - min(self._standings.nbytes, bytes_max // 2))
        self.sources.shrink(_SOURCES_MAX)
        self._shared.shrink(_SHARED_MAX)
        self.days.shrink(self._day_bytes_max)

    def new_snapshots(self) -> list[Snapshot]:
        """Return the snapshots that the commit in the making stores."""
        return self._snapshots.of_commit(self.accounts)

    def snapshots_damaged(self) -> int:
        """Return how many damaged snapshots this commit has come across."""
        found, self._snapshots.damaged = self._snapshots.damaged, 0
        return found

    def load(self, jobs: Sequence[Job]) -> None:
        """Begin a commit: read which commands were recorded before, and the accounts of commands, one query each."""
        asked = [job for job in jobs if isinstance(job, DecideCommand)]
        self.owners.forget()
        self._touched.clear()
        self._moved_on.clear()
        self._in_log.clear()
        self.requests = {}
        if not asked:
            return
        self.requests = dict(self._log().requests(job.request.request_id for job in asked))
        names = {job.command.account_id for job in asked if isinstance(job.command, StandingCommand | FactCommand)}
        self.load_accounts(job.command.account_id for job in asked if isinstance(job.command, AccountCommand))
        if len(names) > 1:
            self._load_for_late_facts(names)

    def _load_for_late_facts(self, account_ids: Iterable[str]) -> None:
        """Read what every account needs whose fact turns out to be late, by one query for all of them."""
        streams = [make(name) for name in account_ids for make in (account_stream, repricing_stream)]
        found: dict[str, list[Recorded]] = {stream: [] for stream in streams}
        for recorded in self._log().streams(streams, POSITION_MAX):
            found[recorded.stream].append(recorded)
        self._in_log.update((("events", stream), events) for stream, events in found.items())

    def load_accounts(self, account_ids: Iterable[str]) -> None:
        """Have accounts in memory."""
        self._load(account_ids, ())

    def load_days(self, keys: Sequence[DayKey]) -> Ints:
        """Have account-days in memory; return their places."""
        return self._load((), keys)

    def _load(self, account_ids: Iterable[str], keys: Sequence[DayKey]) -> Ints:
        """Have accounts and account-days in memory, the missing ones by one query; return the places of the days."""
        wanted = set(account_ids) - self._without_event
        unknown = [name for name in wanted if name not in self.accounts]
        places = self.days.places(keys)
        left = np.flatnonzero(places < 0)
        missing = [keys[at] for at in left.tolist()]
        unread = self._enter_new(missing)
        if unknown or unread:
            read, days = self._snapshots.read(unknown, unread)
            for name in self._moved_on.intersection(read):
                for recorded in self._in_making(account_stream(name)):
                    read[name] = evolve_account(read[name], recorded) or fold_account(name, self.account_events(name))
            self._without_event |= {name for name, account in read.items() if not account.version}
            self.accounts.update((name, account) for name, account in read.items() if account.version)
            self._enter_days(unread, days)
        if missing:
            places[left] = self.days.places(missing)
        self._touched |= wanted - self._without_event
        return places

    def _enter_new(self, keys: Sequence[DayKey]) -> dict[str, DayKey]:
        """Hold those of some account-days that have no event; return the others, which are to be read, by stream.

        Each account's first fill of a day would cost a look into the log, were it not for the days that have begun
        since this writer began.
        """
        days = {day for _, day in keys if not self.days.has_begun(day)} - self._days_in_log
        if days:
            self._days_in_log |= self._log().days_with_fees(days)
            for day in days - self._days_in_log:
                self.days.begin(day)
        self.days.enter_new(key for key in keys if self.days.has_begun(key[1]))
        return {fee_stream(*key): key for key in keys if not self.days.has_begun(key[1])}

    def _enter_days(self, keys: Mapping[str, DayKey], in_log: Mapping[str, FeeDay]) -> None:
        """Hold account-days, {stream: key}; `in_log` has those that the log has an event of."""
        last = {key: in_log[stream].last if stream in in_log else None for stream, key in keys.items()}
        for recorded in _decoded(self.making, keys):  # adjustments of days that were not in memory
            last[keys[recorded.stream]] = recorded
        self.days.enter({key: AccountDay(last=recorded) for key, recorded in last.items()})
        if in_log:
            digests = [day.digests for day in in_log.values()]
            places = self.days.places([keys[stream] for stream in in_log])
            positions = np.concatenate([day.positions for day in in_log.values()])
            self.days.take_in(np.repeat(places, list(map(len, digests))), np.concatenate(digests), positions)

    def load_batch(self, names: Sequence[str], keys: Sequence[DayKey]) -> tuple[Ints, HeldStandings]:
        """Have the accounts of a batch and account-days in memory; return (places of the days, the accounts)."""
        numbers = self._standings.numbers(names)
        new = np.flatnonzero(numbers < 0)
        new_names = [names[place] for place in new.tolist()]
        places = self._load(new_names, keys)
        if len(new):
            numbers[new] = self._standings.enter(map(self.accounts.get, new_names))
        return places, HeldStandings(self._standings, names, numbers, self._states_of)

    def _states_of(self, account_ids: Iterable[str]) -> Mapping[str, AccountState]:
        return {account.account_id: account for account in self._accounts_at_once(account_ids)}

    def known(
        self, batch: FillBatch, suspects: Suspects, of_this_commit: LogRows, next_position: int, with_fees: Ints | None
    ) -> KnownFills:
        """Find suspect fills of a batch in the log and the commit in the making; only runs that may hold one are read.

        `with_fees` is a boolean array, True for fills whose fees are asked for, or None.
        """
        if not len(suspects.place):
            return KnownFills()
        first = next_position - len(of_this_commit)
        streams = {key: fee_stream(*key) for key in suspects.key}
        places = suspects.place
        since = {(streams[key], place) for key, place in zip(suspects.key, suspects.since, strict=True)}
        making = {stream for stream, place in since if place >= first}
        in_log = [(stream, place) for stream, place in since if place < first]
        runs = self.runs(Log.runs_since, in_log, making, of_this_commit)
        found = known_by_name(batch, places_by_day(suspects.key, places), runs, with_fees)
        missing = [at for at, place in enumerate(places.tolist()) if place not in found.same]
        if missing:  # the digest is that of another id
            keys = [suspects.key[at] for at in missing]
            wanted, names = places_by_day(keys, places[missing]), {streams[key] for key in keys}
            every = (*self._log().with_erasable(self._log().runs_of(names)), *_decoded(of_this_commit, names))
            found.update(known_by_name(batch, wanted, every, with_fees))
        self.adjust_known(found, streams.values(), of_this_commit)
        return found

    def runs(
        self, read: _Read, in_log: Collection[tuple[str, int]], making: Container[str], of_this_commit: LogRows
    ) -> Iterator[Recorded]:
        """Yield the fill runs that `read` finds in the log, and those of streams `making` in the commit in the making.

        `in_log` are pairs (fee stream, position), which mean what `read` says. Runs have what may be erased of them.
        """
        if in_log:
            yield from self._log().with_erasable(read(self._log(), in_log))
        if making:
            yield from _decoded(of_this_commit, making)

    def conflicts(self, source: str) -> Set[SequenceConflict]:
        """Return the latest conflicts of a source that the log has, about `_CONFLICTS` at most."""
        if source not in self._conflicts:
            self._conflicts.shrink(_SOURCES_WITH_CONFLICTS - 1)
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
        name = subject_of(recorded.stream)
        assert isinstance(recorded.event, SourceAdvanced), recorded
        self.sources[name] = evolve_source(self.source(name), recorded)
        if name in self._conflicts:
            if len(self._conflicts[name]) >= _CONFLICTS:
                self._conflicts[name].clear()
            self._conflicts[name].update(recorded.event.conflicts)

    def adjust_known(self, found: KnownFills, streams: Iterable[str], of_this_commit: LogRows) -> None:
        """Bring the fees of lines that were found, all in `streams`, to what they are after all adjustments."""
        if not found.refs:
            return
        names = set(streams)
        in_making = [each for each in _decoded(of_this_commit, names) if isinstance(each.event, FeeAdjusted)]
        found.adjust([*self._log().adjustments_of(names, min(position for position, _ in found.refs)), *in_making])

    def fee_days(self, streams: Iterable[str], of_this_commit: LogRows) -> set[str]:
        """Return those of some fee streams that have an event, in the log or in the commit in the making."""
        names = set(streams)
        in_log = self._log().existing(names)
        return in_log | {row.stream for row in of_this_commit.of_streams(names)}

    def adjust(
        self, key: DayKey, restated: Targets, cause: tuple[str, int], release_position: int, next_position: int
    ) -> Iterator[FeeAdjusted]:
        """Yield the events that restate lines of an account-day, at least one, and move the totals of the day on.

        They will lie in the log from `next_position` on. A day that is not in memory is not read for it: its ids take
        no part.
        """
        if self.days.places([key])[0] >= 0:
            day = self.days.day(key)
            yield from adjustments(day, restated, cause, release_position, next_position)
            self.days.enter({key: day})
        else:
            day = AccountDay(last=self._last_fees(fee_stream(*key)))
            yield from adjustments(day, restated, cause, release_position, next_position)

    def credit(self, key: DayKey, event: CreditEvent, position: int) -> CreditEvent:
        """Return a credit of an account-day, or its withdrawal, as it will lie at a position, and move the day on."""
        self.load_days([key])
        day = self.days.day(key)
        counted = day.credit(event, position)
        self.days.enter({key: day})
        return counted

    def credits_with(self, position: int) -> list[Recorded]:
        """Return the credit at a position, and credits and withdrawals of its account-day after it; none lies there."""
        found = self._log().credits_with(position)
        place = position - self.making[0].position if self.making else -1
        if found:
            stream = found[0].stream
        elif 0 <= place < len(self.making):
            stream = self.making[place].stream
        else:
            return []
        return [*found, *(each for each in self._in_making(stream) if isinstance(each.event, CreditEvent))]

    def account_events(self, account_id: str) -> list[Recorded]:
        """Return the events of an account, in the log and in the commit in the making."""
        stream = account_stream(account_id)
        return [*self._events_in_log(stream), *self._in_making(stream)]

    def _events_in_log(self, stream: str) -> list[Recorded]:
        return self._once(("events", stream), lambda: self._log().streams([stream], POSITION_MAX))

    def fee_lines(self, account_id: str, from_ns: int) -> dict[str, int]:
        """Return how many lines each fee stream of an account has, if any, from the UTC day of an instant on."""
        days = FeeStreamsOf(account_id, utc_day(from_ns))
        span = (account_id, days.first_day, utc_day(LATEST_NS))
        in_log = self._once(
            ("lines", *map(str, span)),
            lambda: {
                fee_stream(account_id, day_number(each.day)): _lines(each.totals)
                for each in self._log().totals_of_account(*span, POSITION_MAX)
            },
        )
        found = dict(in_log)
        for recorded in map(decode_row, self.making.of_account(account_id, days)):
            assert isinstance(recorded.event, FeeEvent), recorded
            found[recorded.stream] = _lines(recorded.event.totals)
        return {stream: lines for stream, lines in found.items() if lines}

    def accounts_trading(self, span: AccountSpan, from_ns: int, before: int, limit: int) -> list[str]:
        """Return accounts of a span that have fills since the UTC day of an instant, recorded before a position."""
        first_day = utc_day(from_ns)
        found = set(self._log().accounts_trading(*span, first_day, before, limit))
        in_making = self.making if self.making and self.making[0].position < before else ()
        for row in in_making:
            if is_fee_stream(row.stream) and row.position < before and day_key(row.stream)[1] >= first_day:
                name = account_of(row.stream)
                if span.after < name and (not span.until or name <= span.until):
                    found.add(name)
        return sorted(found)[:limit]

    def accounts_next(self, after: str, from_ns: int, before: int, count: int) -> tuple[list[str], str]:
        """Return the first accounts after one that have such fills in the log, and up to which account these are all.

        They are at most so many, and few where many others lie between them. Up to "" they are all that there are.
        """
        found = list[str]()
        for _ in range(_LOOKS_MAX):
            some = self._log().accounts_with_fees(after, "", utc_day(from_ns), before, count + 1)
            for name, trades in some:
                if trades and len(found) == count:
                    return found, after
                if trades:
                    found.append(name)
                after = name
            if len(some) <= count:
                return found, ""
        return found, after

    def load_reached(self, account_ids: Sequence[str], from_ns: int) -> None:
        """Read what every account needs that a shared fact is brought to, by one query of each kind for all of them."""
        self.load_accounts(account_ids)
        self._load_for_late_facts(account_ids)
        first_day, last_day = utc_day(from_ns), utc_day(LATEST_NS)
        lines: dict[str, dict[str, int]] = {name: {} for name in account_ids}
        for each in self._log().day_totals_of(account_ids, POSITION_MAX, first_day=first_day):
            lines[each.account_id][fee_stream(each.account_id, day_number(each.day))] = _lines(each.totals)
        self._in_log.update((("lines", name, str(first_day), str(last_day)), found) for name, found in lines.items())

    def load_fees(self, lines: Mapping[str, int]) -> None:
        """Read the runs and adjustments of fee streams that have so many lines each at once, unless they are many."""
        if sum(lines.values()) > LINES_READ_AT_ONCE:
            return
        found: dict[tuple[str, ...], list[Recorded]] = {(kind, name): [] for kind in _OF_FEES for name in lines}
        events = [*self._log().runs_of(lines), *self._log().adjustments_of(lines, 0)]
        for recorded in sorted(events, key=lambda each: each.position):
            kind = _RUNS if isinstance(recorded.event, VolumeRecorded) else _ADJUSTMENTS
            found[kind, recorded.stream].append(recorded)
        self._in_log.update(found)

    def latest_ns(self, stream: str) -> int:
        """Return when the latest line of a fee stream traded; 0: it has none."""
        last = self._last_fees(stream)
        return last.event.time_max_so_far_ns if last and isinstance(last.event, FeeEvent) else 0

    def _last_fees(self, stream: str) -> Recorded | None:
        """Return the last event of a fee stream, in the commit in the making or in the log."""
        making = self._in_making(stream)
        return making[-1] if making else self._once(("last", stream), lambda: self._log().last_of(stream))

    def _once(self, asked: tuple[str, ...], read: Callable[[], T]) -> T:
        """Return what is read of the log, which stays the same until the commit in the making is stored."""
        if asked not in self._in_log:
            self._in_log[asked] = read()
        found: T = self._in_log[asked]
        return found

    def fee_runs(self, stream: str, first: int, end: int, lines: int) -> Iterator[Recorded]:
        """Yield fill runs of a fee stream at positions in [first, end), in the log and in the commit in the making.

        The stream has so many lines: a few are read at once.
        """
        held: Sequence[Recorded] | None = self._in_log.get((_RUNS, stream))
        if held is None:
            yield from self._log().runs_between(stream, first, end, at_once=lines <= LINES_READ_AT_ONCE)
        else:
            yield from (recorded for recorded in held if first <= recorded.position < end)
        for recorded in self._in_making(stream):
            if isinstance(recorded.event, VolumeRecorded) and first <= recorded.position < end:
                yield recorded

    def adjustments(self, stream: str) -> list[Recorded]:
        """Return the adjustments of a fee stream, in the log and in the commit in the making."""
        making = [each for each in self._in_making(stream) if isinstance(each.event, FeeAdjusted)]
        held: Sequence[Recorded] | None = self._in_log.get((_ADJUSTMENTS, stream))
        return [*(self._log().adjustments_of([stream], 0) if held is None else held), *making]

    def _in_making(self, stream: str) -> list[Recorded]:
        """Return the events of a stream of an account that the commit in the making has."""
        return list(map(decode_row, self.making.of_account(account_of(stream), {stream})))

    def recorded_at(self, position: int) -> int:
        """Return when a position was recorded, in ns; 0: the log has not reached it."""
        return self._log().head_at_position(position).recorded_time_ns

    def _read_rules(self) -> tuple[Rulebook, Sequence[int]]:
        events = self._log().rulebook(POSITION_MAX)
        return fold_rulebook(programmes.parse, events), [recorded.position for recorded in events]

    def book_at(self, position: int) -> Rulebook:
        """Return the rules that were known up to a position."""
        return fold_rulebook(programmes.parse, self._log().rulebook(position))

    def account(self, account_id: str) -> AccountState:
        """Return the state of an account; of one without an event, the first state."""
        if account_id not in self.accounts and account_id not in self._without_event:
            self.load_accounts([account_id])
        return self.accounts.get(account_id) or AccountState(account_id)

    def version(self, stream: str) -> int:
        """Return the version of the last event of a stream of decisions; 0: it has none."""
        kind, name = kind_and_subject(stream)
        if kind == "account":
            return self.account(name).version
        return self.owners.version(name) if kind == "owner" else super().version(stream)

    def evolve(self, recorded: Recorded) -> None:
        """Take in one more event of a stream of decisions."""
        kind, name = kind_and_subject(recorded.stream)
        if kind == "account":
            evolved = evolve_account(self.account(name), recorded)
            account = self.accounts[name] = evolved or fold_account(name, self.account_events(name))
            self._snapshots.note(account)
            self._without_event.discard(name)
            self._standings.forget(name)
        elif kind == "owner":
            self.owners.take(recorded)
        else:
            super().evolve(recorded)

    def accounts_read(self, account_ids: Sequence[str], read: Mapping[str, AccountState]) -> dict[str, AccountState]:
        """Return accounts, in the order of their ids, that have an event; they are not put in memory for that.

        `read` are some of them as somebody has read them before, which holds for those that have no event since.
        """
        found: dict[str, AccountState] = {}
        missing = [name for name in account_ids if name not in self.accounts and name not in self._without_event]
        versions = self._log().last_versions_of_accounts(missing[0], missing[-1]) if missing else {}
        unread = list(self._moved_on.intersection(missing))
        for name in versions.keys() & missing:
            if name in read and read[name].version == versions[name]:
                found[name] = read[name]
            else:
                unread.append(name)
        self.load_accounts(unread)
        found.update((name, self.accounts[name]) for name in account_ids if name in self.accounts)
        return found

    def evolve_many(self, account_ids: Sequence[str], accounts: Mapping[str, AccountState], first: Recorded) -> None:
        """Take in an event that each of some accounts has, at positions that follow each other.

        `accounts` are those that have an event. Those that are not in memory are not put there.
        """
        alike: Snapshot | None = None  # of an account for which it is the first event
        for position, name in enumerate(account_ids, first.position):
            account = accounts.get(name)
            version = account.version + 1 if account else 1
            if name in self.accounts or name in self._without_event:
                self.evolve(replace(first, position=position, stream=account_stream(name), version=version))
                continue
            self._standings.forget(name)
            self._moved_on.add(name)
            if self._snapshots.is_due(name, version):
                if alike is None or account:
                    evolved = evolve_account(account or AccountState(name), replace(first, version=version))
                    assert evolved is not None, first
                    snapshot = snapshot_of(evolved)
                else:
                    snapshot = of_another(alike, name)
                alike = alike if account else snapshot
                self._snapshots.add(snapshot)

    def family(self, account: AccountState) -> list[AccountState]:
        """Return the other accounts that share an owner with one, in order of their ids."""
        return family_of(account, self.owners.accounts_of, self._accounts_at_once)

    def _accounts_at_once(self, account_ids: Iterable[str]) -> list[AccountState]:
        names = list(account_ids)
        self.load_accounts(names)
        return [self.account(name) for name in names]

    def source(self, source: str) -> SourceState:
        if source in self.sources:
            return self.sources[source]
        last = self._log().last_of(source_stream(source))
        if last is None:
            return SourceState(source)
        found = self.sources[source] = evolve_source(SourceState(source), last)
        return found


class FeeStreamsOf(Container[str]):
    """The names of an account's fee streams from a UTC day on."""

    def __init__(self, account_id: str, first_day: int) -> None:
        self.first_day = first_day
        self._first, self._end = fee_stream(account_id, first_day), fee_range(account_id)[1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._first <= name < self._end


def _lines(totals: Iterable[CellTotals]) -> int:
    return sum(cell.lines for cell in totals)


def _decoded(rows: LogRows, streams: Container[str]) -> list[Recorded]:
    """Return the events of some streams in the commit in the making, as the log will have them."""
    return list(map(decode_row, rows.of_streams(streams)))
