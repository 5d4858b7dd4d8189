"""MemberQueryService: what the back office asks about members and rewards. Each answer lies in a module of its own."""

from __future__ import annotations

from typing import Any

from ledger.v1 import member_query_service_pb2 as pb
from ledger.v1 import member_query_service_pb2_grpc as pb_grpc
from ledger.wire.status import refusals
from projections.answers.applications import list_applications
from projections.answers.membership import check_match_eligibility, get_entitlements, get_membership
from projections.answers.rewards import check_promotion_eligibility, list_bounty_rounds, list_months_without_promotion
from projections.as_of import Reader


class MemberQueryService(pb_grpc.MemberQueryServiceServicer):
    """Handlers of the read RPCs about members and rewards."""

    def __init__(self, reader: Reader, schema: str) -> None:
        self._reader = reader
        self._schema = schema

    def GetMembership(self, request: pb.GetMembershipRequest, context: Any) -> pb.GetMembershipResponse:
        with refusals(context):
            return get_membership(self._reader, request)
        raise AssertionError("refusals end the call")

    def CheckMatchEligibility(
        self, request: pb.CheckMatchEligibilityRequest, context: Any
    ) -> pb.CheckMatchEligibilityResponse:
        with refusals(context):
            return check_match_eligibility(self._reader, request)
        raise AssertionError("refusals end the call")

    def GetEntitlements(self, request: pb.GetEntitlementsRequest, context: Any) -> pb.GetEntitlementsResponse:
        with refusals(context):
            return get_entitlements(self._reader, request)
        raise AssertionError("refusals end the call")

    def CheckPromotionEligibility(
        self, request: pb.CheckPromotionEligibilityRequest, context: Any
    ) -> pb.CheckPromotionEligibilityResponse:
        with refusals(context):
            return check_promotion_eligibility(self._reader, request)
        raise AssertionError("refusals end the call")

    def ListMonthsWithoutPromotion(
        self, request: pb.ListMonthsWithoutPromotionRequest, context: Any
    ) -> pb.ListMonthsWithoutPromotionResponse:
        with refusals(context):
            return list_months_without_promotion(self._reader, request)
        raise AssertionError("refusals end the call")

    def ListBountyRounds(self, request: pb.ListBountyRoundsRequest, context: Any) -> pb.ListBountyRoundsResponse:
        with refusals(context):
            return list_bounty_rounds(self._reader, request)
        raise AssertionError("refusals end the call")

    def ListApplications(self, request: pb.ListApplicationsRequest, context: Any) -> pb.ListApplicationsResponse:
        with refusals(context):
            return list_applications(self._reader, self._schema, request)
        raise AssertionError("refusals end the call")
