"""GetMembership, CheckMatchEligibility and GetEntitlements: what is known of one member."""

from __future__ import annotations

from ledger.domain.decide.application_deadline import deadline, overdue_from_ns
from ledger.domain.decide.membership import expiry
from ledger.domain.decide.standing import match_refused, match_tier, tier_at
from ledger.domain.instants import NEVER_NS
from ledger.domain.refusal import Reason
from ledger.domain.rules.fee_match import match_grant
from ledger.domain.rules.key_account_manager import KEY_ACCOUNT_MANAGER, entitlements, manager_at
from ledger.domain.rules.past_90_days import membership_in_past_90_days
from ledger.domain.state.matches_and_applications import EXPIRED, PENDING, REVOKED, Application, Match, Metric
from ledger.domain.state.programme import NO_TIER
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.v1 import member_query_service_pb2 as pb
from ledger.v1 import member_service_pb2 as member_pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, required_id, volume
from ledger.wire.status import timestamp
from projections.answers.vip_state import asked, flag_of, grant_of, programme_of
from projections.as_of import Reader, View, check_times


def get_membership(reader: Reader, request: pb.GetMembershipRequest) -> pb.GetMembershipResponse:
    """Answer with flags, matches, applications, metrics and key account manager, as they stood at as_of."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        shape(check_times, request.at)
    view = reader.view(request.at, account_id)
    at_ns, member = view.instant.as_of_ns, view.account.matches_and_applications
    response = pb.GetMembershipResponse(
        basis=view.instant.basis(reader.ledger_id),
        account_id=account_id,
        flags=[flag_of(flag, by_ns=at_ns) for flag in view.account.flags if flag.flagged_time_ns <= at_ns],
        matches=[_match(view, match) for match in member.matches if match.requested_time_ns <= at_ns],
        applications=[_application(view, found) for found in member.applications if found.received_time_ns <= at_ns],
        metrics=[_metric(metric) for metric in member.metrics if metric.window_until_ns <= at_ns],
        manager_id=manager_at(member.managers, at_ns),
    )
    if member.verified_time_ns <= at_ns:
        response.verified_time.CopyFrom(timestamp(member.verified_time_ns))
    return response


def check_match_eligibility(
    reader: Reader, request: pb.CheckMatchEligibilityRequest
) -> pb.CheckMatchEligibilityResponse:
    """Answer as RequestMatch would at as_of, by the account and its volume; the rest of a claim is not looked at."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        programme_id = shape(optional_id, request.programme_id, "programme_id")
        spot_text = shape(volume, request.external_volume.spot, "external_volume.spot")
        futures_text = shape(volume, request.external_volume.futures, "external_volume.futures")
        shape(check_times, request.at)
    view = reader.view(request.at, account_id)
    programme = programme_of(view, programme_id)
    response = pb.CheckMatchEligibilityResponse(basis=view.instant.basis(reader.ledger_id))
    if programme is None:
        set_words(response, refused_because=Reason.PROGRAMME_UNKNOWN.name)
        return response
    at_ns, spot, futures = view.instant.as_of_ns, exact(spot_text, NOTIONAL_SCALE), exact(futures_text, NOTIONAL_SCALE)
    family = reader.family(view)
    no = match_refused(
        view.account, programme, requested_ns=at_ns, at_ns=at_ns, spot=spot, futures=futures, family=family
    )
    grants = (grant for member in (view.account, *family) for grant in member.grants)
    membership = membership_in_past_90_days(grants, programme, at_ns)
    if membership is not None:
        response.membership.CopyFrom(grant_of(membership))
    if no is not None:
        set_words(response, refused_because=no.reason.name)
        return response
    from_ns, until_ns = match_grant(programme, at_ns)
    response.eligible = True
    response.tier = match_tier(programme, spot, futures)
    response.valid_from.CopyFrom(timestamp(from_ns))
    response.valid_until.CopyFrom(timestamp(until_ns))
    return response


def get_entitlements(reader: Reader, request: pb.GetEntitlementsRequest) -> pb.GetEntitlementsResponse:
    """Answer what the tier in effect entitles to, and its key account manager where that is among it."""
    view, programme = asked(reader, request)
    at_ns = view.instant.as_of_ns
    response = pb.GetEntitlementsResponse(basis=view.instant.basis(reader.ledger_id), tier=NO_TIER)
    if programme is not None:
        response.tier = tier_at(view.account, programme, at_ns)
        response.entitlements.extend(entitlements(programme, response.tier))
    if KEY_ACCOUNT_MANAGER in response.entitlements:
        response.manager_id = manager_at(view.account.matches_and_applications.managers, at_ns)
    return response


def _match(view: View, match: Match) -> pb.Match:
    """Return a match as it stood at as_of; its grant may have been taken back since it was approved."""
    at_ns = view.instant.as_of_ns
    claim, settled = match.claim, match.settled_time_ns <= at_ns
    expires_ns = None if settled else expiry(match, view.book)
    revoked = (grant.revoked_time_ns for grant in view.account.grants if grant.grant_id == match.grant_id)
    revoked_ns = next(revoked, NEVER_NS)
    message = pb.Match(
        match_id=match.match_id,
        venues=claim.venues,
        external_tier=claim.external_tier,
        period_from=timestamp(claim.period_from_ns),
        period_until=timestamp(claim.period_until_ns),
        external_volume=member_pb.ExternalVolume(spot=claim.spot_volume, futures=claim.futures_volume),
        evidence_sha256=claim.evidence_sha256,
        requested_time=timestamp(match.requested_time_ns),
        requested_by=match.requested_by,
        tier=match.tier,
    )
    status = match.status if settled else PENDING
    if settled:
        message.settled_time.CopyFrom(timestamp(match.settled_time_ns))
        message.grant_id, message.reason_code = match.grant_id, match.reason_code
        set_words(message, refused_because=Reason(match.reason).name if match.reason else "")
    elif expires_ns is not None and expires_ns <= at_ns:
        status = EXPIRED
        message.settled_time.CopyFrom(timestamp(expires_ns))
    if settled and revoked_ns <= at_ns:
        status = REVOKED
        message.revoked_time.CopyFrom(timestamp(revoked_ns))
    set_words(message, status=status)
    return message


def _application(view: View, application: Application) -> pb.Application:
    at_ns = view.instant.as_of_ns
    message = pb.Application(
        application_id=application.application_id,
        received_time=timestamp(application.received_time_ns),
        community_joined=application.community_joined,
    )
    if application.settled_time_ns <= at_ns:
        message.outcome = member_pb.ApplicationOutcome.Value(f"APPLICATION_OUTCOME_{application.outcome}")
        message.settled_time.CopyFrom(timestamp(application.settled_time_ns))
    start_ns, day = deadline(view.book, application, view.account.matches_and_applications.verified_time_ns)
    if start_ns is not None and day is not None and start_ns <= at_ns:
        message.deadline.CopyFrom(timestamp(overdue_from_ns(day)))
    return message


def _metric(metric: Metric) -> pb.BehaviourMetric:
    return pb.BehaviourMetric(
        position=metric.position,
        code=metric.code,
        value=metric.value,
        window_from=timestamp(metric.window_from_ns),
        window_until=timestamp(metric.window_until_ns),
    )
