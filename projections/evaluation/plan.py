"""What an evaluation gives each account, read at a fixed position of the log, account by account in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier

from ledger import programmes
from ledger.domain.decide.daily_close import Closes, KnownClose, fold_closes
from ledger.domain.decide.evaluation import PERIODIC, Assessment, Case, Run, assess, movement, tier_before
from ledger.domain.events import SourceAdvanced
from ledger.domain.instants import instant_text
from ledger.domain.rules.cumulative_trading_volume import counts_for, event_period
from ledger.domain.rules.end_day_close import Close, Missing
from ledger.domain.rules.evaluation_days import evaluation_window
from ledger.domain.rules.post_trial import post_trial_window
from ledger.domain.state.account import AccountState, Grant, fold_account
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import CLOSES_PREFIX, SOURCE_PREFIX, account_stream, closes_stream
from ledger.store.log import Log
from projections.evaluation.volumes import Cells, Volumes
from projections.tables.tables import read_schema

ACCOUNTS_PER_CHUNK: Final = 1_000  # read at once, and evaluated in one commit
BLOCKED: Final = "BLOCKED"  # beside the movements of a tier: a close is missing

_ALL: Final = "SELECT account_id FROM {read}.accounts"
_TRIALS: Final = """
SELECT DISTINCT account_id FROM {read}.trials
WHERE programme_id = %(programme)s AND ends_ns <= %(instant)s
    AND (evaluated_position IS NULL OR evaluated_position > %(known)s)
"""
_COUNT: Final = "SELECT count(*) FROM ({{accounts}}) AS found"
_PAGE: Final = """
SELECT account_id FROM ({{accounts}}) AS found WHERE account_id > %(after)s ORDER BY account_id LIMIT %(limit)s
"""
_CHILDREN: Final = """
SELECT parent_account_id, account_id FROM {read}.accounts WHERE parent_account_id = ANY(%(accounts)s)
ORDER BY parent_account_id, account_id
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """What an evaluation gives one account: an assessment, or the closes it waits for."""

    case: Case
    tier_before: str
    movement: str
    found: Assessment | Missing
    cells: Cells


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some accounts with something to evaluate; `looked_at` counts all of which the next chunk is behind."""

    planned: list[Planned]
    looked_at: int


class Plan:
    """An evaluation as it was known at a position: the same however often it is asked."""

    def __init__(self, log: Log, schema: str, *, programme_id: str, kind: str, instant_ns: int, known: int) -> None:
        book = fold_rulebook(programmes.parse, log.rulebook(known))
        programme = book.programme(programme_id, instant_ns)
        assert isinstance(programme, Programme), programme
        self.run = Run(programme, kind, known)
        self._log = log
        self._read = Identifier(read_schema(schema))
        self._instant_ns = instant_ns
        self._closes = known_closes(log, programme, known)
        self._volumes = Volumes(log, schema, currency=programme.volume_currency, known=known)

    def accounts(self) -> int:
        """How many accounts are to be looked at, about: others may come while it goes on."""
        return int(self._log.query(self._candidates(_COUNT), self._parameters())[0][0])

    def chunks(self, size: int = ACCOUNTS_PER_CHUNK) -> Iterator[Chunk]:
        """All accounts in the order of their ids, so many at once."""
        after, looked_at = "", 0
        while True:
            rows = self._log.query(self._candidates(_PAGE), {**self._parameters(), "after": after, "limit": size})
            ids = [row[0] for row in rows]
            if not ids:
                return
            looked_at += len(ids)
            yield Chunk(self._planned(ids), looked_at)
            after = ids[-1]

    def _planned(self, ids: Sequence[str]) -> list[Planned]:
        states = self._states(ids)
        cases = [case for account_id in ids for case in self._cases(states[account_id])]
        volumes = self._volumes.of(cases, self._members(ids))
        planned = (self._plan(states[case.account_id], case, cells) for case, cells in zip(cases, volumes, strict=True))
        return [one for one in planned if one is not None]

    def _states(self, ids: Sequence[str]) -> dict[str, AccountState]:
        """Accounts as they were known; of most there is nothing but fills."""
        known = self.run.read_position
        if self.run.kind == PERIODIC:
            stream = self._log.accounts_between(ids[0], ids[-1], known)
        else:
            stream = sorted(self._log.streams(map(account_stream, ids), known), key=lambda recorded: recorded.stream)
        states = {account_id: AccountState(account_id) for account_id in ids}
        for name, events in groupby(stream, key=lambda recorded: recorded.stream):
            account_id = name.removeprefix("account/")
            states[account_id] = fold_account(account_id, events)
        return states

    def _cases(self, account: AccountState) -> Iterator[Case]:
        """What is to be evaluated of an account: nothing of one that counts for another, or that has been evaluated."""
        programme, kind = self.run.programme, self.run.kind
        if counts_for(account, programme) != account.account_id:
            return
        for at_ns, window in self._windows(account):
            if (programme.programme_id, kind, at_ns) not in account.evaluated:
                yield Case(account.account_id, at_ns, event_period(programme, window))

    def _windows(self, account: AccountState) -> Iterator[tuple[int, tuple[int, int]]]:
        """(instant, window) of each evaluation of an account."""
        programme = self.run.programme
        if self.run.kind == PERIODIC:
            yield self._instant_ns, evaluation_window(programme, self._instant_ns)
            return
        for grant in trials_ended(account, programme, self._instant_ns):
            yield grant.ends_at_ns, post_trial_window(grant)

    def _members(self, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The sub-accounts whose volume counts for an account."""
        if not self.run.programme.aggregate_subaccounts:
            return {}
        rows = self._log.query(self._sql(_CHILDREN), {"accounts": list(ids)})
        return {parent: [child for _, child in group] for parent, group in groupby(rows, key=lambda row: row[0])}

    def _plan(self, account: AccountState, case: Case, cells: Cells) -> Planned | None:
        """None: the account has no volume, and no tier that could be kept or lost."""
        programme = self.run.programme
        before = tier_before(account, programme, case.evaluated_ns)
        if not cells and not programme.rank(before):
            return None
        found = assess(programme, case, cells, self._closes)
        moves = BLOCKED if isinstance(found, Missing) else movement(programme, before, found.tier)
        return Planned(case, before, moves, found, cells)

    def _parameters(self) -> dict[str, Any]:
        run = self.run
        return {"programme": run.programme.programme_id, "instant": self._instant_ns, "known": run.read_position}

    def _candidates(self, text: str) -> Composed:
        """A statement over the accounts that may have something to evaluate."""
        return self._sql(text.replace("{{accounts}}", _ALL if self.run.kind == PERIODIC else _TRIALS))

    def _sql(self, text: str) -> Composed:
        return SQL(text).format(read=self._read)


def trials_ended(account: AccountState, programme: Programme, by_ns: int) -> Iterator[Grant]:
    """Trials of an account that had a time, and are over at an instant."""
    for grant in account.grants:
        ours = grant.source == "TRIAL" and grant.programme_id == programme.programme_id
        if ours and grant.valid_from_ns < grant.ends_at_ns <= by_ns:
            yield grant


def known_closes(
    log: Log, programme: Programme, known: int, assets: Collection[str] | None = None
) -> dict[Close, KnownClose]:
    """Closes in force in the programme's volume currency, by (asset, UTC day): of some assets, or of all."""
    found: dict[Close, KnownClose] = {}
    if assets is None:
        events = log.below(CLOSES_PREFIX, known)
    else:
        events = log.streams(map(closes_stream, assets), known) if assets else []
    events.sort(key=lambda recorded: recorded.stream)  # each stream keeps its order
    for stream, closes in groupby(events, key=lambda recorded: recorded.stream):
        asset = stream.removeprefix(CLOSES_PREFIX)
        for (currency, day), close in fold_closes(closes, Closes(asset)).in_force.items():
            if currency == programme.volume_currency:
                found[asset, day] = close
    return found


def waiting_for(
    log: Log, programme: Programme, instant_ns: int, *, known: int, complete: Sequence[str] = ()
) -> list[str]:
    """Which sources may still send fills from before an instant, a line each.

    One that has sent nothing since the window of an evaluation began is taken to have ended.
    """
    begins_ns, _ = evaluation_window(programme, instant_ns)
    lines = []
    for source, latest_ns in _sources(log, known):
        if source in complete or latest_ns >= instant_ns or 0 < latest_ns < begins_ns:
            continue
        sent = f"has sent fills up to {instant_text(latest_ns)}" if latest_ns else "has not said how far it is"
        lines.append(f"source {source} {sent}")
    return lines


def passed_by_all(log: Log, programme: Programme, now_ns: int, *, known: int, complete: Sequence[str] = ()) -> int:
    """The latest instant before which no source may still send fills."""
    begins_ns, _ = evaluation_window(programme, now_ns)
    reached = (latest_ns for source, latest_ns in _sources(log, known) if source not in complete)
    return min(latest_ns for latest_ns in (now_ns, *reached) if latest_ns == 0 or latest_ns >= begins_ns)


def _sources(log: Log, known: int) -> Iterator[tuple[str, int]]:
    """Each source, and the latest time of a fill it has sent."""
    for recorded in log.last_below(SOURCE_PREFIX, known):
        assert isinstance(recorded.event, SourceAdvanced), recorded
        yield recorded.stream.removeprefix(SOURCE_PREFIX), recorded.event.latest_time_ns
