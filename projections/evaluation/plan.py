"""The plan of an evaluation: what it gives each account, read at a fixed position of the log, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier

from ledger import programmes
from ledger.domain.decide.daily_close import Closes, KnownClose, fold_closes
from ledger.domain.decide.evaluation import (
    Assessment,
    Case,
    EvaluationRun,
    assess,
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
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import fold_rulebook
from ledger.domain.streams import CLOSES_PREFIX, account_stream, closes_stream, subject_of
from ledger.store.log import Log
from ledger.store.postgres.migrate import EVENTS
from ledger.store.reads import KEYS
from projections.evaluation.volumes import Cells, Volumes
from projections.tables.tables import read_schema

ACCOUNTS_PER_CHUNK: Final = 1_000  # read at once, and evaluated in one commit
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
class Chunk:
    """Some accounts with something to evaluate; `looked_at` counts all accounts up to the next chunk."""

    planned: list[Planned]
    looked_at: int


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
        return sum(len(self._concerned(ids)) for ids in self._pages(ACCOUNTS_PER_CHUNK))

    def chunks(self, size: int = ACCOUNTS_PER_CHUNK) -> Iterator[Chunk]:
        """Yield all accounts in the order of their ids, so many at once."""
        looked_at = 0
        for ids in self._pages(size):
            states = self._concerned(ids)
            looked_at += len(states)
            yield Chunk(self._planned(states), looked_at)

    def _pages(self, size: int) -> Iterator[list[str]]:
        after = ""
        while True:
            rows = self._log.query(self._candidates(_PAGE), {**self._parameters(), "after": after, "limit": size})
            ids = [row[0] for row in rows]
            if not ids:
                return
            yield ids
            after = ids[-1]

    def _concerned(self, ids: Sequence[str]) -> dict[str, AccountState]:
        """Return accounts as they were known: all, or those with a trial to evaluate, whatever became of it."""
        if self.run.kind == PERIODIC:
            later = self._later_until(self._log.head().position)
            return self._states([account_id for account_id in ids if account_id not in later], dense=True)
        states = self._states(ids)
        return {account_id: state for account_id, state in states.items() if any(self._cases(state))}

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
        return sorted(planned, key=lambda one: (one.case.account_id, one.case.evaluated_ns))

    def _of_version(
        self, run: EvaluationRun, cases: Sequence[Case], states: Mapping[str, AccountState]
    ) -> Iterator[Planned]:
        """Yield the outcomes of cases that one version of the programme evaluates."""
        currency = run.programme.volume_currency
        if currency not in self._closes:
            self._closes[currency] = known_closes(self._log, run.programme, run.read_position)
        volumes = Volumes(self._log, self._schema, currency=currency, known=run.read_position)
        members = self._members(run.programme, sorted({case.account_id for case in cases}))
        for case, cells in zip(cases, volumes.of(cases, members), strict=True):
            planned = self._plan(run, states[case.account_id], case, cells)
            if planned is not None:
                yield planned

    def _states(self, ids: Sequence[str], *, dense: bool = False) -> dict[str, AccountState]:
        """Return accounts as they were known; `dense`: hardly any lies between them. Most have nothing but fills."""
        known = self.run.read_position
        if dense and ids:
            return fold_accounts(self._log.accounts_between(ids[0], ids[-1], known), ids)
        return fold_accounts(self._log.streams(map(account_stream, ids), known), ids)

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
