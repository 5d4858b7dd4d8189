"""What market makers, auditors and scripts ask, over gRPC."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from ledger.domain.instants import DAY_NS
from ledger.v1 import command_service_pb2 as commands_pb
from ledger.v1 import events_pb2, fill_pb2
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, StartLedger, at, refusal
from tests.samples import FOUR_EYES, batch, fill, history, request_id, state, symbol

MAKER = {"liquidity": fill_pb2.LIQUIDITY_MAKER}


@pytest.fixture
def ledger(start_ledger: StartLedger) -> Ledger:
    """A service whose readers have the patience to wait for the tables on a busy machine."""
    return start_ledger(read_wait_ms_max=20_000)


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def change_tier(ledger: Ledger, tier: str, account_id: str = "alice", **changes: Any) -> commands_pb.ChangeTierResponse:
    values = {
        "request_id": request_id(),
        "authority": FOUR_EYES,
        "account_id": account_id,
        "tier": tier,
        "valid_from": at(NOON_NS - DAY_NS),
    }
    answer: commands_pb.ChangeTierResponse = ledger.commands.ChangeTier(
        commands_pb.ChangeTierRequest(**{**values, **changes})
    )
    return answer


def quote(ledger: Ledger, **changes: Any) -> pb.QuoteFeeResponse:
    like = fill(**changes)
    names = ("account_id", "symbol", "side", "liquidity", "last_px", "last_qty", "channel", "token_payment")
    values = {name: getattr(like, name) for name in names if name != "token_payment" or like.HasField(name)}
    answer: pb.QuoteFeeResponse = ledger.queries.QuoteFee(pb.QuoteFeeRequest(**values))
    return answer


@pytest.mark.parametrize("tier", ["NONE", "VIP1", "VIP3", "VIP5"])
@pytest.mark.parametrize("liquidity", [fill_pb2.LIQUIDITY_MAKER, fill_pb2.LIQUIDITY_TAKER])
def test_a_quote_is_what_the_fill_then_costs(ledger: Ledger, tier: str, liquidity: Any) -> None:
    if tier != "NONE":
        change_tier(ledger, tier)
    quoted = quote(ledger, liquidity=liquidity)
    ledger.fills.RecordFills(batch(fill(liquidity=liquidity)))
    (line,) = history(ledger)
    assert (quoted.fee_amount, quoted.fee_currency, quoted.fee_type) == (
        line.fee_amount,
        line.fee_currency,
        line.fee_type,
    )
    assert (quoted.fee_basis, quoted.notional) == (line.basis, line.notional)


def test_a_quote_records_nothing_and_sees_what_was_just_written(ledger: Ledger) -> None:
    assert quote(ledger).fee_basis.rate == "0.0025"
    granted = change_tier(ledger, "VIP5")
    quoted = quote(ledger)
    assert (quoted.fee_basis.rate, quoted.basis.known_at_position) == ("0.0002", granted.receipt.position)
    assert ledger.log.head().position == granted.receipt.position
    assert state(ledger, known_at_position=granted.receipt.position - 1).tier == "NONE"


def test_a_quote_for_paying_in_the_token_has_its_discount_and_currency(ledger: Ledger) -> None:
    quoted = quote(ledger, token_payment=fill_pb2.TokenPayment(token="BMX", price="0.25"))
    assert (quoted.fee_amount, quoted.fee_currency, quoted.fee_basis.discount) == ("0.0375", "BMX", "0.25")


def rates(ledger: Ledger, **read_at: Any) -> pb.GetRatesResponse:
    answer: pb.GetRatesResponse = ledger.queries.GetRates(pb.GetRatesRequest(account_id="alice", at=ReadAt(**read_at)))
    return answer


def test_rates_say_how_long_they_hold_and_when_volume_is_evaluated_next(ledger: Ledger) -> None:
    change_tier(ledger, "VIP3", valid_until=at(NOON_NS + DAY_NS))
    found = rates(ledger)
    assert found.tier == "VIP3"
    first = found.rates[0]
    assert (first.pair_class, first.maker_rate, first.taker_rate) == ("A", "-0.00001", "0.0003")
    assert found.valid_until == at(NOON_NS + DAY_NS)
    assert found.next_evaluation_time.ToJsonString() == "2024-10-08T00:00:00Z"
    assert found.window_from.ToJsonString() == "2024-09-08T00:00:00Z"


def test_volume_is_counted_or_excluded_with_its_reason_and_nothing_is_lost(ledger: Ledger) -> None:
    change_tier(ledger, "VIP3")
    ledger.commands.BanAccount(
        commands_pb.BanAccountRequest(
            request_id=request_id(), account_id="alice", days=1, start_time=at(NOON_NS - 9), reason_code="ORDER_SPAM"
        )
    )
    before_ban = {"transact_time": at(NOON_NS - 10)}
    ledger.fills.RecordFills(
        batch(
            fill(last_qty="400000", **before_ban),
            fill(last_qty="2", channel=fill_pb2.CHANNEL_WEB, **before_ban),
            fill(last_qty="3", counterparty_owner_id="alice", **before_ban, **MAKER),
            fill(last_qty="4"),
            fill(last_qty="1000", **before_ban, **MAKER),
            fill(last_qty="7", transact_time=at(NOON_NS - 40 * DAY_NS)),
        )
    )
    found = rates(ledger)
    assert [(volume.quote_currency, volume.notional, volume.lines) for volume in found.counted] == [
        ("USDT", "200500", 2)
    ]
    excluded = [(entry.reason, entry.volume.notional, entry.volume.lines) for entry in found.excluded]
    assert excluded == [("BANNED", "2", 1), ("NOT_API", "1", 1), ("SELF_TRADE", "1.5", 1)]
    assert found.projected_tier == "VIP1"
    assert [(total.currency, total.amount) for total in found.rebates_earned] == [("USDT", "-0.005")]
    suppressed = [(entry.currency, entry.amount) for entry in found.rebates_suppressed]
    assert suppressed == [("USDT", "-0.000015")]
    assert found.banned


def test_volume_counts_up_to_as_of_and_known_at(ledger: Ledger) -> None:
    answers = [
        ledger.fills.RecordFills(batch(fill(transact_time=at(NOON_NS - days * DAY_NS)))) for days in (0, 1, 2, 3)
    ]
    assert [volume.lines for volume in rates(ledger).counted] == [4]
    assert [volume.lines for volume in rates(ledger, as_of=at(NOON_NS - DAY_NS)).counted] == [3]
    assert [volume.lines for volume in rates(ledger, known_at_position=answers[1].position).counted] == [2]


def test_a_fill_is_found_by_its_name_and_only_once_it_is_known(ledger: Ledger) -> None:
    answer = ledger.fills.RecordFills(batch(fill(exec_id="E1"), fill(exec_id="E2", last_qty="3")))
    ref = fill_pb2.FillRef(account_id="alice", day="2024-10-04", exec_id="E2")
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref))
    assert (found.line.fill_ref.exec_id, found.line.last_qty) == ("E2", "3")
    assert found.line == history(ledger)[1]
    before = pb.GetFillRequest(fill_ref=ref, at=ReadAt(known_at_position=answer.position - 1))
    assert refusal(ledger.queries.GetFill, before).reason == "FILL_UNKNOWN"
    ref.day = "2024-10-03"
    assert refusal(ledger.queries.GetFill, pb.GetFillRequest(fill_ref=ref)).reason == "FILL_UNKNOWN"


def test_a_fill_is_found_in_whichever_run_of_its_day_it_lies(ledger: Ledger) -> None:
    for number in range(1, 4):
        ledger.fills.RecordFills(batch(*(fill(exec_id=f"R{number}.{place}") for place in range(3))))
    for exec_id in ("R1.0", "R2.1", "R3.2"):
        ref = fill_pb2.FillRef(account_id="alice", day="2024-10-04", exec_id=exec_id)
        assert ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref)).line.fill_ref.exec_id == exec_id


def test_a_fill_says_in_words_what_its_fee_rests_on(ledger: Ledger) -> None:
    change_tier(ledger, "VIP3")
    position = ledger.fills.RecordFills(batch(fill(exec_id="E1", **MAKER))).position
    granted = change_tier(ledger, "VIP5", valid_from=at(NOON_NS - 2 * DAY_NS)).receipt.position
    ref = fill_pb2.FillRef(account_id="alice", day="2024-10-04", exec_id="E1")
    known = ReadAt(known_at_position=position)
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref, at=known)).explanation
    assert [(sentence.code, sentence.clause) for sentence in found] == [
        ("PROGRAMME", "A32"),
        ("MANUAL", "R25"),
        ("TIER_REBATE", "R2"),
        ("DISCOUNT_NOT_ASKED", "R20"),
        ("AMOUNT_EXACT", "A26"),
        ("NOT_ADJUSTED", "A31"),
    ]
    assert found[1].text == (
        "The tier was VIP3 by grant g1, given by hand by ops-1 and approved by ops-2, from 2024-10-03T12:00:00Z until"
        " further notice."
    )
    assert {one.name: one.value for one in found[2].parameters}["rate"] == "-0.00001"
    found = ledger.queries.GetFill(pb.GetFillRequest(fill_ref=ref)).explanation
    assert [(sentence.code, sentence.clause) for sentence in found] == [
        ("PROGRAMME", "A32"),
        ("MANUAL", "R25"),
        ("TIER_REBATE", "R2"),
        ("DISCOUNT_NOT_ASKED", "R20"),
        ("AMOUNT_EXACT", "A26"),
        ("ADJUSTED", "A31"),
        ("RELEASED", "A31"),
    ], "a better grant from before the fill"
    assert found[1].text == (
        "The tier was VIP5 by grant g2, given by hand by ops-1 and approved by ops-2, from 2024-10-02T12:00:00Z until"
        " further notice."
    )
    told = {one.name: one.value for one in found[5].parameters}
    assert (told["fee_before"], told["fee_after"]) == ("-0.00005", "-0.00005"), "makers of both have one rebate"
    assert (told["tier_before"], told["tier_after"]) == ("VIP3", "VIP5")
    assert (told["cause"], told["cause_position"]) == ("LATE_GRANT", str(granted))
    assert found[6].text == (
        f"The fact was released at position {granted + 1} by the programme itself (adjust), on a command of ops-1 that"
        " was approved by ops-2."
    )


def test_a_history_tells_the_volume_of_all_its_fills_on_every_page(ledger: Ledger) -> None:
    ledger.fills.RecordFills(batch(fill(last_qty="3"), fill(last_qty="4.5"), fill(transact_time=at(NOON_NS - DAY_NS))))
    request = pb.ListFeeHistoryRequest(account_id="alice", page_size=1, from_time=at(NOON_NS))
    while True:
        page = ledger.queries.ListFeeHistory(request)
        assert [(one.quote_currency, one.notional, one.lines) for one in page.volumes] == [("USDT", "3.75", 2)]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token


def accounts(ledger: Ledger, **changes: Any) -> list[tuple[str, str, bool]]:
    """(account, tier, banned) over all pages, of tables that have caught up."""
    request = pb.ListAccountsRequest(min_position=ledger.log.head().position, **{"page_size": 2, **changes})
    found: list[tuple[str, str, bool]] = []
    while True:
        page = ledger.queries.ListAccounts(request)
        found += [(entry.account_id, entry.tier, entry.banned) for entry in page.accounts]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def test_accounts_are_listed_by_tier_ban_owner_and_end_of_tier(ledger: Ledger) -> None:
    change_tier(ledger, "VIP1", "alice", valid_until=at(NOON_NS + DAY_NS))
    change_tier(ledger, "VIP1", "bob")
    change_tier(ledger, "VIP5", "carol", valid_until=at(NOON_NS + 9 * DAY_NS))
    ledger.commands.BanAccount(
        commands_pb.BanAccountRequest(
            request_id=request_id(), account_id="bob", days=1, start_time=at(NOON_NS), reason_code="ORDER_SPAM"
        )
    )
    ledger.commands.RegisterAccount(
        commands_pb.RegisterAccountRequest(request_id=request_id(), account_id="dora", owner_id="carol")
    )
    ledger.fills.RecordFills(batch(fill(account_id="eve")))
    everyone = [
        ("alice", "VIP1", False),
        ("bob", "VIP1", True),
        ("carol", "VIP5", False),
        ("dora", "NONE", False),
        ("eve", "NONE", False),
    ]
    assert accounts(ledger) == everyone
    assert accounts(ledger, tier="VIP1") == everyone[:2]
    assert accounts(ledger, tier="NONE") == everyone[3:]
    assert accounts(ledger, banned=True) == [everyone[1]]
    assert accounts(ledger, banned=False, tier="VIP1") == [everyone[0]]
    assert accounts(ledger, owner_id="carol") == everyone[2:4]
    assert accounts(ledger, ending_before=at(NOON_NS + 5 * DAY_NS)) == [everyone[0]]
    assert accounts(ledger, as_of=at(NOON_NS + DAY_NS), tier="VIP1") == [("bob", "VIP1", False)]
    assert accounts(ledger, as_of=at(NOON_NS - 2 * DAY_NS), tier="VIP5") == []


def events(ledger: Ledger, **changes: Any) -> list[pb.StoredEvent]:
    request = pb.ListEventsRequest(**{"page_size": 3, **changes})
    found: list[pb.StoredEvent] = []
    while True:
        page = ledger.queries.ListEvents(request)
        found += page.events
        if not page.next_page_token:
            return found
        change_tier(ledger, "VIP2", "meanwhile")
        request.page_token = page.next_page_token


def test_events_are_the_log_as_it_is_stored_frozen_over_the_pages(ledger: Ledger) -> None:
    granted = change_tier(ledger, "VIP1")
    ledger.fills.RecordFills(batch(fill()))
    head = ledger.log.head().position
    found = events(ledger)
    assert [event.position for event in found] == list(range(1, head + 1))
    assert [event.position for event in events(ledger, after_position=head - 2, page_size=9)][:2] == [head - 1, head]
    (event,) = events(ledger, stream="account/alice")
    assert (event.position, event.version, event.topic) == (granted.receipt.position, 1, "TierChanged")
    stored = events_pb2.TierChanged.FromString(event.state)
    assert (stored.tier, stored.envelope.request_id) == ("VIP1", event.request_id)


def test_the_ledger_says_what_it_is_and_how_far_its_tables_are(ledger: Ledger) -> None:
    change_tier(ledger, "VIP1")
    head = ledger.log.head()
    deadline = time.monotonic() + 10
    while (info := ledger.queries.GetLedgerInfo(pb.GetLedgerInfoRequest())).projections.lag_positions:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (info.ledger_id, info.position, info.writer_term) == (ledger.ledger_id, head.position, 1)
    assert (info.projections.position, info.projections.lag_ms) == (head.position, 0)
    (programme,) = info.programmes
    assert (programme.programme_id, programme.version, list(programme.venues)) == (
        "bitmart-api-vip",
        "3.0",
        ["bitmart"],
    )


def test_what_memory_says_of_now_is_what_the_log_says(ledger: Ledger) -> None:
    """An open read comes out of memory, a closed one at the same position out of the log."""
    for number, tier in enumerate(("VIP1", "VIP4", "VIP2")):
        change_tier(ledger, tier, valid_until=at(NOON_NS + number * DAY_NS + 1))
        position = ledger.log.head().position
        for ask in (state, rates):
            now = ask(ledger, as_of=at(NOON_NS))
            then = ask(ledger, as_of=at(NOON_NS), known_at_position=position)
            assert now.basis.known_at_open
            now.ClearField("basis")
            then.ClearField("basis")
            assert now == then
    assert Decimal(rates(ledger).rates[0].maker_rate) < 0
