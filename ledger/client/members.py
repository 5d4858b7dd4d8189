"""Matches, applications and metrics of behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from ledger.client.generated import Generated
from ledger.client.plain import Amount, Time, amount, timestamp
from ledger.client.requests import At, Command
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import member_service_pb2 as pb


class Members(Generated):
    """Methods about members with other values or defaults than the contract has. Times not given are now."""

    def request_match(
        self,
        account_id: str,
        *,
        venues: Sequence[str],
        external_tier: str,
        period_from: Time,
        period_until: Time,
        spot_volume: Amount = 0,
        futures_volume: Amount = 0,
        evidence_sha256: bytes,
        request_time: Time | None = None,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> pb.RequestMatchResponse:
        """Ask for the fee rates of a VIP elsewhere; look at `eligible` in the answer: not to be is no error here."""
        request = pb.RequestMatchRequest(
            account_id=account_id,
            venues=venues,
            external_tier=external_tier,
            period_from=timestamp(period_from, "period_from"),
            period_until=timestamp(period_until, "period_until"),
            external_volume=_external(spot_volume, futures_volume),
            evidence_sha256=evidence_sha256,
            request_time=timestamp(request_time, "request_time"),
            programme_id=programme_id,
        )
        return self._command(self._member_service.RequestMatch, request, **command)

    def submit_application(
        self,
        account_id: str,
        *,
        received_time: Time | None = None,
        account_opened: bool = True,
        api_key_created: bool = True,
        community_joined: bool = False,
        form_submitted: bool = True,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> pb.SubmitApplicationResponse:
        """Record an application for membership, with the steps that are done."""
        request = pb.SubmitApplicationRequest(
            account_id=account_id,
            received_time=timestamp(received_time, "received_time"),
            account_opened=account_opened,
            api_key_created=api_key_created,
            community_joined=community_joined,
            form_submitted=form_submitted,
            programme_id=programme_id,
        )
        return self._command(self._member_service.SubmitApplication, request, **command)

    def record_behaviour_metric(
        self,
        account_id: str,
        *,
        code: str,
        value: Amount,
        window_from: Time,
        window_until: Time,
        **command: Unpack[Command],
    ) -> pb.RecordBehaviourMetricResponse:
        """Record what was measured of an account's behaviour; its position is evidence for a ban."""
        request = pb.RecordBehaviourMetricRequest(
            account_id=account_id,
            code=code,
            value=amount(value, "value"),
            window_from=timestamp(window_from, "window_from"),
            window_until=timestamp(window_until, "window_until"),
        )
        return self._command(self._member_service.RecordBehaviourMetric, request, **command)

    def check_match_eligibility(
        self,
        account_id: str,
        *,
        spot_volume: Amount = 0,
        futures_volume: Amount = 0,
        programme_id: str = "",
        timeout_s: float | None = None,
        **at: Unpack[At],
    ) -> queries_pb.CheckMatchEligibilityResponse:
        """Return if a match requested at as_of would be eligible, and why not."""
        request = queries_pb.CheckMatchEligibilityRequest(
            account_id=account_id,
            external_volume=_external(spot_volume, futures_volume),
            programme_id=programme_id,
            at=self._at(**at),
        )
        return self._call(self._member_query_service.CheckMatchEligibility, request, timeout_s)


def _external(spot: Amount, futures: Amount) -> pb.ExternalVolume:
    return pb.ExternalVolume(spot=amount(spot, "spot_volume"), futures=amount(futures, "futures_volume"))
