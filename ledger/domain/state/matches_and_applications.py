"""What the back office keeps of an account beside its grants: matches, applications, metrics, key account managers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.domain.events import (
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    BehaviourMetricRecorded,
    KamAssigned,
    MatchClaim,
    MatchRejected,
    MatchRequested,
    Recorded,
    TierChanged,
)
from ledger.domain.instants import NEVER_NS

PENDING: Final = "PENDING"
APPROVED: Final = "APPROVED"
REJECTED: Final = "REJECTED"
EXPIRED: Final = "EXPIRED"  # what an answer says of one that was PENDING for too long: no event says it
REVOKED: Final = "REVOKED"  # approved, and its grant was taken back: said where a match is shown, no status of its own


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
    """What was measured of the account's behaviour, and at which position that was recorded."""

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
class Dossier:
    """All of it, each in the order it was recorded."""

    matches: tuple[Match, ...] = ()
    applications: tuple[Application, ...] = ()
    verified_time_ns: int = NEVER_NS
    metrics: tuple[Metric, ...] = ()
    managers: tuple[Assignment, ...] = ()

    def match(self, match_id: str) -> Match | None:
        """A match by its id."""
        return next((match for match in self.matches if match.match_id == match_id), None)

    def application(self, application_id: str) -> Application | None:
        """An application by its id."""
        return next((found for found in self.applications if found.application_id == application_id), None)


EMPTY: Final = Dossier()


def evolve_dossier(dossier: Dossier, recorded: Recorded) -> Dossier:
    """The dossier after one more event of the account's stream; the same object where nothing of it changes."""
    change = _CHANGES.get(type(recorded.event))
    return change(dossier, recorded, recorded.event) if change else dossier


def _match_requested(dossier: Dossier, recorded: Recorded, event: MatchRequested) -> Dossier:
    match = Match(
        match_id=event.match_id,
        programme_id=event.programme_id,
        claim=event.claim,
        requested_time_ns=event.requested_time_ns,
        requested_by=recorded.envelope.actor,
        tier=event.tier,
    )
    return replace(dossier, matches=(*dossier.matches, match))


def _match_rejected(dossier: Dossier, recorded: Recorded, event: MatchRejected) -> Dossier:
    if event.claim is None:
        return _settle(
            dossier,
            event.match_id,
            status=REJECTED,
            settled_time_ns=event.rejected_time_ns,
            reason_code=event.reason_code,
        )
    at_ns = event.rejected_time_ns  # a rule refused it when it was asked for
    match = Match(
        match_id=event.match_id,
        programme_id=event.programme_id,
        claim=event.claim,
        requested_time_ns=at_ns,
        requested_by=recorded.envelope.actor,
        tier="",
        status=REJECTED,
        settled_time_ns=at_ns,
        reason=event.reason,
    )
    return replace(dossier, matches=(*dossier.matches, match))


def _tier_changed(dossier: Dossier, _: Recorded, event: TierChanged) -> Dossier:
    if event.source != "MATCH":
        return dossier
    at_ns = event.valid_from_ns
    return _settle(dossier, event.evidence, status=APPROVED, settled_time_ns=at_ns, grant_id=event.grant_id)


def _settle(dossier: Dossier, match_id: str, **changes: Any) -> Dossier:
    matches = (replace(match, **changes) if match.match_id == match_id else match for match in dossier.matches)
    return replace(dossier, matches=tuple(matches))


def _application_submitted(dossier: Dossier, _: Recorded, event: ApplicationSubmitted) -> Dossier:
    application = Application(event.application_id, event.programme_id, event.received_time_ns, event.community_joined)
    return replace(dossier, applications=(*dossier.applications, application))


def _application_settled(dossier: Dossier, _: Recorded, event: ApplicationSettled) -> Dossier:
    applications = (
        replace(found, outcome=event.outcome, settled_time_ns=event.settled_time_ns)
        if found.application_id == event.application_id
        else found
        for found in dossier.applications
    )
    return replace(dossier, applications=tuple(applications))


def _verified(dossier: Dossier, _: Recorded, event: ApiIdentityVerified) -> Dossier:
    return replace(dossier, verified_time_ns=min(dossier.verified_time_ns, event.verified_time_ns))


def _measured(dossier: Dossier, recorded: Recorded, event: BehaviourMetricRecorded) -> Dossier:
    metric = Metric(recorded.position, event.code, event.value, event.window_from_ns, event.window_until_ns)
    return replace(dossier, metrics=(*dossier.metrics, metric))


def _kam_assigned(dossier: Dossier, _: Recorded, event: KamAssigned) -> Dossier:
    return replace(dossier, managers=(*dossier.managers, Assignment(event.manager_id, event.assigned_time_ns)))


_CHANGES: Final[Mapping[type, Callable[[Dossier, Recorded, Any], Dossier]]] = {
    MatchRequested: _match_requested,
    MatchRejected: _match_rejected,
    TierChanged: _tier_changed,
    ApplicationSubmitted: _application_submitted,
    ApplicationSettled: _application_settled,
    ApiIdentityVerified: _verified,
    BehaviourMetricRecorded: _measured,
    KamAssigned: _kam_assigned,
}
