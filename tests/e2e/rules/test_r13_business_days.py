"""R13, over gRPC: an application is settled within ten business days of its receipt (A23)."""

from __future__ import annotations

import pytest

from ledger import programmes
from ledger.domain.events import ApplicationSubmitted
from ledger.domain.instants import DAY_NS, day_number
from ledger.v1.member_query_service_pb2 import ApplicationDue, GetMembershipRequest, ListApplicationsRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, StartLedger, at
from tests.e2e.rules.log import events
from tests.server.calls import await_tables, refused, send
from tests.server.orders import application, settle, verify


def start_of(day: str) -> int:
    return day_number(day) * DAY_NS


def due(ledger: Ledger, as_of_ns: int, **conditions: object) -> list[ApplicationDue]:
    await_tables(ledger)
    request = ListApplicationsRequest(as_of=at(as_of_ns), **conditions)  # type: ignore[arg-type]
    return list(ledger.member_queries.ListApplications(request).applications)


def test_received_on_a_saturday_it_is_due_at_the_end_of_the_friday_two_weeks_later(ledger: Ledger) -> None:
    received_ns = start_of("2024-09-07") + 5  # a Saturday
    deadline_ns = start_of("2024-09-21")  # the tenth business day is Friday the 20th
    send(ledger, application("erin", received_time=at(received_ns)))
    (submitted,) = events(ledger, "account/erin")
    assert isinstance(submitted, ApplicationSubmitted)
    assert submitted.received_time_ns == received_ns
    asked = GetMembershipRequest(account_id="erin", at=ReadAt(as_of=at(received_ns)))
    (found,) = ledger.member_queries.GetMembership(asked).applications
    assert found.deadline == at(deadline_ns)
    assert due(ledger, received_ns - 1) == []
    assert [one.overdue for at_ns in (deadline_ns - 1, deadline_ns) for one in due(ledger, at_ns)] == [False, True]
    assert due(ledger, deadline_ns - 1, overdue=True) == []
    assert [one.account_id for one in due(ledger, deadline_ns, overdue=True)] == ["erin"]


def test_what_is_due_within_some_business_days_is_found_and_what_is_overdue_is_not(ledger: Ledger) -> None:
    send(ledger, application("erin", received_time=at(start_of("2024-09-06"))))  # a Friday: due on Friday the 20th
    thursday_ns, friday_ns = start_of("2024-09-19"), start_of("2024-09-20")
    assert due(ledger, thursday_ns, due_within_business_days=0) == []
    assert len(due(ledger, thursday_ns, due_within_business_days=1)) == 1
    assert len(due(ledger, friday_ns, due_within_business_days=0)) == 1
    assert due(ledger, friday_ns + DAY_NS, due_within_business_days=5) == []


def test_a_settled_application_is_due_until_it_was_settled(ledger: Ledger) -> None:
    settled_ns = start_of("2024-09-10")
    send(ledger, application("erin", received_time=at(start_of("2024-09-06"))))
    send(ledger, settle("erin", settle_time=at(settled_ns)))
    assert [len(due(ledger, at_ns)) for at_ns in (settled_ns - 1, settled_ns)] == [1, 0]
    assert refused(ledger, settle("erin")).reason == "APPLICATION_SETTLED"


def test_the_earliest_deadline_comes_first(ledger: Ledger) -> None:
    for account_id, day in (("late", "2024-09-11"), ("early", "2024-09-02"), ("middle", "2024-09-05")):
        send(ledger, application(account_id, received_time=at(start_of(day))))
    assert [one.account_id for one in due(ledger, start_of("2024-09-12"))] == ["early", "middle", "late"]


def test_where_the_clock_starts_with_verification_holidays_and_both_stamps_are_kept(
    start_ledger: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = programmes.packaged()
    changed = content.replace('sla_start = "received"', 'sla_start = "verified"')
    changed = changed.replace("holidays = []", "holidays = [2024-09-20]")
    assert changed.count("verified") > content.count("verified")
    assert "2024-09-20" in changed
    monkeypatch.setattr(programmes, "packaged", lambda: changed)
    ledger = start_ledger()
    received_ns, verified_ns = start_of("2024-09-02"), start_of("2024-09-06")
    send(ledger, application("erin", received_time=at(received_ns)))
    (waiting,) = due(ledger, start_of("2024-10-01"))
    assert not waiting.HasField("deadline")
    assert not waiting.overdue
    send(ledger, verify("erin", verified_time=at(verified_ns)))
    (found,) = due(ledger, start_of("2024-09-24"), overdue=True)
    assert (found.received_time, found.verified_time) == (at(received_ns), at(verified_ns))
    assert found.deadline == at(start_of("2024-09-24")), "Monday the 23rd, for Friday the 20th is a holiday"
    (before,) = due(ledger, verified_ns - 1)
    assert not before.HasField("deadline")
