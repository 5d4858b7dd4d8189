"""CheckPromotionEligibility, ListMonthsWithoutPromotion and ListBountyRounds."""

from __future__ import annotations

from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.decide.promotion import promotion_refused, type_unknown
from ledger.domain.decide.standing import tier_at
from ledger.domain.events import PromotionAnnounced
from ledger.domain.refusal import Reason
from ledger.domain.rules.api_promotion import API_EXCLUSIVE, months_without_promotion
from ledger.domain.state.programme import NO_TIER
from ledger.domain.streams import BOUNTY_PREFIX, PROMOTIONS, subject_of
from ledger.v1 import member_query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, read_ns, required_id
from ledger.wire.status import timestamp
from projections.answers.vip_state import programme_of
from projections.as_of import Reader, check_times


def check_promotion_eligibility(
    reader: Reader, request: pb.CheckPromotionEligibilityRequest
) -> pb.CheckPromotionEligibilityResponse:
    """Answer if an account may take part in a kind of promotion at as_of, by the rule that awards its bonus."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        promotion_type = shape(required_id, request.promotion_type, "promotion_type")
        programme_id = shape(optional_id, request.programme_id, "programme_id")
        shape(check_times, request.at)
    view = reader.view(request.at, account_id)
    programme = programme_of(view, programme_id)
    response = pb.CheckPromotionEligibilityResponse(basis=view.instant.basis(reader.ledger_id), tier=NO_TIER)
    if programme is None:
        set_words(response, refused_because=Reason.PROMOTION_NOT_ELIGIBLE.name)
        return response
    at_ns = view.instant.as_of_ns
    no = type_unknown([programme], promotion_type) or promotion_refused(view.account, programme, promotion_type, at_ns)
    response.tier = tier_at(view.account, programme, at_ns)
    response.eligible = no is None
    set_words(response, refused_because=no.reason.name if no else "")
    return response


def list_months_without_promotion(
    reader: Reader, request: pb.ListMonthsWithoutPromotionRequest
) -> pb.ListMonthsWithoutPromotionResponse:
    """Answer with the months over at as_of in which no promotion for API users started."""
    with Shape() as shape:
        from_ns = shape(read_ns, request.from_time, "from_time") if request.HasField("from_time") else None
        shape(check_times, request.at)
    instant = reader.instant(request.at)
    events = (recorded.event for recorded in reader.log.streams([PROMOTIONS], instant.known.position))
    promotions = [event for event in events if isinstance(event, PromotionAnnounced)]
    starts_ns = [event.start_time_ns for event in promotions if event.promotion_type == API_EXCLUSIVE]
    if from_ns is None:
        from_ns = min([reader.began_ns, *(event.start_time_ns for event in promotions)])
    months = months_without_promotion(starts_ns, from_ns, instant.as_of_ns)
    return pb.ListMonthsWithoutPromotionResponse(basis=instant.basis(reader.ledger_id), months=months)


def list_bounty_rounds(reader: Reader, request: pb.ListBountyRoundsRequest) -> pb.ListBountyRoundsResponse:
    """Answer with the weeks that have a report or a close by as_of."""
    with Shape() as shape:
        shape(check_times, request.at)
    instant = reader.instant(request.at)
    rounds: dict[str, Round] = {}
    for recorded in reader.log.below(BOUNTY_PREFIX, instant.known.position):
        week = subject_of(recorded.stream)
        rounds[week] = evolve_round(rounds.get(week, Round(week)), recorded)
    found = (_round(rounds[week], instant.as_of_ns) for week in sorted(rounds))
    return pb.ListBountyRoundsResponse(
        basis=instant.basis(reader.ledger_id),
        rounds=[
            message
            for message in found
            if (message.reports or message.HasField("closed_time"))
            and not (request.open_only and message.HasField("closed_time"))
        ],
    )


def _round(found: Round, at_ns: int) -> pb.BountyRound:
    message = pb.BountyRound(
        week=found.week,
        reports=sum(report.reported_time_ns <= at_ns for report in found.reports.values()),
        awarded=len(found.awarded),
    )
    if found.closed_time_ns <= at_ns:
        message.closed_time.CopyFrom(timestamp(found.closed_time_ns))
    return message
