"""The matches and applications of an account; with them its metrics, key account managers and API identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.domain import grant_sources
from ledger.domain.events import (
    AccountRegistered,
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    BehaviourMetricRecorded,
    Event,
    KamAssigned,
    MatchClaim,
    MatchRejected,
    MatchRequested,
    Recorded,
    TierChanged,
    VolumeEvaluated,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.ids import next_id

PENDING: Final = "PENDING"
APPROVED: Final = "APPROVED"
REJECTED: Final = "REJECTED"
EXPIRED: Final = "EXPIRED"  # an answer says it of a match that was PENDING for too long: no event does
REVOKED: Final = "REVOKED"  # an answer says it of one whose grant was taken back: no status of its own


@dataclass(frozen=True, slots=True)
class Match:
    """A fee rate match asked for by `requested_by`; PENDING until `settled_time_ns`. `reason` is that of a rule."""

    match_id: str
    programme_id: str
    claim: MatchClaim
    requested_time_ns: int
    requested_by: str
    tier: str
    status: str = PENDING
    settled_time_ns: int = NEVER_NS
    grant_id: str = ""
    reason: int = 0
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """An application for membership and its steps; open until `settled_time_ns`."""

    application_id: str
    programme_id: str
    received_time_ns: int
    community_joined: bool
    outcome: str = ""
    settled_time_ns: int = NEVER_NS


@dataclass(frozen=True, slots=True)
class Metric:
    """A measurement of the account's behaviour, and the position at which it was recorded."""

    position: int
    code: str
    value: str
    window_from_ns: int
    window_until_ns: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A key account manager from an instant on."""

    manager_id: str
    assigned_time_ns: int


@dataclass(frozen=True, slots=True)
class MatchesAndApplications:
    """The matches and all that is kept beside them, each in the order in which it was recorded."""

    matches: tuple[Match, ...] = ()
    applications: tuple[Application, ...] = ()
    verified_time_ns: int = NEVER_NS
    metrics: tuple[Metric, ...] = ()
    managers: tuple[Assignment, ...] = ()
    withdrawn_ids: tuple[str, ...] = ()  # of matches and applications that were withdrawn

    @property
    def next_match_id(self) -> str:
        """The id of the next match."""
        return next_id("m", self.matches, self.withdrawn_ids)

    @property
    def next_application_id(self) -> str:
        """The id of the next application."""
        return next_id("p", self.applications, self.withdrawn_ids)

    def match(self, match_id: str) -> Match | None:
        """Return a match by its id."""
        return next((match for match in self.matches if match.match_id == match_id), None)

    def application(self, application_id: str) -> Application | None:
        """Return an application by its id."""
        return next((found for found in self.applications if found.application_id == application_id), None)


EMPTY: Final = MatchesAndApplications()


def evolve_matches_and_applications(state: MatchesAndApplications, recorded: Recorded) -> MatchesAndApplications:
    """Return the state after one more event of the account's stream; the same object where nothing of it changes."""
    match recorded.event:
        case VolumeEvaluated() | AccountRegistered():  # which are most of all events: nothing else is asked of them
            return state
        case MatchRequested() | MatchRejected(claim=MatchClaim()) as event:  # a rule may reject it as it is asked for
            return replace(state, matches=(*state.matches, _requested(event, recorded.envelope.actor)))
        case MatchRejected(match_id=match_id, rejected_time_ns=at_ns, reason_code=code):
            return _settle(state, match_id, status=REJECTED, settled_time_ns=at_ns, reason_code=code)
        case TierChanged(source=grant_sources.MATCH, evidence=match_id, valid_from_ns=at_ns, grant_id=grant_id):
            return _settle(state, match_id, status=APPROVED, settled_time_ns=at_ns, grant_id=grant_id)
        case ApplicationSubmitted() as event:
            steps = Application(
                event.application_id, event.programme_id, event.received_time_ns, event.community_joined
            )
            return replace(state, applications=(*state.applications, steps))
        case ApplicationSettled(application_id=application_id, outcome=outcome, settled_time_ns=at_ns):
            applications = (
                replace(found, outcome=outcome, settled_time_ns=at_ns)
                if found.application_id == application_id
                else found
                for found in state.applications
            )
            return replace(state, applications=tuple(applications))
        case ApiIdentityVerified(verified_time_ns=at_ns):
            return replace(state, verified_time_ns=min(state.verified_time_ns, at_ns))
        case BehaviourMetricRecorded() as event:
            metric = Metric(recorded.position, event.code, event.value, event.window_from_ns, event.window_until_ns)
            return replace(state, metrics=(*state.metrics, metric))
        case KamAssigned(manager_id=manager_id, assigned_time_ns=at_ns):
            return replace(state, managers=(*state.managers, Assignment(manager_id, at_ns)))
    return state


def without(state: MatchesAndApplications, event: Event) -> MatchesAndApplications:
    """Return the state after an event that was withdrawn: nothing is left of it but the id that it gave."""
    match event:
        case MatchRequested(match_id=given) | MatchRejected(match_id=given, claim=MatchClaim()):
            return replace(state, withdrawn_ids=(*state.withdrawn_ids, given))
        case ApplicationSubmitted(application_id=given):
            return replace(state, withdrawn_ids=(*state.withdrawn_ids, given))
    return state


def _requested(event: MatchRequested | MatchRejected, actor: str) -> Match:
    assert event.claim is not None, event
    name = (event.match_id, event.programme_id, event.claim)
    if isinstance(event, MatchRequested):
        return Match(*name, event.requested_time_ns, actor, event.tier)
    at_ns = event.rejected_time_ns
    return Match(*name, at_ns, actor, "", REJECTED, at_ns, reason=event.reason)


def _settle(state: MatchesAndApplications, match_id: str, **changes: Any) -> MatchesAndApplications:
    matches = (replace(match, **changes) if match.match_id == match_id else match for match in state.matches)
    return replace(state, matches=tuple(matches))
