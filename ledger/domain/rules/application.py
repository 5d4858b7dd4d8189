"""R12: how to apply for membership: have an account, create an API key, join the community, fill out the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.domain.events import ApiIdentityVerified, ApplicationSettled, ApplicationSubmitted
from ledger.domain.instants import NEVER_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.matches_and_applications import MatchesAndApplications
from ledger.domain.state.programme import Programme

OUTCOMES: Final = ("GRANTED", "DECLINED")  # in the order of the enum ApplicationOutcome, which counts from 1
GRANTED: Final = OUTCOMES[0]
COMMUNITY_JOINED: Final = "community_joined"  # nobody can verify it: for information only
STEPS: Final = ("account_opened", "api_key_created", COMMUNITY_JOINED, "form_submitted")  # fields of the checklist


def submit_application(
    state: MatchesAndApplications, programme: Programme, *, steps: Mapping[str, bool], received_time_ns: int
) -> ApplicationSubmitted | Refusal:
    """Submit the checklist: every step is done but perhaps the community, and no other application is open."""
    running = next((found for found in state.applications if found.settled_time_ns == NEVER_NS), None)
    if running is not None:
        detail = f"{running.application_id} is not settled"
        return Refusal(Reason.APPLICATION_ALREADY_OPEN, "account_id", detail)
    missing = [step for step, done in steps.items() if not done and step != COMMUNITY_JOINED]
    if missing:
        return Refusal(Reason.APPLICATION_INCOMPLETE, missing[0], f"not done: {', '.join(missing)}")
    return ApplicationSubmitted(state.next_application_id, programme.programme_id, received_time_ns, **steps)


def verify_api_identity(state: MatchesAndApplications, *, verified_time_ns: int) -> ApiIdentityVerified | Refusal:
    """Verify the identity of an API user, once; an earlier date corrects a later one."""
    if state.verified_time_ns <= verified_time_ns:
        return Refusal(Reason.IDENTITY_ALREADY_VERIFIED, "account_id", "the identity is verified already")
    return ApiIdentityVerified(verified_time_ns)


def not_verified(state: MatchesAndApplications, programme: Programme, at_ns: int) -> Refusal | None:
    """Refuse membership where the programme asks for a verified API user before a trial (R4), and there is none yet."""
    trial = programme.trial
    if trial is None or not trial.requires_verified_api_user or state.verified_time_ns <= at_ns:
        return None
    return Refusal(Reason.NOT_VERIFIED, "account_id", "the identity of the API user is not verified at this instant")


def settle_application(
    state: MatchesAndApplications, programme: Programme, *, application_id: str, outcome: str, settle_time_ns: int
) -> ApplicationSettled | Refusal:
    """Grant or decline an open application. Granting asks for verification where the programme does."""
    application = state.application(application_id)
    if application is None:
        return Refusal(Reason.APPLICATION_UNKNOWN, "application_id", f"there is no application {application_id}")
    if application.settled_time_ns != NEVER_NS:
        detail = f"{application_id} is settled: {application.outcome}"
        return Refusal(Reason.APPLICATION_SETTLED, "application_id", detail)
    if settle_time_ns < application.received_time_ns:
        return Refusal(Reason.INTERVAL_EMPTY, "settle_time", "it would be settled before it was received")
    waiting = not_verified(state, programme, settle_time_ns) if outcome == GRANTED else None
    return waiting or ApplicationSettled(application_id, outcome, settle_time_ns)


def clock_start_ns(programme: Programme, received_time_ns: int, verified_time_ns: int) -> int | None:
    """Return when the ten business days begin to count (A23); None: not yet."""
    if programme.sla_start == "received":
        return received_time_ns
    return None if verified_time_ns == NEVER_NS else max(received_time_ns, verified_time_ns)
