"""Commands and queries about members: flags, matches, applications, managers, behaviour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Unpack

import grpc

from ledger.client.calls import Calls
from ledger.client.commanding import Command
from ledger.client.plain import Amount, Time, amount, member, timestamp
from ledger.client.reads import At
from ledger.client.rewards import Rewards
from ledger.v1 import command_pb2, member_service_pb2_grpc
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import member_service_pb2 as pb


class Members(Rewards):
    """The methods of the client about members. Times not given are now."""

    def __init__(
        self, channel: grpc.Channel, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool
    ) -> None:
        super().__init__(channel, call, authority=authority, read_your_writes=read_your_writes)
        self._members: Final = member_service_pb2_grpc.MemberServiceStub(channel)

    def flag_account(
        self,
        account_id: str,
        *,
        kind: str | int,
        flag_time: Time | None = None,
        evidence_sha256: bytes = b"",
        **command: Unpack[Command],
    ) -> pb.FlagAccountResponse:
        """Flag an account as FAKE, or as created by a ROBOT: no grant counts until it is unflagged."""
        request = pb.FlagAccountRequest(
            account_id=account_id,
            kind=member(command_pb2.FlagKind, kind, "kind"),
            flag_time=timestamp(flag_time, "flag_time"),
            evidence_sha256=evidence_sha256,
        )
        return self._command(self._members.FlagAccount, request, **command)

    def unflag_account(
        self, account_id: str, *, unflag_time: Time | None = None, **command: Unpack[Command]
    ) -> pb.UnflagAccountResponse:
        """End every running flag: the grants that are left count again."""
        request = pb.UnflagAccountRequest(account_id=account_id, unflag_time=timestamp(unflag_time, "unflag_time"))
        return self._command(self._members.UnflagAccount, request, **command)

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
        return self._command(self._members.RequestMatch, request, **command)

    def approve_match(
        self, account_id: str, *, match_id: str, approve_time: Time | None = None, **command: Unpack[Command]
    ) -> pb.ApproveMatchResponse:
        """Approve a match that another person requested: a grant of 30 days."""
        request = pb.ApproveMatchRequest(
            account_id=account_id, match_id=match_id, approve_time=timestamp(approve_time, "approve_time")
        )
        return self._command(self._members.ApproveMatch, request, **command)

    def reject_match(
        self,
        account_id: str,
        *,
        match_id: str,
        reason_code: str,
        reject_time: Time | None = None,
        **command: Unpack[Command],
    ) -> pb.RejectMatchResponse:
        """Say no to a match; reason_code is for example EVIDENCE_FALSE."""
        request = pb.RejectMatchRequest(
            account_id=account_id,
            match_id=match_id,
            reason_code=reason_code,
            reject_time=timestamp(reject_time, "reject_time"),
        )
        return self._command(self._members.RejectMatch, request, **command)

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
        return self._command(self._members.SubmitApplication, request, **command)

    def verify_api_identity(
        self, account_id: str, *, verified_time: Time | None = None, **command: Unpack[Command]
    ) -> pb.VerifyApiIdentityResponse:
        """Record that the identity of an API user is verified."""
        request = pb.VerifyApiIdentityRequest(
            account_id=account_id, verified_time=timestamp(verified_time, "verified_time")
        )
        return self._command(self._members.VerifyApiIdentity, request, **command)

    def settle_application(
        self,
        account_id: str,
        *,
        application_id: str,
        outcome: str | int,
        settle_time: Time | None = None,
        **command: Unpack[Command],
    ) -> pb.SettleApplicationResponse:
        """An application is GRANTED or DECLINED."""
        request = pb.SettleApplicationRequest(
            account_id=account_id,
            application_id=application_id,
            outcome=member(pb.ApplicationOutcome, outcome, "outcome"),
            settle_time=timestamp(settle_time, "settle_time"),
        )
        return self._command(self._members.SettleApplication, request, **command)

    def assign_key_account_manager(
        self,
        account_id: str,
        *,
        manager_id: str,
        assign_time: Time | None = None,
        programme_id: str = "",
        **command: Unpack[Command],
    ) -> pb.AssignKeyAccountManagerResponse:
        """Give an account its key account manager."""
        request = pb.AssignKeyAccountManagerRequest(
            account_id=account_id,
            manager_id=manager_id,
            assign_time=timestamp(assign_time, "assign_time"),
            programme_id=programme_id,
        )
        return self._command(self._members.AssignKeyAccountManager, request, **command)

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
        return self._command(self._members.RecordBehaviourMetric, request, **command)

    def get_membership(
        self, account_id: str, *, timeout_s: float | None = None, **at: Unpack[At]
    ) -> queries_pb.GetMembershipResponse:
        """Flags, matches, applications, metrics and key account manager of an account."""
        request = queries_pb.GetMembershipRequest(account_id=account_id, at=self._at(**at))
        return self._call(self._member_queries.GetMembership, request, timeout_s)

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
        return self._call(self._member_queries.CheckMatchEligibility, request, timeout_s)

    def get_entitlements(
        self, account_id: str, *, programme_id: str = "", timeout_s: float | None = None, **at: Unpack[At]
    ) -> queries_pb.GetEntitlementsResponse:
        """Return what the tier in effect entitles to beside its rates, and the key account manager."""
        request = queries_pb.GetEntitlementsRequest(account_id=account_id, programme_id=programme_id, at=self._at(**at))
        return self._call(self._member_queries.GetEntitlements, request, timeout_s)

    def application_pages(
        self,
        *,
        as_of: Time | None = None,
        overdue: bool | None = None,
        due_within_business_days: int | None = None,
        programme_id: str = "",
        min_position: int = 0,
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> Iterator[queries_pb.ListApplicationsResponse]:
        """Pages of applications that are not settled at as_of, the earliest deadline first."""
        request = queries_pb.ListApplicationsRequest(
            as_of=timestamp(as_of, "as_of"),
            overdue=overdue,
            due_within_business_days=due_within_business_days,
            programme_id=programme_id,
            min_position=self._at_least(min_position),
            page_size=page_size,
        )
        return self._pages(self._member_queries.ListApplications, request, timeout_s)

    def list_applications(self, **conditions: Any) -> Iterator[queries_pb.ApplicationDue]:
        """Applications that are not settled; the conditions are those of `application_pages`."""
        return chain.from_iterable(page.applications for page in self.application_pages(**conditions))


def _external(spot: Amount, futures: Amount) -> pb.ExternalVolume:
    return pb.ExternalVolume(spot=amount(spot, "spot_volume"), futures=amount(futures, "futures_volume"))
