"""Each control over gRPC: what it finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import fill_pb2
from ledger.v1.command_pb2 import Authority
from ledger.v1.control_service_pb2 import Finding, ListControlsRequest, ListFindingsRequest
from ledger.v1.evaluation_service_pb2 import EVALUATION_KIND_POST_TRIAL
from projections import searches as module
from projections.controls import CONTROLS
from projections.searches import Page, Search, Searches
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, run
from tests.e2e.rules.evaluating import trade as traded
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, send
from tests.server.orders import (
    DIGEST,
    application,
    approve_match,
    ban,
    classify,
    close,
    close_round,
    credit,
    family,
    feedback,
    flag,
    lift,
    promotion,
    publish,
    reject_match,
    request_match,
    revoke,
    settle,
    tier,
    trial,
    unflag,
    verify,
    withdraw,
)

DAY = at(NOON_NS + DAY_NS)
MAKER = fill_pb2.LIQUIDITY_MAKER


def found(ledger: Ledger, control: str, **asked: Any) -> list[Finding]:
    await_tables(ledger)
    return list(send(ledger, ListFindingsRequest(control=control, **asked)).findings)


def subjects(ledger: Ledger, control: str, **asked: Any) -> list[str]:
    return [finding.finding_id.removeprefix(f"{control}/") for finding in found(ledger, control, **asked)]


def do(ledger: Ledger, *requests: Message) -> None:
    for request in requests:
        send(ledger, request)


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def test_every_control_is_named_as_it_is_asked_for(ledger: Ledger) -> None:
    controls = send(ledger, ListControlsRequest()).controls
    assert [control.name for control in controls] == sorted(CONTROLS)
    assert all(control.description for control in controls)


def test_nothing_is_found_in_a_ledger_without_members(ledger: Ledger) -> None:
    assert found(ledger, "") == []


# --- bans -------------------------------------------------------------------------------------------------------------


def bans(ledger: Ledger, account_id: str, *rows: tuple[int, int]) -> None:
    """Bans by (days before noon at which they start, days)."""
    for days_ago, days in rows:
        send(ledger, ban(account_id, days, start_time=at(NOON_NS - days_ago * DAY_NS)))


def test_bans_that_touch_are_one_and_are_found_when_they_last_over_seven_days(ledger: Ledger) -> None:
    bans(ledger, "touching", (8, 7), (1, 1))
    bans(ledger, "overlapping", (8, 7), (4, 5))
    bans(ledger, "seven", (7, 7), (3, 3))
    bans(ledger, "apart", (9, 4), (4, 4))
    assert [finding.account_id for finding in found(ledger, "continuous-bans")] == ["overlapping", "touching"]
    (first, _) = found(ledger, "continuous-bans")
    assert (first.details["days"], first.time) == ("9", at(NOON_NS + DAY_NS))


def test_a_lift_breaks_a_row_of_bans(ledger: Ledger) -> None:
    bans(ledger, "alice", (8, 7))
    send(ledger, lift("alice", lift_time=at(NOON_NS - 2 * DAY_NS)))
    bans(ledger, "alice", (1, 1))
    assert found(ledger, "continuous-bans") == []


def test_a_row_of_bans_is_found_for_the_days_looked_back(ledger: Ledger) -> None:
    bans(ledger, "alice", (20, 7), (14, 7))  # from 20 to 7 days ago
    assert subjects(ledger, "continuous-bans", as_of=at(NOON_NS), within_days=8)
    assert not subjects(ledger, "continuous-bans", as_of=at(NOON_NS), within_days=7)
    assert not subjects(ledger, "continuous-bans", as_of=at(NOON_NS - 21 * DAY_NS))


# --- what ends --------------------------------------------------------------------------------------------------------


def test_a_benefit_that_ends_is_found_unless_something_follows_it_without_a_gap(ledger: Ledger) -> None:
    end = at(NOON_NS + 30 * DAY_NS)
    for name in ("alone", "followed", "gap"):
        send(ledger, trial(name, start_time=at(NOON_NS)))
    send(ledger, tier("followed", "VIP1", valid_from=end))
    send(ledger, tier("gap", "VIP1", valid_from=at(NOON_NS + 30 * DAY_NS + 1)))
    send(ledger, tier("endless", "VIP1"))
    findings = found(ledger, "benefits-ending", as_of=at(NOON_NS))
    assert [(one.account_id, one.time) for one in findings] == [("alone", end), ("gap", end)]
    assert findings[0].message == "VIP3 of alone (TRIAL) ends 2024-11-03T12:00:00Z with nothing after it"
    assert dict(findings[0].details) == {"tier": "VIP3", "source": "TRIAL", "grant_id": "g1"}


def test_a_benefit_is_found_from_so_many_days_before_its_end_until_it_ends(ledger: Ledger) -> None:
    send(ledger, trial("alice", start_time=at(NOON_NS)))
    end_ns = NOON_NS + 30 * DAY_NS
    asked = {as_of_ns: subjects(ledger, "benefits-ending", as_of=at(as_of_ns), within_days=7)
             for as_of_ns in (end_ns - 7 * DAY_NS - 1, end_ns - 7 * DAY_NS, end_ns - 1, end_ns)}  # fmt: skip
    assert [len(names) for names in asked.values()] == [0, 1, 1, 0]


# --- volume -----------------------------------------------------------------------------------------------------------


def trade(ledger: Ledger, account_id: str, notional: str, **changes: Any) -> None:
    """A fill of so much USDT."""
    ledger.fills.RecordFills(batch(fill(account_id=account_id, last_px="1", last_qty=notional, **changes)))


def test_an_account_is_near_a_tier_when_a_tenth_of_its_volume_is_missing_or_less(ledger: Ledger) -> None:
    send(ledger, tier("keeps", "VIP2", valid_from=at(NOON_NS - DAY_NS)))
    for name, notional in (("keeps", "462500"), ("gives", "462500"), ("edge", "450000"), ("far", "449999.9999")):
        trade(ledger, name, notional)
    findings = found(ledger, "near-a-tier", as_of=at(NOON_NS))
    assert [finding.message for finding in findings] == [
        "edge: 50,000 USDT more by 2024-10-08 gives VIP2",
        "gives: 37,500 USDT more by 2024-10-08 gives VIP2",
        "keeps: 37,500 USDT more by 2024-10-08 keeps VIP2",
    ]
    assert findings[2].details["missing"] == "37500"


def test_volume_that_does_not_count_brings_nobody_near_a_tier(ledger: Ledger) -> None:
    trade(ledger, "web", "95000", channel=fill_pb2.CHANNEL_WEB)
    trade(ledger, "self", "95000", counterparty_owner_id="self")
    trade(ledger, "both", "50000")
    trade(ledger, "both", "45000", channel=fill_pb2.CHANNEL_WEB)
    trade(ledger, "old", "95000", transact_time=at(NOON_NS - 40 * DAY_NS))
    assert found(ledger, "near-a-tier", as_of=at(NOON_NS)) == []


def test_members_who_pay_more_than_without_a_tier_and_with_the_token_discount(ledger: Ledger) -> None:
    send(ledger, classify("XRP_USDT", "C"))
    send(ledger, symbol("DOT_USDT"))
    for name in ("worse", "better", "mixed"):
        send(ledger, tier(name, "VIP1", valid_from=at(NOON_NS - DAY_NS)))
    ledger.clock.now_ns += DAY_NS
    now = {"transact_time": at(NOON_NS + DAY_NS), "last_px": "1", "last_qty": "1000"}
    rows = (("worse", "XRP_USDT"), ("better", "DOT_USDT"), ("mixed", "XRP_USDT"), ("mixed", "DOT_USDT"))
    ledger.fills.RecordFills(batch(*(fill(account_id=name, symbol=pair, **now) for name, pair in rows)))
    (finding,) = found(ledger, "token-discount-better", as_of=at(NOON_NS + DAY_NS))
    # 0.24 % of 1,000 is 2.4; three quarters of 0.25 % are 1.875
    assert (finding.account_id, finding.details["saved"], finding.details["token"]) == ("worse", "0.525", "BMX")


def test_fills_during_a_ban_are_found_by_day(ledger: Ledger) -> None:
    bans(ledger, "alice", (1, 1))
    for time_ns in (NOON_NS - DAY_NS - 1, NOON_NS - DAY_NS, NOON_NS - 1, NOON_NS):
        trade(ledger, "alice", "7", transact_time=at(time_ns))
    assert subjects(ledger, "fills-during-bans") == ["alice/2024-10-03/USDT", "alice/2024-10-04/USDT"]
    first = found(ledger, "fills-during-bans")[0]
    assert dict(first.details) == {"day": "2024-10-03", "quote_currency": "USDT", "notional": "7", "lines": "1"}


# --- single trades ----------------------------------------------------------------------------------------------------


def cross(ledger: Ledger, trade_id: str, maker: str, taker: str, **changes: Any) -> None:
    """The two legs of a trade of 1,000 USDT."""
    common = {"trade_id": trade_id, "last_px": "1", "last_qty": "1000", **changes}
    ledger.fills.RecordFills(
        batch(
            fill(account_id=maker, liquidity=MAKER, counterparty_owner_id=taker, **common),
            fill(account_id=taker, counterparty_owner_id=maker, **common),
        )
    )


def test_a_trade_whose_legs_net_below_zero_is_found_with_both_accounts(ledger: Ledger) -> None:
    """No programme that can be published lets it happen within one version: here the legs are of two versions."""
    send(ledger, tier("mm", "VIP5", valid_from=at(NOON_NS - DAY_NS)))
    send(ledger, tier("taker", "VIP5", valid_from=at(NOON_NS - DAY_NS)))
    cross(ledger, "fine", "mm", "taker")
    leg = {"trade_id": "T9", "last_px": "1", "last_qty": "1000"}
    ledger.fills.RecordFills(batch(fill(account_id="mm", liquidity=MAKER, **leg)))
    free = ('A = { maker = "0%", taker = "0.02%" }', 'A = { maker = "0%", taker = "0%" }')  # VIP5
    send(ledger, publish("3.1", ("-0.001%", "0%"), free))
    later = at(ledger.log.head().recorded_time_ns)
    ledger.fills.RecordFills(batch(fill(account_id="taker", transact_time=later, **leg)))
    (finding,) = found(ledger, "trades-below-zero")
    assert finding.finding_id == "trades-below-zero/bitmart/XRP_USDT/T9"
    assert (finding.account_id, finding.details["counterparty_account_id"]) == ("mm", "taker")
    assert (finding.details["net"], finding.details["currency"]) == ("-0.01", "USDT")


def test_rebates_are_told_by_the_owner_on_the_other_side(ledger: Ledger) -> None:
    send(ledger, tier("mm", "VIP3", valid_from=at(NOON_NS - DAY_NS)))
    for number, taker in enumerate(("friend", "friend", "friend", "stranger")):
        cross(ledger, f"T{number}", "mm", taker)
    friend, stranger = found(ledger, "rebates-by-counterparty")
    assert (friend.details["rebates"], friend.details["percent"], friend.details["lines"]) == ("-0.03", "75", "3")
    assert stranger.message == "mm earned -0.01 USDT from trades with stranger in 30 days: 25 % of its rebates in USDT"


# --- duties -----------------------------------------------------------------------------------------------------------


def test_an_application_is_found_when_it_is_due_and_until_it_is_settled(ledger: Ledger) -> None:
    for name in ("waits", "settled"):
        send(ledger, application(name, received_time=at(NOON_NS)))  # due by 2024-10-18
    send(ledger, settle("settled"))
    last_ns = NOON_NS + 14 * DAY_NS
    assert subjects(ledger, "applications-due", as_of=at(last_ns - 6 * DAY_NS), within_days=5) == []
    (due,) = found(ledger, "applications-due", as_of=at(last_ns - 5 * DAY_NS), within_days=5)
    assert due.message == "application p1 of waits is due by the end of 2024-10-18"
    (overdue,) = found(ledger, "applications-due", as_of=at(last_ns + DAY_NS), within_days=5)
    assert overdue.message == "application p1 of waits is overdue since 2024-10-18"
    assert overdue.finding_id == due.finding_id


def test_a_week_is_found_until_its_bounty_round_is_closed(ledger: Ledger) -> None:
    send(ledger, feedback("alice"))  # Friday of 2024-W40
    ledger.clock.now_ns = NOON_NS + 5 * DAY_NS
    (open_,) = found(ledger, "bounty-weeks-open")
    assert open_.message == "the bounty round of 2024-W40 is not closed: 1 reports, 0 awarded"
    send(ledger, close_round("2024-W40"))
    assert found(ledger, "bounty-weeks-open") == []
    ledger.clock.now_ns = NOON_NS + 10 * DAY_NS
    assert subjects(ledger, "bounty-weeks-open") == ["2024-W41"]


def test_a_month_without_a_promotion_for_api_users_is_found_when_it_is_over(ledger: Ledger) -> None:
    november_ns = NOON_NS + 27 * DAY_NS + DAY_NS // 2
    assert subjects(ledger, "months-without-promotion", as_of=at(november_ns - 1)) == []
    assert subjects(ledger, "months-without-promotion", as_of=at(november_ns)) == ["2024-10"]
    send(ledger, promotion("october", start_time=at(NOON_NS), end_time=DAY))
    assert subjects(ledger, "months-without-promotion", as_of=at(november_ns)) == []


def after(days: int) -> Any:
    """Midnight, so many days after the clock's day."""
    return at(NOON_NS - DAY_NS // 2 + days * DAY_NS)


def test_what_waits_to_be_done_is_found_however_old_it_is_the_oldest_first(ledger: Ledger) -> None:
    for name, days_ago in (("late", 31), ("early", 50), ("between", 40)):
        send(ledger, trial(name, start_time=at(NOON_NS - days_ago * DAY_NS)))
        send(ledger, application(name, received_time=at(NOON_NS - days_ago * DAY_NS)))
        send(ledger, request_match(f"{name}-m"))
        ledger.clock.now_ns += 1
    oldest = ["early", "between", "late"]
    for asked in ({"as_of": after(900), "within_days": 1}, {"as_of": after(1), "within_days": 7}):
        assert subjects(ledger, "trials-open", **asked) == [f"{name}/g1" for name in oldest]
        assert subjects(ledger, "applications-due", **asked) == [f"{name}/p1" for name in oldest]
        assert subjects(ledger, "matches-pending", **asked) == [f"{name}-m/m1" for name in ("late", "early", "between")]
    told = [one.finding_id for page in pages(ledger, ListFindingsRequest(control="trials-open", as_of=DAY, page_size=1))
            for one in page.findings]  # fmt: skip
    assert told == [f"trials-open/{name}/g1" for name in oldest]


def test_a_match_is_found_until_a_second_person_has_decided(ledger: Ledger) -> None:
    for name in ("approved", "rejected", "waits"):
        send(ledger, request_match(name))
    ledger.clock.now_ns += DAY_NS
    do(ledger, approve_match("approved"), reject_match("rejected"))
    assert subjects(ledger, "matches-pending") == ["waits/m1"]
    assert subjects(ledger, "matches-pending", as_of=at(NOON_NS - 1)) == []
    assert len(subjects(ledger, "matches-pending", as_of=at(ledger.clock.now_ns - 1))) == 3
    (finding,) = found(ledger, "matches-pending")
    assert finding.message == "match m1 of waits (VIP2) waits for a second person since 2024-10-04T12:00:00Z"


def test_evaluations_and_bounty_weeks_are_found_until_they_are_done(ledger: Ledger) -> None:
    later: dict[str, Any] = {"as_of": after(120), "within_days": 7}
    assert [one.time for one in found(ledger, "evaluations-open", **later)][:2] == [after(4), after(14)]
    assert len(found(ledger, "evaluations-open", **later)) == 12
    weeks = subjects(ledger, "bounty-weeks-open", **later)
    assert (weeks[:2], len(weeks)) == (["2024-W40", "2024-W41"], 17)
    run(ledger)
    assert found(ledger, "evaluations-open", **later)[0].time == after(14)


def test_an_evaluated_member_is_named_only_once_no_other_evaluation_comes_before_its_tier_ends(ledger: Ledger) -> None:
    trade(ledger, "kept", "600000")
    run(ledger)  # of 8 October: VIP2 until 7 November
    named = {day: subjects(ledger, "benefits-ending", as_of=after(day)) for day in range(4, 36)}
    first = next(day for day, names in named.items() if names)
    assert (first, named[34], named[33] != []) == (24, [], True), (
        "from 28 October on, the last evaluation before the end"
    )
    assert all(named[day] for day in range(24, 34))
    ledger.clock.now_ns = after(25).ToNanoseconds()
    run(ledger, instant=after(24))  # of 28 October, which gives it again
    assert [subjects(ledger, "benefits-ending", as_of=after(day)) for day in (24, 28, 33)] == [[], [], []]


# --- pages ------------------------------------------------------------------------------------------------------------


def pages(ledger: Ledger, request: ListFindingsRequest) -> Iterable[Any]:
    while True:
        page = send(ledger, request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


@pytest.mark.parametrize("page_size", [1, 2, 3, 7])
def test_pages_hold_every_finding_of_every_control_once_though_more_happens_meanwhile(
    ledger: Ledger, page_size: int
) -> None:
    for name in ("a", "a-b", "a.c", "b"):  # ids around the separator of a finding's own
        bans(ledger, name, (8, 7), (2, 2))
        send(ledger, trial(name))
    whole = [finding.finding_id for finding in found(ledger, "", as_of=DAY)]
    assert len(whole) == len(set(whole)) == 8
    told: list[str] = []
    for page in pages(ledger, ListFindingsRequest(as_of=DAY, page_size=page_size)):
        told += [finding.finding_id for finding in page.findings]
        send(ledger, trial(f"meanwhile-{len(told)}", authority=Authority()))
        await_tables(ledger)
    assert told == whole


def test_a_page_sequence_sees_what_its_first_page_saw_and_goes_on_in_the_present_once_it_has_rested(
    ledger: Ledger,
) -> None:
    for name in ("a", "b", "c"):
        send(ledger, trial(name))
    now_ns = NOON_NS + DAY_NS
    page = Page(Search("benefits-ending", now_ns, 60, "", await_tables(ledger)), "", 1, now_ns)
    searches, told = Searches(ledger.log.connections), []

    def next_page() -> None:
        nonlocal page
        (one,) = searches.page(page)
        told.append(one.finding.account_id)
        page = page._replace(after=one.place)

    next_page()
    for name in ("a-1", "aa", "bb"):
        send(ledger, trial(name))
    await_tables(ledger)
    next_page()
    searches.rest()
    next_page()
    assert told == ["a", "b", "bb"]
    searches.rest()


def test_searches_that_found_nothing_are_not_remembered_for_ever(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_MAX", 3)
    searches, position = Searches(ledger.log.connections), await_tables(ledger)
    for number in range(5):
        search = Search("continuous-bans", NOON_NS + number, 30, "", position)
        assert searches.page(Page(search, "", 10, NOON_NS)) == []
    assert len(searches._remembered) == 3


def test_an_evaluation_is_found_until_it_is_run_and_nobody_waits_for_a_close(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol("XRP_BTC"))
    ledger.fills.RecordFills(batch(fill(symbol="XRP_BTC", last_px="1", last_qty="2")))
    assert found(ledger, "evaluations-open", as_of=at(DUE_NS - 1)) == []
    assert messages(ledger, at(DUE_NS)) == ["was not run"]
    run(ledger)
    later = at(DUE_NS + DAY_NS)
    assert messages(ledger, later) == ["left out 1 account for want of closes: BTC 2024-10-04"]
    send(ledger, close("BTC", "2024-10-04"))
    run(ledger)
    assert messages(ledger, later) == []


def messages(ledger: Ledger, as_of: Any) -> list[str]:
    """Return what is said of the evaluation of the 8th of October."""
    name = "the evaluation of bitmart-api-vip at 2024-10-08T00:00:00Z "
    return [one.message.removeprefix(name) for one in found(ledger, "evaluations-open", as_of=as_of)]


def test_an_evaluation_that_was_run_a_day_late_is_found(ledger: Ledger) -> None:
    for days, says in ((0, []), (10, ["was run 1 day late"])):
        at_ns = DUE_NS + days * DAY_NS
        ledger.clock.now_ns = at_ns + (DAY_NS if says else DAY_NS - SECOND_NS)
        run(ledger, instant=at(at_ns))
        asked = {"as_of": at(ledger.clock.now_ns + SECOND_NS), "within_days": 9}
        told = [one.message.partition("Z ")[2] for one in found(ledger, "evaluations-open", **asked)]
        assert told == says


def test_a_trial_is_found_from_its_end_until_its_volume_is_evaluated(ledger: Ledger) -> None:
    do(ledger, trial("alice", start_time=at(NOON_NS - 30 * DAY_NS + 1)))
    assert found(ledger, "trials-open", as_of=at(NOON_NS)) == []
    assert subjects(ledger, "trials-open", as_of=at(NOON_NS + 1)) == ["alice/g1"]
    run(ledger, kind=EVALUATION_KIND_POST_TRIAL)
    assert found(ledger, "trials-open", as_of=at(NOON_NS + 1)) == []


def test_a_source_that_sent_other_fills_under_its_numbers_is_found_with_these_numbers(ledger: Ledger) -> None:
    numbered = {"source": "engine", "first_sequence": 1}
    ledger.fills.RecordFills(batch(*(fill() for _ in range(8)), **numbered))
    ledger.fills.RecordFills(batch(fill(), source="other", first_sequence=1))
    assert found(ledger, "source-conflicts") == []
    ledger.fills.RecordFills(batch(fill(), source="engine", first_sequence=3))
    (one,) = found(ledger, "source-conflicts")
    assert one.message == "engine sent 1 fill under a number that names another, and not recorded: 3"
    ledger.clock.now_ns += DAY_NS
    ledger.fills.RecordFills(batch(*(fill() for _ in range(7)), **numbered))
    (many,) = found(ledger, "source-conflicts")
    assert many.message == "engine sent 8 fills under numbers that name others, and not recorded: 1, 2, 3, 4, 5, ..."
    assert many.finding_id == one.finding_id == "source-conflicts/engine"
    ledger.fills.RecordFills(batch(fill(), source="engine", first_sequence=9))
    assert [each.message for each in found(ledger, "source-conflicts")] == [many.message]
    (earlier,) = found(ledger, "source-conflicts", as_of=at(NOON_NS + DAY_NS // 2))
    assert earlier.message == one.message
    assert subjects(ledger, "source-conflicts", as_of=at(NOON_NS + 40 * DAY_NS)) == []


# --- matches, reviews and applications --------------------------------------------------------------------------------


def test_one_document_for_matches_of_two_owners_is_found_and_for_one_owner_it_is_not(ledger: Ledger) -> None:
    do(ledger, *family("owner", "carol", "carol-2"), request_match("carol"), request_match("carol-2"))
    assert found(ledger, "shared-evidence") == []
    do(ledger, request_match("dave", spot="1"), request_match("erin", evidence_sha256=b"\x02" * 32))
    (finding,) = found(ledger, "shared-evidence")
    assert finding.finding_id == f"shared-evidence/{DIGEST.hex()}"
    assert finding.details["owners"] == "dave, owner", "a claim that was refused counts too"
    assert finding.details["accounts"] == "carol, carol-2, dave"
    assert found(ledger, "shared-evidence", as_of=at(NOON_NS - 1)) == []


def test_accounts_whose_fills_name_other_owners_than_they_have_are_found(ledger: Ledger) -> None:
    """One that is not registered may have one owner; a registered one only its own."""

    def name(account_id: str, *owners: str) -> None:
        ledger.fills.RecordFills(batch(*(fill(account_id=account_id, owner_id=owner_id) for owner_id in owners)))

    do(ledger, *family("acme", "alice", "bob"), *family("", "carol"))
    for account_id, *owners in (("alice", "acme"), ("bob", "zeta"), ("carol", "acme"), ("dave", "acme")):
        name(account_id, *owners)
    name("erin", "acme", "zeta", "acme", "erin")
    told = {one.account_id: one.message for one in found(ledger, "several-owners")}
    assert told == {
        "bob": "fills of bob name the owner zeta; it is registered under acme",
        "carol": "fills of carol name the owner acme; it is registered under carol",
        "erin": "fills of erin name the owners acme, zeta; it is not registered",
    }
    assert found(ledger, "several-owners", as_of=at(NOON_NS - 1)) == []
    name("frank", *(f"o{number}" for number in range(9)))
    (full,) = (one for one in found(ledger, "several-owners") if one.account_id == "frank")
    assert full.details["owners"] == ", ".join(f"o{number}" for number in range(8))
    assert "that are 8, and more are not recorded" in full.message


def test_a_volume_that_a_person_must_look_at_is_found_until_somebody_decides(ledger: Ledger) -> None:
    do(ledger, publish("3.1", ('above_top = "keep"', 'above_top = "manual_review"')))
    for account_id in ("alice", "bob"):
        traded(ledger, "50000000", account_id=account_id)
    traded(ledger, "49999999", account_id="carol")
    do(ledger, tier("bob", "VIP2", valid_until=at(DUE_NS + DAY_NS)))
    run(ledger)
    later = at(DUE_NS + 20 * DAY_NS)
    asked = {one.account_id: one.details["kept_tier"] for one in found(ledger, "manual-reviews-open", as_of=later)}
    assert asked == {"alice": "", "bob": "VIP2"}, "to keep a tier is no decision"
    assert found(ledger, "manual-reviews-open", as_of=at(DUE_NS - 1)) == []
    do(ledger, tier("alice", "VIP5"))
    (finding,) = found(ledger, "manual-reviews-open", as_of=later)
    assert (finding.account_id, finding.message.partition("; ")[2]) == ("bob", "it keeps VIP2 until then")
    do(ledger, revoke("bob", "g2"))
    assert found(ledger, "manual-reviews-open", as_of=later) == []


def test_a_granted_application_without_a_verified_identity_or_a_tier_is_found(ledger: Ledger) -> None:
    for account_id in ("erin", "dave", "carol"):
        do(ledger, application(account_id), settle(account_id, outcome=2 if account_id == "carol" else 1))
    told = {one.account_id: one.details["missing"] for one in found(ledger, "applications-granted", as_of=DAY)}
    assert told == dict.fromkeys(("dave", "erin"), "its API identity is not verified and it has had no tier since")
    do(ledger, verify("erin"), tier("dave"))
    told = {one.account_id: one.details["missing"] for one in found(ledger, "applications-granted", as_of=DAY)}
    assert told == {"dave": "its API identity is not verified", "erin": "it has had no tier since"}
    do(ledger, trial("erin"), verify("dave"))
    assert found(ledger, "applications-granted", as_of=DAY) == []


def test_credits_of_a_flagged_account_are_found_until_they_are_withdrawn_or_the_flag_ends(ledger: Ledger) -> None:
    do(ledger, tier("alice"), tier("bob"), credit("0.00000001", account_id="bob"))
    position = send(ledger, credit()).receipt.position
    assert found(ledger, "credits-while-flagged") == []
    do(ledger, flag("alice"), flag("bob"))
    tiny, five = sorted(found(ledger, "credits-while-flagged"), key=lambda one: one.details["credited"])
    assert (five.finding_id, five.account_id) == ("credits-while-flagged/alice/2024-10-04/USDT", "alice")
    assert (five.details["credited"], tiny.details["credited"]) == ("5 USDT", "0.00000001 USDT")
    do(ledger, withdraw(position))
    assert subjects(ledger, "credits-while-flagged") == ["bob/2024-10-04/USDT"]
    do(ledger, unflag("bob"))
    assert subjects(ledger, "credits-while-flagged") == []
