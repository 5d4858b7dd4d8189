"""Reads that look wrong and are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from ledger.domain.instants import DAY_NS, EARLIEST_NS
from ledger.domain.refusal import Reason
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from ledger.v1.query_service_pb2 import (
    GetRatesRequest,
    GetVipStateRequest,
    ListAccountsRequest,
    ListEventsRequest,
    ListFeeHistoryRequest,
)
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.samples import batch, fill, history, state, symbol
from tests.server.bad_rows import AHEAD, U64_MAX
from tests.server.calls import await_tables, expected, head, refused, said, send
from tests.server.good_requests import KNOWN, good
from tests.server.instants import BEFORE_NOON, FIRST, IN_A_DAY, LAST, NOON
from tests.server.orders import register, trial


def test_reads_before_all_facts_are_answered(shared: Ledger) -> None:
    shared.fills.RecordFills(batch(fill(account_id="early")))
    send(shared, trial("early", start_time=NOON))
    for time_ns in (0, EARLIEST_NS, NOON_NS - 1):
        found = state(shared, "early", as_of=at(time_ns))
        assert (found.tier, found.known_account, found.trial_used, found.banned) == ("NONE", True, False, False)
        assert history(shared, "early", as_of=at(time_ns)) == []
        rates = shared.queries.GetRates(GetRatesRequest(account_id="early", at=ReadAt(as_of=at(time_ns))))
        assert (rates.tier, rates.banned, list(rates.counted), rates.projected_tier) == ("NONE", False, [], "NONE")
    assert state(shared, "early", as_of=NOON).tier == "VIP3"


BEFORE_THE_LOG: Final[Sequence[tuple[str, Mapping[str, Any]]]] = [
    ("position 0", {"known_at_position": 0}),
    ("a time before the first commit", {"known_at_time": FIRST}),
    ("the last instant before the first commit", {"known_at_time": BEFORE_NOON}),
]


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_a_vip_state_known_before_the_log_began_is_that_of_an_unknown_account(
    shared: Ledger, kind: str, known_at: Mapping[str, Any]
) -> None:
    found = state(shared, "alice", **known_at)
    assert (found.known_account, found.tier, found.basis.known_at_position) == (False, "NONE", 0)
    assert not found.basis.HasField("known_at_time")
    assert not found.basis.known_at_open


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_a_fee_history_known_before_the_log_began_is_empty(
    shared: Ledger, kind: str, known_at: Mapping[str, Any]
) -> None:
    shared.fills.RecordFills(batch(fill()))
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", at=ReadAt(**known_at)))
    assert (list(page.lines), list(page.totals), page.next_page_token) == ([], [], "")
    assert (page.basis.known_at_position, page.basis.known_at_open) == (0, False)
    assert not page.basis.HasField("known_at_time")


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_rates_known_before_the_log_began_are_none(shared: Ledger, kind: str, known_at: Mapping[str, Any]) -> None:
    found = shared.queries.GetRates(GetRatesRequest(account_id="alice", at=ReadAt(**known_at)))
    assert (found.tier, list(found.rates), list(found.counted), found.programme_id) == ("NONE", [], [], "")
    assert (found.basis.known_at_position, found.basis.known_at_open) == (0, False)


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_there_are_no_events_before_the_log_began(shared: Ledger, kind: str, known_at: Mapping[str, Any]) -> None:
    page = shared.queries.ListEvents(ListEventsRequest(at=ReadAt(**known_at)))
    assert (list(page.events), page.next_page_token) == ([], "")
    assert (page.basis.known_at_position, page.basis.known_at_open) == (0, False)


def test_a_read_known_in_the_far_future_is_answered_at_the_last_position_and_says_it_is_open(shared: Ledger) -> None:
    future = ReadAt(known_at_time=LAST)
    for answer in (
        shared.queries.GetVipState(GetVipStateRequest(account_id="alice", at=future)),
        shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", at=future)),
        *(send(shared, good(method, {"at": future})) for method in ("GetRates", "QuoteFee", "GetFill", "ListEvents")),
    ):
        assert answer.basis.known_at_open
        assert answer.basis.known_at_position == head(shared)


def test_an_account_nobody_heard_of_has_a_state_and_an_empty_history(shared: Ledger) -> None:
    found = state(shared, "nobody")
    assert (found.known_account, found.account_id, found.owner_id, found.tier) == (False, "nobody", "nobody", "NONE")
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="nobody"))
    assert (list(page.lines), list(page.totals), page.next_page_token) == ([], [], "")


def test_an_account_nobody_heard_of_has_the_rates_of_those_without_a_tier(shared: Ledger) -> None:
    rates = shared.queries.GetRates(GetRatesRequest(account_id="nobody"))
    assert (rates.tier, rates.banned, rates.projected_tier) == ("NONE", False, "NONE")
    assert {(row.maker_rate, row.taker_rate) for row in rates.rates} == {("0.0025", "0.0025")}
    assert not rates.HasField("valid_until")
    quoted = send(shared, good("QuoteFee", {"account_id": "nobody", "token_payment": None}))
    assert (quoted.notional, quoted.fee_amount, quoted.fee_currency, quoted.fee_type) == (
        "5",
        "0.0125",
        "USDT",
        "CHARGE",
    )
    assert (quoted.fee_basis.tier, quoted.fee_basis.rate_source, quoted.banned) == ("NONE", "BASE", False)
    assert not state(shared, "nobody").known_account, "asking leaves no trace"


NO_ACCOUNTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "of an owner nobody heard of": {"owner_id": "nobody"},
    "of a tier nobody has at the beginning": {"tier": "VIP5", "as_of": at(0)},
    "without a tier that ends": {"tier": "NONE", "ending_before": LAST},
    "with a tier that ends before it began": {"ending_before": at(0)},
    "banned at the beginning": {"banned": True, "as_of": at(0)},
}


@pytest.mark.parametrize("asked", NO_ACCOUNTS.values(), ids=list(NO_ACCOUNTS))
def test_conditions_that_no_account_meets_give_an_empty_list(shared: Ledger, asked: Mapping[str, Any]) -> None:
    page = shared.queries.ListAccounts(ListAccountsRequest(**asked))
    assert (list(page.accounts), page.next_page_token) == ([], "")
    assert page.position > 0


def test_accounts_can_be_asked_for_at_the_position_of_their_registration(shared: Ledger) -> None:
    position = send(shared, register("listed", "listed-owner")).receipt.position
    await_tables(shared)
    request = ListAccountsRequest(owner_id="listed-owner", banned=False, min_position=position)
    page = shared.queries.ListAccounts(request)
    assert [(found.account_id, found.tier, found.banned) for found in page.accounts] == [("listed", "NONE", False)]
    assert page.position >= position


@pytest.mark.parametrize("stream", ["account/nobody", "fees/nobody/2024-10-04", "fees/alice/2008-12-31", "nosuch"])
def test_a_stream_nobody_wrote_to_has_no_events(shared: Ledger, stream: str) -> None:
    page = shared.queries.ListEvents(ListEventsRequest(stream=stream))
    assert (list(page.events), page.next_page_token) == ([], "")


@pytest.mark.parametrize("beyond", [1, AHEAD, 2**63, U64_MAX - 1_000_000])
def test_there_are_no_events_after_a_position_beyond_the_log(shared: Ledger, beyond: int) -> None:
    last = head(shared)
    page = shared.queries.ListEvents(ListEventsRequest(after_position=last + beyond))
    assert (list(page.events), page.next_page_token, page.basis.known_at_position) == ([], "", last)
    page = shared.queries.ListEvents(ListEventsRequest(after_position=last - 1))
    assert [event.position for event in page.events] == [last]


def test_a_page_size_over_the_limit_is_taken_as_the_limit_and_none_as_the_default(start_ledger: StartLedger) -> None:
    ledger = start_ledger(page_size=2, page_size_max=3)
    ledger.commands.RegisterSymbol(symbol())
    ledger.fills.RecordFills(batch(*(fill() for _ in range(4)), *(fill(account_id=f"a{n}") for n in range(4))))
    await_tables(ledger)
    for asked, given in ((0, 2), (1, 1), (3, 3), (4, 3), (2**31 - 1, 3)):
        history_page = ledger.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", page_size=asked))
        accounts = ledger.queries.ListAccounts(ListAccountsRequest(page_size=asked))
        events = ledger.queries.ListEvents(ListEventsRequest(page_size=asked))
        assert (len(history_page.lines), len(accounts.accounts), len(events.events)) == (given, given, given), asked
        assert history_page.next_page_token
        assert accounts.next_page_token
        assert events.next_page_token


def test_a_fill_is_found_without_its_venue_whatever_as_of_says(shared: Ledger) -> None:
    found = send(shared, good("GetFill"))
    assert found.line.fill_ref == good("GetFill").fill_ref
    for values in ({"fill_ref.venue": None}, {"at.as_of": at(0)}, {"at.as_of": LAST}, {"at": None}):
        assert send(shared, good("GetFill", values)).line == found.line


def test_a_fill_is_found_from_its_own_position_on(shared: Ledger) -> None:
    position = send(shared, good("GetFill")).line.line_ref.position
    found = send(shared, good("GetFill", {"at.known_at_position": position}))
    assert (found.line.fill_ref.exec_id, found.basis.known_at_position) == (KNOWN.exec_id, position)
    earlier = refused(shared, good("GetFill", {"at.known_at_position": position - 1}))
    assert said(earlier) == expected(Reason.FILL_UNKNOWN, "fill_ref")


def test_a_source_nobody_heard_of_is_at_0(shared: Ledger) -> None:
    assert shared.fills.GetSourcePosition(GetSourcePositionRequest(source="nobody")).last_sequence == 0


def test_a_span_that_is_not_empty_but_lies_after_as_of_has_no_lines(shared: Ledger) -> None:
    span = {"from_time": IN_A_DAY, "until_time": at(NOON_NS + 2 * DAY_NS)}
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", **span))
    assert (list(page.lines), list(page.totals)) == ([], [])


def test_a_position_the_log_has_reached_can_be_asked_for(shared: Ledger) -> None:
    last = head(shared)
    found = state(shared, "alice", min_position=last, known_at_position=last)
    assert (found.basis.known_at_position, found.basis.known_at_open) == (last, False)
