"""R9, over gRPC: reports of members, bonuses, one round per ISO week."""

from __future__ import annotations

from ledger.domain.events import BountyAwarded, BountyRoundClosed, FeedbackReported
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.bug_bounty import round_ends_ns
from ledger.v1.member_query_service_pb2 import ListBountyRoundsRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.server.calls import refused, send
from tests.server.orders import bounty, close_round, feedback, flag, tier, unflag

WEEK = "2024-W39"
LAST_NS = round_ends_ns(WEEK) - 1
REPORTED = at(LAST_NS)


def weeks(ledger: Ledger, *, open_only: bool = False, **read_at: object) -> list[str]:
    request = ListBountyRoundsRequest(open_only=open_only, at=ReadAt(**read_at))  # type: ignore[arg-type]
    return [found.week for found in ledger.member_queries.ListBountyRounds(request).rounds]


def test_a_member_reports_gets_a_bonus_and_the_round_is_closed_once(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP2", valid_from=REPORTED))
    reported = send(ledger, feedback("alice", kind=3, channel=1, report_time=REPORTED))
    assert (reported.week, reported.report_id) == (WEEK, "r1")
    awarded = send(ledger, bounty(WEEK, amount="50.50"))
    assert (awarded.account_id, awarded.tier) == ("alice", "VIP2")
    assert weeks(ledger, open_only=True) == [WEEK]
    closed = send(ledger, close_round(WEEK))
    assert weeks(ledger, open_only=True) == []
    assert weeks(ledger, open_only=True, known_at_position=closed.receipt.position - 1) == [WEEK]
    assert refused(ledger, close_round(WEEK)).reason == "BOUNTY_ROUND_CLOSED"
    assert refused(ledger, feedback("alice", report_time=REPORTED)).reason == "BOUNTY_ROUND_CLOSED"
    report, award, close, *_ = events(ledger, f"bounty/{WEEK}")
    assert report == FeedbackReported("r1", "alice", "IMPROVEMENT", "TELEGRAM", LAST_NS)
    assert award == BountyAwarded("r1", "alice", "50.5", "USDT", "VIP2")
    assert isinstance(close, BountyRoundClosed)


def test_membership_counts_at_the_time_of_the_report(ledger: Ledger) -> None:
    send(ledger, feedback("before", report_time=at(LAST_NS - 1)))
    send(ledger, feedback("after", report_time=at(LAST_NS)))
    for account_id in ("before", "after"):
        send(ledger, tier(account_id, valid_from=REPORTED, valid_until=at(LAST_NS + 1)))
    assert refused(ledger, bounty(WEEK, "r1")).reason == "NOT_A_MEMBER"
    assert send(ledger, bounty(WEEK, "r2")).account_id == "after"


def test_a_flagged_account_gets_no_bounty_until_it_is_unflagged(ledger: Ledger) -> None:
    send(ledger, tier("alice", valid_from=at(LAST_NS - DAY_NS)))
    send(ledger, feedback("alice", report_time=REPORTED))
    send(ledger, flag("alice", flag_time=at(LAST_NS + 1)))
    assert refused(ledger, bounty(WEEK)).reason == "ACCOUNT_FLAGGED"
    send(ledger, unflag("alice"))
    assert send(ledger, bounty(WEEK)).account_id == "alice"


def test_a_week_has_reports_and_open_rounds_as_of_an_instant(ledger: Ledger) -> None:
    send(ledger, feedback("alice", report_time=REPORTED))
    send(ledger, feedback("alice", report_time=at(NOON_NS)))
    found = [weeks(ledger, as_of=at(at_ns)) for at_ns in (LAST_NS - 1, LAST_NS, NOON_NS)]
    assert found == [[], [WEEK], [WEEK, "2024-W40"]]


def test_a_round_is_closed_when_its_week_is_over(ledger: Ledger) -> None:
    assert refused(ledger, close_round("2024-W40")).reason == "BOUNTY_ROUND_RUNNING"
    ledger.clock.now_ns = round_ends_ns("2024-W40") - 1_000
    assert refused(ledger, close_round("2024-W40")).reason == "BOUNTY_ROUND_RUNNING"
    ledger.clock.now_ns = round_ends_ns("2024-W40")
    assert send(ledger, close_round("2024-W40")).closed_time == at(round_ends_ns("2024-W40"))
