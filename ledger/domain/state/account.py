"""The state of an account and of a source: folds of their streams.

A text that many accounts have is one object in memory: an exchange has a few tiers, and a million grants.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from sys import intern
from types import SimpleNamespace
from typing import Any, Final

from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    AccountUnflagged,
    BanLifted,
    Event,
    FactWithdrawn,
    OwnerNamed,
    Recorded,
    SourceAdvanced,
    TierChanged,
    TierRevoked,
    TrialStarted,
    VolumeEvaluated,
)
from ledger.domain.grant_sources import EVALUATION, MANUAL, TRIAL
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.ids import next_id
from ledger.domain.state.matches_and_applications import (
    EMPTY,
    MatchesAndApplications,
    evolve_matches_and_applications,
    without,
)
from ledger.domain.streams import subject_of

CONFLICTS_MAX: Final = 1_000  # of a source in one event, which counts the others
RANGES_MAX: Final = 1_000  # of replayed numbers in one event, likewise
STANDINGS_MAX: Final = 8  # of an account that are remembered


@dataclass(frozen=True, slots=True)
class Grant:
    """A tier in [valid_from, valid_until), cut short at `revoked_time_ns`. Trial and manual change are all grants.

    `source` is TRIAL, MANUAL, EVALUATION or MATCH; `evaluated_ns` the instant of the evaluation that gave it, or 0. One
    `under_review` keeps the tier that the account had until a person, or a later evaluation, decides.
    """

    grant_id: str
    programme_id: str
    tier: str
    source: str
    valid_from_ns: int
    valid_until_ns: int = NEVER_NS
    revoked_time_ns: int = NEVER_NS
    evaluated_ns: int = 0
    evidence: str = ""
    under_review: bool = False

    @property
    def ends_at_ns(self) -> int:
        """The first instant at which the grant gives nothing any more."""
        return self.valid_until_ns if self.valid_until_ns < self.revoked_time_ns else self.revoked_time_ns

    @property
    def never_was(self) -> bool:
        """Return True if it was revoked from its start or before: it never was in effect, and counts for nothing."""
        return self.ends_at_ns <= self.valid_from_ns


@dataclass(frozen=True, slots=True)
class Ban:
    """API trading is banned in [start, end); a lift moves the end."""

    ban_id: str
    start_time_ns: int
    end_time_ns: int
    reason_code: str


@dataclass(frozen=True, slots=True)
class Flag:
    """The account is taken for fake, or made by a robot, in [flagged, unflagged) (R21)."""

    flag_id: str
    kind: str
    flagged_time_ns: int
    unflagged_time_ns: int = NEVER_NS


@dataclass(frozen=True)
class AccountState:
    """One account, as far as its stream was folded. `version` is that of its last event; 0: no event yet."""

    account_id: str
    version: int = 0
    registered: bool = False
    registered_time_ns: int = NEVER_NS
    owner: str = ""
    named_owners: tuple[str, ...] = ()  # named by fills, each once, in the order in which they came
    parent_account_id: str = ""
    grants: tuple[Grant, ...] = ()
    bans: tuple[Ban, ...] = ()
    flags: tuple[Flag, ...] = ()
    matches_and_applications: MatchesAndApplications = EMPTY
    evaluated: tuple[tuple[str, str, int], ...] = ()  # (programme, kind, instant)
    withdrawn_ids: tuple[str, ...] = ()  # of grants, bans and flags that were withdrawn

    @property
    def owner_id(self) -> str:
        """The beneficial owner; an account that was not registered is its own."""
        return self.owner or self.account_id

    @property
    def owners(self) -> frozenset[str]:
        """The beneficial owner, and the owners that its fills name."""
        return frozenset((self.owner_id, *self.named_owners))

    def owner_at(self, at_ns: int) -> str:
        """Return the beneficial owner at an instant; before it was registered an account is its own."""
        return self.owner_id if self.registered_time_ns <= at_ns else self.account_id

    def parent_at(self, at_ns: int) -> str:
        """Return the account that it is a sub-account of at an instant; empty: of none."""
        return self.parent_account_id if self.registered_time_ns <= at_ns else ""

    @property
    def next_grant_id(self) -> str:
        """The id of the next grant."""
        return next_id("g", self.grants, self.withdrawn_ids)

    @property
    def next_ban_id(self) -> str:
        """The id of the next ban."""
        return next_id("b", self.bans, self.withdrawn_ids)

    @property
    def next_flag_id(self) -> str:
        """The id of the next flag."""
        return next_id("f", self.flags, self.withdrawn_ids)

    @property
    def trial_from_ns(self) -> int:
        """The instant at which its first trial began; NEVER_NS: it has had none."""
        trials = [grant.valid_from_ns for grant in self.grants if grant.source == TRIAL and not grant.never_was]
        return min(trials, default=NEVER_NS)

    @property
    def trial_used(self) -> bool:
        """Return True if it has had a trial, or has one that begins later."""
        return self.trial_from_ns != NEVER_NS

    @cached_property
    def change_instants(self) -> tuple[int, ...]:
        """The instants at which tier, ban or flag may change, ascending. Between two of them nothing changes."""
        return change_instants(self.grants, self.bans, self.flags)

    @cached_property
    def standings(self) -> dict[Any, Any]:
        """A memo of `pricing.standing_at`, by interval between two changes and by programme: STANDINGS_MAX of them."""
        return {}


def change_instants(grants: Iterable[Grant], bans: Iterable[Ban], flags: Iterable[Flag]) -> tuple[int, ...]:
    """Return the instants at which one of these begins or ends, ascending."""
    instants = [at_ns for grant in grants for at_ns in (grant.valid_from_ns, grant.ends_at_ns)]
    instants += [at_ns for ban in bans for at_ns in (ban.start_time_ns, ban.end_time_ns)]
    instants += [at_ns for flag in flags for at_ns in (flag.flagged_time_ns, flag.unflagged_time_ns)]
    return tuple(sorted({*instants} - {NEVER_NS}))


_FIRST: Final = {field.name: getattr(AccountState(""), field.name) for field in fields(AccountState)}


def evolve_account(state: AccountState, recorded: Recorded) -> AccountState | None:
    """Return the account after one more event of its stream; events that change nothing still move the version.

    None after a FactWithdrawn: then `fold_account` must fold all its events again.
    """
    return None if isinstance(recorded.event, FactWithdrawn) else replace(state, **_changes(state, recorded))


def account_after(state: AccountState, stream: Iterable[Recorded]) -> AccountState | None:
    """Return the account after more events of its stream, oldest first; None where one of them is a FactWithdrawn."""
    if not state.version:
        return fold_account(state.account_id, stream)
    events = list(stream)
    if any(isinstance(recorded.event, FactWithdrawn) for recorded in events):
        return None
    return _folded({name: getattr(state, name) for name in _FIRST}, events, frozenset())


def fold_account(account_id: str, stream: Iterable[Recorded]) -> AccountState:
    """Return the account after the events of its stream, oldest first, but for those that were withdrawn."""
    events = list(stream)
    return _folded({**_FIRST, "account_id": account_id}, events, withdrawn_positions(events))


def _folded(values: Mapping[str, Any], events: Iterable[Recorded], withdrawn: Collection[int]) -> AccountState:
    """Return the account after events, in one object that changes meanwhile: a new state for each would cost more."""
    folding: Any = SimpleNamespace(**values)
    for recorded in events:
        changes = _passed_over if recorded.position in withdrawn else _changes
        vars(folding).update(changes(folding, recorded))
    return AccountState(**vars(folding))


def fold_accounts(events: Iterable[Recorded], account_ids: Iterable[str]) -> dict[str, AccountState]:
    """Return accounts by id after the events of their streams, each in its order; those without an event as well."""
    streams: dict[str, list[Recorded]] = {account_id: [] for account_id in account_ids}
    for recorded in events:
        streams.setdefault(subject_of(recorded.stream), []).append(recorded)
    return {account_id: fold_account(account_id, stream) for account_id, stream in streams.items()}


def withdrawn_positions(events: Iterable[Recorded]) -> frozenset[int]:
    """Return the positions of the facts that some of the events withdraw."""
    withdrawals = (recorded.event for recorded in events if isinstance(recorded.event, FactWithdrawn))
    return frozenset(event.fact_position for event in withdrawals)


def _changes(state: AccountState, recorded: Recorded) -> dict[str, Any]:
    """Return the fields that are other ones after one more event."""
    beside = evolve_matches_and_applications(state.matches_and_applications, recorded)
    return {"version": recorded.version, "matches_and_applications": beside, **_changed(state, recorded.event)}


def _passed_over(state: AccountState, recorded: Recorded) -> dict[str, Any]:
    """Return the same of an event that was withdrawn: nothing is left of it but the id that it gave."""
    beside, ids = without(state.matches_and_applications, recorded.event), state.withdrawn_ids
    match recorded.event:
        case TrialStarted(grant_id=given) | TierChanged(grant_id=given):
            ids = (*ids, given)
        case AccountBanned(ban_id=given) | AccountFlagged(flag_id=given):
            ids = (*ids, given)
    return {"version": recorded.version, "withdrawn_ids": ids, "matches_and_applications": beside}


def _running(state: AccountState, at_ns: int) -> list[Flag]:
    return [flag for flag in state.flags if flag.flagged_time_ns <= at_ns < flag.unflagged_time_ns]


def _changed(state: AccountState, event: Event) -> dict[str, Any]:
    """Return what an event changes of a state, by the name of the field."""
    match event:
        case VolumeEvaluated():
            return _volume_evaluated(state, event)
        case TierChanged():
            return _tier_changed(state, event)
        case AccountRegistered(owner_id=owner, parent_account_id=parent, registered_time_ns=at_ns):
            return {"registered": True, "registered_time_ns": at_ns, "owner": owner, "parent_account_id": parent}
        case OwnerNamed(owner_id=owner) if owner not in state.named_owners:
            return {"named_owners": (*state.named_owners, owner)}
        case TrialStarted(grant_id, programme_id, tier, from_ns, until_ns):
            grant = Grant(intern(grant_id), intern(programme_id), intern(tier), TRIAL, from_ns, until_ns)
            return {"grants": (*state.grants, grant)}
        case TierRevoked(grant_id, at_ns):
            # The earliest end counts: lines for which a withdrawn revocation still counts may know a later one, too.
            return {"grants": _ended(state.grants, (grant_id,), at_ns)}
        case AccountBanned(ban_id, start_ns, end_ns, reason_code):
            return {"bans": (*state.bans, Ban(intern(ban_id), start_ns, end_ns, intern(reason_code)))}
        case BanLifted(at_ns):
            bans = (
                replace(ban, end_time_ns=at_ns) if ban.start_time_ns <= at_ns < ban.end_time_ns else ban
                for ban in state.bans
            )
            return {"bans": tuple(bans)}
        case AccountFlagged(flag_id, kind, at_ns):
            return {"flags": (*state.flags, Flag(intern(flag_id), intern(kind), at_ns))}
        case AccountUnflagged(at_ns):
            running = _running(state, at_ns)
            flags = (replace(flag, unflagged_time_ns=at_ns) if flag in running else flag for flag in state.flags)
            return {"flags": tuple(flags)}
    return {}


def _ended(grants: tuple[Grant, ...], grant_ids: tuple[str, ...], at_ns: int) -> tuple[Grant, ...]:
    """Return grants, some of them ended at an instant; one that ends before that stays as it is."""
    if not grant_ids:
        return grants
    return tuple(
        replace(grant, revoked_time_ns=min(grant.revoked_time_ns, at_ns)) if grant.grant_id in grant_ids else grant
        for grant in grants
    )


def _tier_changed(state: AccountState, event: TierChanged) -> dict[str, Any]:
    grant = Grant(
        grant_id=intern(event.grant_id),
        programme_id=intern(event.programme_id),
        tier=intern(event.tier),
        source=intern(event.source),
        valid_from_ns=event.valid_from_ns,
        valid_until_ns=NEVER_NS if event.valid_until_ns is None else event.valid_until_ns,
        evidence=event.evidence,
    )
    grants = state.grants
    if event.source == MANUAL:
        grants = tuple(_decided_by_hand(each, event) for each in grants)
    return {"grants": (*grants, grant)}


def _decided_by_hand(grant: Grant, event: TierChanged) -> Grant:
    """End a grant under review where one by hand begins; any other stays as it is."""
    if not grant.under_review or grant.programme_id != event.programme_id:
        return grant
    return replace(grant, revoked_time_ns=min(grant.revoked_time_ns, event.valid_from_ns))


def _volume_evaluated(state: AccountState, event: VolumeEvaluated) -> dict[str, Any]:
    grants = _ended(state.grants, event.ended_grant_ids, event.ended_time_ns)
    if event.grant_id:
        grant = Grant(
            grant_id=intern(event.grant_id),
            programme_id=intern(event.programme_id),
            tier=intern(event.kept_tier or event.tier),
            source=EVALUATION,
            valid_from_ns=event.valid_from_ns,
            valid_until_ns=event.valid_until_ns or NEVER_NS,
            evaluated_ns=event.evaluated_time_ns,
            under_review=bool(event.kept_tier),
        )
        grants = (*grants, grant)
    key = (intern(event.programme_id), intern(event.kind), event.evaluated_time_ns)
    evaluated = state.evaluated if key in state.evaluated else (*state.evaluated, key)
    return {"grants": grants, "evaluated": evaluated}


@dataclass(frozen=True, slots=True)
class SourceState:
    """The progress of a source: it goes on with `last_sequence` + 1."""

    source: str
    version: int = 0
    last_sequence: int = 0
    latest_time_ns: int = 0  # of a fill it has sent
    conflicts_version: int = 0  # of its last event with conflicts; 0: none has
    complete_until_ns: int = 0  # it has sent all fills that traded before, as it last said
    late_version: int = 0  # of its last event with a fill that traded before that


def evolve_source(state: SourceState, recorded: Recorded) -> SourceState:
    """Return the source after one more event of its stream."""
    event = recorded.event
    assert isinstance(event, SourceAdvanced), recorded
    return SourceState(
        state.source,
        recorded.version,
        event.last_sequence,
        event.latest_time_ns,
        conflicts_version=recorded.version if event.conflicts else event.conflicts_before,
        complete_until_ns=event.complete_until_ns,
        late_version=recorded.version if event.late_from_ns else event.late_version_before,
    )
