"""The state of an account and of a source: folds of their streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    AccountUnflagged,
    BanLifted,
    OwnerNamed,
    Recorded,
    SourceAdvanced,
    TierChanged,
    TierRevoked,
    TrialStarted,
    VolumeEvaluated,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.matches_and_applications import EMPTY, Dossier, evolve_dossier

FOREVER_NS: Final = NEVER_NS  # the end of what has none
CONFLICTS_MAX: Final = 1_000  # of a source in one event; of the others it says how many there were
RANGES_MAX: Final = 1_000  # of numbers replayed, likewise


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
    valid_until_ns: int = FOREVER_NS
    revoked_time_ns: int = FOREVER_NS
    evaluated_ns: int = 0
    evidence: str = ""
    under_review: bool = False

    @property
    def ends_at_ns(self) -> int:
        """First instant at which the grant gives nothing any more."""
        return min(self.valid_until_ns, self.revoked_time_ns)

    @property
    def never_was(self) -> bool:
        """Return whether it was never in effect, as it was revoked from its start or before: it counts for nothing."""
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
    unflagged_time_ns: int = FOREVER_NS


@dataclass(frozen=True, slots=True)
class Withheld:
    """An evaluation that was recorded while a flag ran: the fees that it changes wait for the un-flag.

    Only those of fills before `until_ns`, when the flag began, are other ones then. `ended` are the grants that it
    ended, as they were before.
    """

    position: int
    event: VolumeEvaluated
    until_ns: int
    ended: tuple[Grant, ...]


@dataclass(frozen=True)
class AccountState:
    """One account, as far as its stream was folded. `version` is that of its last event; 0: no event yet."""

    account_id: str
    version: int = 0
    registered: bool = False
    registered_time_ns: int = FOREVER_NS
    owner: str = ""
    named_owners: tuple[str, ...] = ()  # by fills, each once, in the order in which they came
    parent_account_id: str = ""
    grants: tuple[Grant, ...] = ()
    bans: tuple[Ban, ...] = ()
    flags: tuple[Flag, ...] = ()
    dossier: Dossier = EMPTY
    evaluated: frozenset[tuple[str, str, int]] = frozenset()  # (programme, kind, instant)
    withheld: tuple[Withheld, ...] = ()  # oldest first

    @property
    def owner_id(self) -> str:
        """Beneficial owner; an account that was not registered is its own."""
        return self.owner or self.account_id

    @property
    def owners(self) -> frozenset[str]:
        """Its beneficial owner, and those that its fills name."""
        return frozenset((self.owner_id, *self.named_owners))

    def owner_at(self, at_ns: int) -> str:
        """Beneficial owner at an instant; before it was registered an account is its own."""
        return self.owner_id if self.registered_time_ns <= at_ns else self.account_id

    def parent_at(self, at_ns: int) -> str:
        """The account it is a sub-account of at an instant; empty: of none."""
        return self.parent_account_id if self.registered_time_ns <= at_ns else ""

    @property
    def trial_from_ns(self) -> int:
        """When its first trial began; FOREVER_NS: it has had none."""
        trials = (grant for grant in self.grants if grant.source == "TRIAL" and not grant.never_was)
        return min((trial.valid_from_ns for trial in trials), default=FOREVER_NS)

    @property
    def trial_used(self) -> bool:
        """It has had a trial, or has one that begins later."""
        return self.trial_from_ns != FOREVER_NS

    @cached_property
    def change_instants(self) -> tuple[int, ...]:
        """Instants at which tier, ban or flag may change, ascending. Between two of them nothing changes."""
        instants = {grant.valid_from_ns for grant in self.grants} | {grant.ends_at_ns for grant in self.grants}
        instants |= {ban.start_time_ns for ban in self.bans} | {ban.end_time_ns for ban in self.bans}
        instants |= {flag.flagged_time_ns for flag in self.flags} | {flag.unflagged_time_ns for flag in self.flags}
        return tuple(sorted(instants - {FOREVER_NS}))

    @cached_property
    def standings(self) -> dict[Any, Any]:
        """Memo of what of this account matters to a price, by interval between its changes."""
        return {}


def evolve_account(state: AccountState, recorded: Recorded) -> AccountState:
    """The account after one more event of its stream; events that change nothing still move the version."""
    changed = _ACCOUNT_CHANGES.get(type(recorded.event), _unchanged)(state, recorded.event)
    if isinstance(recorded.event, VolumeEvaluated):
        changed = replace(changed, withheld=(*state.withheld, *_withheld(state, recorded, recorded.event)))
    elif isinstance(recorded.event, AccountUnflagged) and state.withheld:
        at_ns = max(recorded.envelope.recorded_time_ns, recorded.event.unflagged_time_ns)
        changed = replace(changed, withheld=state.withheld if _running(changed, at_ns) else ())
    return replace(changed, version=recorded.version, dossier=evolve_dossier(state.dossier, recorded))


def fold_account(account_id: str, stream: Iterable[Recorded]) -> AccountState:
    """The account after the events of its stream, oldest first."""
    state = AccountState(account_id)
    for recorded in stream:
        state = evolve_account(state, recorded)
    return state


def _running(state: AccountState, at_ns: int) -> list[Flag]:
    return [flag for flag in state.flags if flag.flagged_time_ns <= at_ns < flag.unflagged_time_ns]


def _withheld(state: AccountState, recorded: Recorded, event: VolumeEvaluated) -> Iterator[Withheld]:
    """The evaluation itself, if a flag runs when it is recorded."""
    if running := _running(state, recorded.envelope.recorded_time_ns):
        ended = tuple(grant for grant in state.grants if grant.grant_id in event.ended_grant_ids)
        yield Withheld(recorded.position, event, min(flag.flagged_time_ns for flag in running), ended)


def _unchanged(state: AccountState, _: Any) -> AccountState:
    return state


def _registered(state: AccountState, event: AccountRegistered) -> AccountState:
    return replace(
        state,
        registered=True,
        registered_time_ns=event.registered_time_ns,
        owner=event.owner_id,
        parent_account_id=event.parent_account_id,
    )


def _owner_named(state: AccountState, event: OwnerNamed) -> AccountState:
    if event.owner_id in state.named_owners:
        return state
    return replace(state, named_owners=(*state.named_owners, event.owner_id))


def _trial_started(state: AccountState, event: TrialStarted) -> AccountState:
    grant = Grant(event.grant_id, event.programme_id, event.tier, "TRIAL", event.valid_from_ns, event.valid_until_ns)
    return replace(state, grants=(*state.grants, grant))


def _tier_changed(state: AccountState, event: TierChanged) -> AccountState:
    until = FOREVER_NS if event.valid_until_ns is None else event.valid_until_ns
    grant = Grant(
        grant_id=event.grant_id,
        programme_id=event.programme_id,
        tier=event.tier,
        source=event.source,
        valid_from_ns=event.valid_from_ns,
        valid_until_ns=until,
        evidence=event.evidence,
    )
    grants = state.grants
    if event.source == "MANUAL":
        grants = tuple(_decided_by_hand(each, event) for each in grants)
    return replace(state, grants=(*grants, grant))


def _decided_by_hand(grant: Grant, event: TierChanged) -> Grant:
    """A grant under review ends where one by hand begins; any other stays as it is."""
    if not grant.under_review or grant.programme_id != event.programme_id:
        return grant
    return replace(grant, revoked_time_ns=min(grant.revoked_time_ns, event.valid_from_ns))


def _tier_revoked(state: AccountState, event: TierRevoked) -> AccountState:
    grants = tuple(
        replace(grant, revoked_time_ns=event.revoked_time_ns) if grant.grant_id == event.grant_id else grant
        for grant in state.grants
    )
    return replace(state, grants=grants)


def _banned(state: AccountState, event: AccountBanned) -> AccountState:
    ban = Ban(event.ban_id, event.start_time_ns, event.end_time_ns, event.reason_code)
    return replace(state, bans=(*state.bans, ban))


def _ban_lifted(state: AccountState, event: BanLifted) -> AccountState:
    lifted = event.lifted_time_ns
    bans = tuple(
        replace(ban, end_time_ns=lifted) if ban.start_time_ns <= lifted < ban.end_time_ns else ban for ban in state.bans
    )
    return replace(state, bans=bans)


def _flagged(state: AccountState, event: AccountFlagged) -> AccountState:
    return replace(state, flags=(*state.flags, Flag(event.flag_id, event.kind, event.flagged_time_ns)))


def _unflagged(state: AccountState, event: AccountUnflagged) -> AccountState:
    at_ns = event.unflagged_time_ns
    flags = tuple(
        replace(flag, unflagged_time_ns=at_ns) if flag.flagged_time_ns <= at_ns < flag.unflagged_time_ns else flag
        for flag in state.flags
    )
    return replace(state, flags=flags)


def _volume_evaluated(state: AccountState, event: VolumeEvaluated) -> AccountState:
    grants = tuple(
        replace(grant, revoked_time_ns=min(grant.revoked_time_ns, event.ended_time_ns))
        if grant.grant_id in event.ended_grant_ids
        else grant
        for grant in state.grants
    )
    if event.grant_id:
        grant = Grant(
            grant_id=event.grant_id,
            programme_id=event.programme_id,
            tier=event.kept_tier or event.tier,
            source="EVALUATION",
            valid_from_ns=event.valid_from_ns,
            valid_until_ns=event.valid_until_ns or FOREVER_NS,
            evaluated_ns=event.evaluated_time_ns,
            under_review=bool(event.kept_tier),
        )
        grants = (*grants, grant)
    key = (event.programme_id, event.kind, event.evaluated_time_ns)
    return replace(state, grants=grants, evaluated=state.evaluated | {key})


_ACCOUNT_CHANGES: Mapping[type, Callable[[AccountState, Any], AccountState]] = {
    AccountRegistered: _registered,
    OwnerNamed: _owner_named,
    TrialStarted: _trial_started,
    TierChanged: _tier_changed,
    TierRevoked: _tier_revoked,
    AccountBanned: _banned,
    BanLifted: _ban_lifted,
    AccountFlagged: _flagged,
    AccountUnflagged: _unflagged,
    VolumeEvaluated: _volume_evaluated,
}


@dataclass(frozen=True, slots=True)
class SourceState:
    """How far a source has come: it goes on with `last_sequence` + 1."""

    source: str
    version: int = 0
    last_sequence: int = 0
    latest_time_ns: int = 0  # of a fill it has sent
    conflicts_version: int = 0  # of its last event with conflicts; 0: none has
    complete_until_ns: int = 0  # it has sent all fills that traded before, as it last said
    late_version: int = 0  # of its last event with a fill that traded before that


def evolve_source(state: SourceState, recorded: Recorded) -> SourceState:
    """The source after one more event of its stream."""
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
