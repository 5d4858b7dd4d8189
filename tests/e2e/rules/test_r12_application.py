"""R12, over gRPC: the steps of an application and the identity of the API user."""

from __future__ import annotations

import pytest

from ledger import programmes
from ledger.domain.events import ApiIdentityVerified, ApplicationSettled, ApplicationSubmitted
from ledger.domain.instants import DAY_NS
from ledger.v1.member_query_service_pb2 import GetMembershipRequest, GetMembershipResponse
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.instants import A_DAY_AGO, BEFORE_NOON, NOON
from tests.server.orders import application, settle, trial, verify


def membership(ledger: Ledger, at_ns: int) -> GetMembershipResponse:
    request = GetMembershipRequest(account_id="erin", at=ReadAt(as_of=at(at_ns)))
    found: GetMembershipResponse = ledger.member_queries.GetMembership(request)
    return found


def test_an_application_is_received_verified_and_granted(ledger: Ledger) -> None:
    send(ledger, application("erin", received_time=A_DAY_AGO, community_joined=True))
    send(ledger, verify("erin", verified_time=BEFORE_NOON))
    send(ledger, settle("erin", settle_time=NOON))
    assert events(ledger, "account/erin") == [
        ApplicationSubmitted("p1", "bitmart-api-vip", NOON_NS - DAY_NS, True, True, True, True),
        ApiIdentityVerified(NOON_NS - 1),
        ApplicationSettled("p1", "GRANTED", NOON_NS),
    ]
    instants = (NOON_NS - DAY_NS - 1, NOON_NS - DAY_NS, NOON_NS - 1, NOON_NS)
    found = [membership(ledger, at_ns) for at_ns in instants]
    assert [[one.outcome for one in found_.applications] for found_ in found] == [[], [0], [0], [1]]
    assert [found_.HasField("verified_time") for found_ in found] == [False, False, True, True]


def test_the_community_is_for_information_and_every_other_step_is_needed(ledger: Ledger) -> None:
    found = refused(ledger, application("erin", community_joined=True, form_submitted=False))
    assert (found.reason, found.field) == ("APPLICATION_INCOMPLETE", "form_submitted")
    assert send(ledger, application("erin", community_joined=False)).application_id == "p1"


def test_an_application_is_not_settled_before_it_was_received(ledger: Ledger) -> None:
    send(ledger, application("erin", received_time=NOON))
    assert refused(ledger, settle("erin", settle_time=BEFORE_NOON)).reason == "INTERVAL_EMPTY"
    assert send(ledger, settle("erin", settle_time=NOON, outcome=2)).settled_time == NOON
    assert send(ledger, application("erin")).application_id == "p2", "who was declined may apply again"


def test_an_earlier_date_of_verification_corrects_a_later_one(ledger: Ledger) -> None:
    send(ledger, verify("erin", verified_time=NOON))
    assert refused(ledger, verify("erin", verified_time=NOON)).reason == "IDENTITY_ALREADY_VERIFIED"
    send(ledger, verify("erin", verified_time=A_DAY_AGO))
    assert membership(ledger, NOON_NS - DAY_NS).verified_time == A_DAY_AGO


def test_a_trial_needs_no_verification(ledger: Ledger) -> None:
    assert send(ledger, trial("erin")).grant.tier == "VIP3"


def test_a_programme_may_ask_for_verification_before_a_trial(
    start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    lenient, strict = (f"requires_verified_api_user = {value}" for value in ("false", "true"))
    content = programmes.packaged()
    assert lenient in content
    monkeypatch.setattr(programmes, "packaged", lambda: content.replace(lenient, strict))
    ledger = start_ledger()
    send(ledger, application("erin", received_time=A_DAY_AGO))
    assert refused(ledger, trial("erin", start_time=NOON)).reason == "NOT_VERIFIED"
    assert refused(ledger, settle("erin", settle_time=NOON)).reason == "NOT_VERIFIED"
    send(ledger, verify("erin", verified_time=NOON))
    assert refused(ledger, trial("erin", start_time=BEFORE_NOON)).reason == "NOT_VERIFIED"
    assert send(ledger, trial("erin", start_time=NOON)).grant.tier == "VIP3"
    assert send(ledger, settle("erin", settle_time=NOON)).settled_time == NOON
