"""The plan of an evaluation: what it gives each account, read at a fixed position of the log, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from heapq import merge
from itertools import groupby
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier

from ledger import programmes
from ledger.domain.decide.daily_close import Closes, KnownClose, fold_closes
from ledger.domain.decide.evaluation import (
    NO_TIME,
    AssessedAlike,
    Assessment,
    Case,
    EvaluationRun,
    assess,
    assess_alike,
    movement,
    tier_before,
    trials_to_evaluate,
)
from ledger.domain.events import PERIODIC, POST_TRIAL
from ledger.domain.rules.cumulative_trading_volume import counts_for, event_period
from ledger.domain.rules.end_day_close import Close, Missing
from ledger.domain.rules.evaluation_days import evaluation_window
from ledger.domain.rules.post_trial import post_trial_window
from ledger.domain.state.account import AccountState, fold_accounts
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.domain.streams import CLOSES_PREFIX, account_stream, closes_stream, subject_of
from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS
from ledger.store.reads import KEYS
from projections.evaluation.volumes import Alike, Cells, Volumes, cuts_a_day
from projections.tables.tables import read_schema

ACCOUNTS_PER_CHUNK: Final = 5_000  # read at once, and evaluated in one commit
BLOCKED: Final = "BLOCKED"  # beside the movements of a tier: a close is missing

_ALL: Final = "SELECT account_id FROM {read}.accounts"
# The tables may be ahead of the position: accounts of which the log heard in (after, until], for an `after` that is not
# before the position, are none of the plan's unless it had heard of them before.
_LATER: Final = """
SELECT DISTINCT {account} FROM {events} WHERE notification_id > %(after)s AND notification_id <= %(until)s
    AND (originator_id LIKE 'account/%%' OR {fees})
    AND topic <> ALL ('{{VolumeEvaluated,FactReleased,FactWithheld,FeeAdjusted}}') -- a run's own
"""
_TRIALS: Final = """
SELECT DISTINCT account_id FROM {read}.trials
WHERE programme_id = %(programme)s AND ends_ns <= %(instant)s
    AND (evaluated_position IS NULL OR evaluated_position > %(known)s)
"""
_COUNT: Final = "SELECT count(*), (SELECT position FROM {read}.position) FROM {read}.accounts"
_PAGE: Final = """
SELECT account_id FROM ({{accounts}}) AS found WHERE account_id > %(after)s ORDER BY account_id LIMIT %(limit)s
"""
_CHILDREN: Final = """
SELECT parent_account_id, account_id FROM {read}.accounts WHERE parent_account_id = ANY(%(accounts)s)
ORDER BY parent_account_id, account_id
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """The outcome of an evaluation for one account: an assessment, or the closes it waits for.

    The programme of `run` is the version in force at the instant of the case.
    """

    run: EvaluationRun
    case: Case
    tier_before: str
    movement: str
    found: Assessment | Missing
    cells: Cells


@dataclass(frozen=True, slots=True)
class PlannedAlike:
    """The outcomes for accounts that are alike but for their amounts, as columns."""

    run: EvaluationRun
    found: AssessedAlike
    tiers_before: Sequence[str]
    movements: Sequence[str]

    def __iter__(self) -> Iterator[Planned]:
        for found, notionals, before, moves in zip(
            self.found, self.found.notionals, self.tiers_before, self.movements, strict=True
        ):
            cells = zip(self.found.cells, notionals, strict=True)
            volume = {key: exact(notional, NOTIONAL_SCALE) for key, notional in cells}
            yield Planned(self.run, found.case, before, moves, found, {NO_TIME: volume} if volume else {})


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some accounts with something to evaluate; `looked_at` counts all accounts up to the next chunk.

    `states` are what those that are alike were, as far as they have an event.
    """

    looked_at: int
    others: Sequence[Planned] = ()
    alike: Sequence[PlannedAlike] = ()
    states: Mapping[str, AccountState] = field(default_factory=dict)

    @property
    def planned(self) -> Iterator[Planned]:
        """Yield the outcomes for all of the accounts, in the order of their ids."""
        return merge(self.others, *self.alike, key=_place)


class EvaluationPlan:
    """An evaluation as it was known at a position: the same however often it is asked."""

    def __init__(self, log: Log, schema: str, *, programme_id: str, kind: str, instant_ns: int, known: int) -> None:
        self._book = fold_rulebook(programmes.parse, log.rulebook(known))
        self._programme_id = programme_id
        self.run = EvaluationRun(self._programme(instant_ns), kind, known)
        self._log = log
        self._schema = schema
        self._names = {"read": Identifier(read_schema(schema)), "events": Identifier(schema, EVENTS), **KEYS}
        self._instant_ns = instant_ns
        self._later: set[str] = set()
        self._looked_until = known
        self._closes: dict[str, dict[Close, KnownClose]] = {}  # by the currency that they are in

    def accounts(self) -> int:
        """Return how many accounts are to be looked at."""
        if self.run.kind == PERIODIC:
            count, position = self._log.query(self._sql(_COUNT), {})[0]
            return int(count) - len(self._later_until(position))
        return sum(len(self._with_trials(ids)) for ids in self._pages(ACCOUNTS_PER_CHUNK))

    def chunks(self, size: int = ACCOUNTS_PER_CHUNK) -> Iterator[Chunk]:
        """Yield all accounts in the order of their ids, so many at once."""
        looked_at = 0
        for ids in self._pages(size):
            if self.run.kind == PERIODIC:
                later = self._later_until(self._log.head().position)
                known = [account_id for account_id in ids if account_id not in later]
                looked_at += len(known)
                yield self._periodic(known, looked_at)
            else:
                states = self._with_trials(ids)
                looked_at += len(states)
                yield Chunk(looked_at, self._planned(states))

    def _pages(self, size: int) -> Iterator[list[str]]:
        after = ""
        while True:
            rows = self._log.query(self._candidates(_PAGE), {**self._parameters(), "after": after, "limit": size})
            ids = [row[0] for row in rows]
            if not ids:
                return
            yield ids
            after = ids[-1]

    def _with_trials(self, ids: Sequence[str]) -> dict[str, AccountState]:
        """Return those of some accounts with a trial to evaluate, whatever became of it."""
        states = self._states(ids)
        return {account_id: state for account_id, state in states.items() if any(self._cases(state))}

    def _periodic(self, ids: Sequence[str], looked_at: int) -> Chunk:
        """Return what an evaluation of volume gives accounts that follow each other.

        Most are alike but for their amounts. The others are decided one by one: their volume needs a close, a part of a
        day or another account's. Whoever has no volume, and no tier that could be kept or lost, gets nothing.
        """
        if not ids:
            return Chunk(looked_at)
        run, programme = self.run, self.run.programme
        case = Case("", self._instant_ns, event_period(programme, evaluation_window(programme, self._instant_ns)))
        states = fold_accounts(self._log.accounts_between(ids[0], ids[-1], run.read_position), ())
        if cuts_a_day(case.window):
            return Chunk(looked_at, self._planned(_with_blanks(states, ids)))
        many, others = self._volumes(programme).of_many(ids[0], ids[-1], case.window)
        others.intersection_update(ids)  # of accounts that were heard of later all volume is later
        others.update(self._members(programme, ids))
        due = {name: state for name, state in states.items() if any(self._cases(state))}
        left_out = states.keys() - due.keys()
        before = {name: tier_before(state, programme, case.evaluated_ns) for name, state in due.items()}
        with_volume = others.union(*(each.account_ids for each in many))
        idle = sorted(name for name, tier in before.items() if programme.rank(tier) and name not in with_volume)
        many.append(Alike((), idle, [()] * len(idle)))
        alike = [self._alike(case, each, before, others | left_out) for each in many]
        return Chunk(looked_at, self._planned(_with_blanks(states, others - left_out)), alike, states)

    def _alike(self, case: Case, many: Alike, before: Mapping[str, str], without: Set[str]) -> PlannedAlike:
        """Decide what accounts are given that have volume in the same cells, but for some.

        `before` are the tiers that they had; the others had none.
        """
        programme = self.run.programme
        account_ids, notionals = many.account_ids, many.notionals
        if not without.isdisjoint(account_ids):
            kept = [place for place, name in enumerate(account_ids) if name not in without]
            account_ids, notionals = [account_ids[place] for place in kept], [notionals[place] for place in kept]
        found = assess_alike(programme, case, many.cells, account_ids, notionals)
        tiers_before = [before.get(name, NO_TIER) for name in account_ids]
        moves = cache(lambda tier, after: movement(programme, tier, after))
        return PlannedAlike(self.run, found, tiers_before, list(map(moves, tiers_before, found.tiers)))

    def _later_until(self, position: int) -> set[str]:
        """Return accounts first heard of after the plan's position, up to another one; near the head hardly any."""
        if position > self._looked_until:
            parameters = {"after": self._looked_until, "until": position}
            heard_of = {row[0] for row in self._log.query(self._sql(_LATER), parameters)}
            self._later |= heard_of - self._log.known_accounts(heard_of, self.run.read_position)
            self._looked_until = position
        return self._later

    def _planned(self, states: Mapping[str, AccountState]) -> list[Planned]:
        cases: dict[EvaluationRun, list[Case]] = {}
        for state in states.values():
            for run, case in self._cases(state):
                cases.setdefault(run, []).append(case)
        planned = [one for run, of_run in cases.items() for one in self._of_version(run, of_run, states)]
        return sorted(planned, key=_place)

    def _of_version(
        self, run: EvaluationRun, cases: Sequence[Case], states: Mapping[str, AccountState]
    ) -> Iterator[Planned]:
        """Yield the outcomes of cases that one version of the programme evaluates."""
        currency = run.programme.volume_currency
        if currency not in self._closes:
            self._closes[currency] = known_closes(self._log, run.programme, run.read_position)
        members = self._members(run.programme, sorted({case.account_id for case in cases}))
        for case, cells in zip(cases, self._volumes(run.programme).of(cases, members), strict=True):
            planned = self._plan(run, states[case.account_id], case, cells)
            if planned is not None:
                yield planned

    def _volumes(self, programme: Programme) -> Volumes:
        return Volumes(self._log, self._schema, currency=programme.volume_currency, known=self.run.read_position)

    def _states(self, ids: Sequence[str]) -> dict[str, AccountState]:
        """Return accounts as they were known."""
        return fold_accounts(self._log.streams(map(account_stream, ids), self.run.read_position), ids)

    def _cases(self, account: AccountState) -> Iterator[tuple[EvaluationRun, Case]]:
        """Yield what is to be evaluated of an account and has not been, with the version that does it."""
        for at_ns, window in self._windows(account):
            if (self._programme_id, self.run.kind, at_ns) not in account.evaluated:
                run = self.run._replace(programme=self._programme(at_ns))
                yield run, Case(account.account_id, at_ns, event_period(run.programme, window))

    def _windows(self, account: AccountState) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield (instant, window) of each evaluation of an account.

        Its 30 days may count for its parent (A14); a trial is the account's own, and so is the volume of it.
        """
        programme = self.run.programme
        if self.run.kind == POST_TRIAL:
            for grant in trials_to_evaluate(account, self._programme_id, self._instant_ns):
                yield grant.valid_until_ns, post_trial_window(grant)
        elif counts_for(account, programme) == account.account_id:
            yield self._instant_ns, evaluation_window(programme, self._instant_ns)

    def _programme(self, at_ns: int) -> Programme:
        """Return the version in force at an instant."""
        programme = self._book.programme(self._programme_id, at_ns)
        assert isinstance(programme, Programme), programme
        return programme

    def _members(self, programme: Programme, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the sub-accounts whose volume counts for an account, as they were known."""
        if not programme.aggregate_subaccounts:
            return {}
        rows = self._log.query(self._sql(_CHILDREN), {"accounts": list(ids)})
        states = self._states([child for _, child in rows])
        known = [(parent, child) for parent, child in rows if states[child].parent_account_id == parent]
        return {parent: [child for _, child in group] for parent, group in groupby(known, key=lambda row: row[0])}

    def _plan(self, run: EvaluationRun, account: AccountState, case: Case, cells: Cells) -> Planned | None:
        """Return the outcome of a case; None: the account has no volume, and no tier that could be kept or lost."""
        programme = run.programme
        before = tier_before(account, programme, case.evaluated_ns)
        if not cells and not programme.rank(before):
            return None
        found = assess(programme, case, cells, self._closes[programme.volume_currency])
        moves = BLOCKED if isinstance(found, Missing) else movement(programme, before, found.tier)
        return Planned(run, case, before, moves, found, cells)

    def _parameters(self) -> dict[str, Any]:
        run = self.run
        return {"programme": run.programme.programme_id, "instant": self._instant_ns, "known": run.read_position}

    def _candidates(self, text: str) -> Composed:
        """Return a statement over the accounts that may have something to evaluate."""
        return self._sql(text.replace("{{accounts}}", _ALL if self.run.kind == PERIODIC else _TRIALS))

    def _sql(self, text: str) -> Composed:
        return SQL(text).format(**self._names)


def _with_blanks(states: Mapping[str, AccountState], account_ids: Iterable[str]) -> dict[str, AccountState]:
    """Return some accounts; `states` are those that have an event."""
    return {name: states.get(name) or AccountState(name) for name in account_ids}


def _place(planned: Planned) -> tuple[str, int]:
    """Return the place of an outcome among others."""
    return planned.case.account_id, planned.case.evaluated_ns


def known_closes(
    log: Log, programme: Programme, known: int, assets: Collection[str] | None = None
) -> dict[Close, KnownClose]:
    """Return closes in force in the programme's volume currency, by (asset, UTC day): of some assets, or of all."""
    found: dict[Close, KnownClose] = {}
    if assets is None:
        events = log.below(CLOSES_PREFIX, known)
    else:
        events = log.streams(map(closes_stream, assets), known) if assets else []
    events.sort(key=lambda recorded: recorded.stream)  # each stream keeps its order
    for stream, closes in groupby(events, key=lambda recorded: recorded.stream):
        asset = subject_of(stream)
        for (currency, day), close in fold_closes(closes, Closes(asset)).in_force.items():
            if currency == programme.volume_currency:
                found[asset, day] = close
    return found
