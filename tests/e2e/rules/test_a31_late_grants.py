"""A31 over gRPC: a grant is valid from the evaluation on, though it is recorded later: fees in between are adjusted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain.events import FeeAdjusted
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.v1.control_service_pb2 import ListFindingsRequest
from ledger.v1.fill_pb2 import FillRef, TokenPayment
from ledger.v1.query_service_pb2 import FeeLine, GetFillRequest, GetFillResponse, ListFeeHistoryRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, at
from tests.e2e.rules.evaluating import DUE_NS, counts, evaluated, run, trade
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import await_tables, send
from tests.server.orders import flag, publish, unflag

DAY: Final = day_text(DUE_NS // DAY_NS)  # 2024-10-08
LATER_NS: Final = DUE_NS + 3 * DAY_NS  # the evaluation is run then
REPEATED: Final = "again"


@pytest.fixture(autouse=True)
def _market(ledger: Ledger) -> None:
    """Alice has traded what VIP2 takes."""
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    trade(ledger, "500000")


def buy(ledger: Ledger, at_ns: int, quantity: str = "10", **changes: Any) -> str:
    """A taker's fill at a price of 1, and its exec_id: 0.25 % without a tier, 0.04 % with VIP2."""
    ledger.clock.now_ns = max(ledger.clock.now_ns, at_ns)
    record = fill(last_px="1", last_qty=quantity, transact_time=at(at_ns), **changes)
    assert ledger.fills.RecordFills(batch(record)).recorded == 1
    return str(record.exec_id)


def evaluate(ledger: Ledger) -> int:
    """Run the evaluation three days late; the position it began at."""
    ledger.clock.now_ns = LATER_NS
    return int(run(ledger)[0].receipt.position)


def since(ledger: Ledger, **read_at: Any) -> list[FeeLine]:
    """The history from the evaluation on."""
    values = {"as_of": at(LATER_NS), **read_at}
    return [line for line in history(ledger, **values) if line.transact_time.seconds * 10**9 >= DUE_NS]


def totals(ledger: Ledger, from_ns: int = DUE_NS, **read_at: Any) -> dict[str, tuple[str, str, int]]:
    request = ListFeeHistoryRequest(
        account_id="alice", from_time=at(from_ns), at=ReadAt(**{"as_of": at(LATER_NS), **read_at})
    )
    return {one.currency: (one.charges, one.rebates, one.lines) for one in send(ledger, request).totals}


def found_fill(ledger: Ledger, exec_id: str, day: str = DAY, **read_at: Any) -> GetFillResponse:
    ref = FillRef(account_id="alice", day=day, exec_id=exec_id)
    answer: GetFillResponse = ledger.queries.GetFill(GetFillRequest(fill_ref=ref, at=ReadAt(**read_at)))
    return answer


def test_an_adjusted_fee_is_explained_as_it_is_now_and_as_it_was_known_before(ledger: Ledger) -> None:
    exec_id = buy(ledger, DUE_NS)
    position = ledger.log.head().position
    evaluate(ledger)
    told = {sentence.code: sentence.text for sentence in found_fill(ledger, exec_id).explanation}
    assert "of the evaluation of 30-day volume as of 2024-10-08T00:00:00Z" in told["EVALUATION"]
    assert "was 500000 USDT, which gives VIP2" in told["VOLUME"]
    assert "from 0.025 USDT to 0.004 USDT" in told["ADJUSTED"]
    assert told["AMOUNT_EXACT"] == "The fee is 10 x 0.0004 = 0.004 USDT, exactly."
    told = {one.code: one.text for one in found_fill(ledger, exec_id, known_at_position=position).explanation}
    assert told["AMOUNT_EXACT"] == "The fee is 10 x 0.0025 = 0.025 USDT, exactly."
    assert {"NO_TIER", "NOT_ADJUSTED"} <= told.keys()


def test_fees_between_the_evaluation_and_its_run_are_adjusted_to_the_exact_difference(ledger: Ledger) -> None:
    before, first, later = buy(ledger, DUE_NS - 1), buy(ledger, DUE_NS), buy(ledger, DUE_NS + DAY_NS)
    position = evaluate(ledger)
    lines = since(ledger)
    shown = [(one.kind, one.fill_ref.exec_id, one.fee_amount, one.basis.tier) for one in lines]
    assert shown == [
        ("FILL", first, "0.025", "NONE"),
        ("ADJUSTMENT", first, "-0.021", "VIP2"),
        ("FILL", later, "0.025", "NONE"),
        ("ADJUSTMENT", later, "-0.021", "VIP2"),
    ]
    told = lines[1].adjustment
    assert (told.cause, told.fee_before, told.fee_after) == ("LATE_GRANT", "0.025", "0.004")
    assert (told.basis_before.tier, told.line_ref) == ("NONE", lines[0].line_ref)
    assert told.cause_position > position
    assert totals(ledger) == {"USDT": ("0.008", "0", 2)}
    assert not found_fill(ledger, before, "2024-10-07").adjustments, "it happened before the evaluation"
    (event,) = [one for one in events(ledger, f"fees/alice/{DAY}") if isinstance(one, FeeAdjusted)]
    assert [(one.exec_id, one.before.fee, one.after.fee) for one in event.lines] == [(first, 2_500_000, 400_000)]


def test_adjustments_are_read_as_they_were_known_and_where_their_fills_are(ledger: Ledger) -> None:
    first = buy(ledger, DUE_NS)
    buy(ledger, DUE_NS + SECOND_NS)
    position = evaluate(ledger)
    assert [line.kind for line in since(ledger, known_at_position=position)] == ["FILL"] * 2
    assert totals(ledger, known_at_position=position) == {"USDT": ("0.05", "0", 2)}
    cut = at(DUE_NS + SECOND_NS - 1)
    shown = [(line.kind, line.fill_ref.exec_id) for line in since(ledger, as_of=cut)]
    assert shown == [("FILL", first), ("ADJUSTMENT", first)]
    assert totals(ledger, as_of=cut) == {"USDT": ("0.004", "0", 1)}, "the day is cut: it is read line by line"
    assert totals(ledger, as_of=at(DUE_NS - 1)) == {}


def test_a_fill_has_the_fee_it_has_now_and_says_how_that_came(ledger: Ledger) -> None:
    name = buy(ledger, DUE_NS)
    position = evaluate(ledger)
    now = found_fill(ledger, name)
    assert (now.line.fee_amount, now.line.basis.tier, now.line.kind) == ("0.004", "VIP2", "FILL")
    assert [(one.fee_amount, one.adjustment.basis_before.tier) for one in now.adjustments] == [("-0.021", "NONE")]
    then = found_fill(ledger, name, known_at_position=position)
    assert (then.line.fee_amount, len(then.adjustments)) == ("0.025", 0)


def test_a_day_that_was_adjusted_goes_on(ledger: Ledger) -> None:
    """Totals, replays and conflicts behind an adjustment, with the day in memory and without."""
    record = fill(exec_id=REPEATED, last_px="1", last_qty="10", transact_time=at(DUE_NS))
    ledger.clock.now_ns = DUE_NS
    ledger.fills.RecordFills(batch(record))
    evaluate(ledger)
    again = ledger.fills.RecordFills(batch(record))
    assert (again.replayed, again.fees[0].fee_amount) == (1, "0.004"), "what it costs now"
    record.last_qty = "11"
    assert len(ledger.fills.RecordFills(batch(record)).refusals) == 1
    buy(ledger, DUE_NS + SECOND_NS)
    assert totals(ledger) == {"USDT": ("0.008", "0", 2)}
    assert [(one.kind, one.fee_amount) for one in since(ledger)] == [
        ("FILL", "0.025"),
        ("ADJUSTMENT", "-0.021"),
        ("FILL", "0.004"),
    ]


def test_the_tables_follow(ledger: Ledger, schema: str) -> None:
    buy(ledger, DUE_NS)
    evaluate(ledger)
    await_tables(ledger)
    table = Identifier(f"{schema}_read", "fee_days")
    statement = SQL("SELECT charges, rebates, lines FROM {} WHERE account_id = 'alice' AND day = %(day)s").format(table)
    assert ledger.log.query(statement, {"day": DAY}) == [(Decimal("0.004"), 0, 1)]


def test_a_fee_that_becomes_zero_moves_to_another_cell(ledger: Ledger) -> None:
    send(ledger, symbol("XRP_DAI", price_scale=2, quantity_scale=2, pair_class="B"))
    trade(ledger, "5000000", DUE_NS - DAY_NS // 2)  # VIP4: makers of class B pay nothing
    buy(ledger, DUE_NS, symbol="XRP_DAI", liquidity=1)
    evaluate(ledger)
    last = events(ledger, f"fees/alice/{DAY}")[-1]
    assert isinstance(last, FeeAdjusted)
    cells = {cell.key.zero_fee: (cell.notional, cell.lines) for cell in last.totals}
    assert cells == {False: ("0", 0), True: ("10", 1)}
    assert [(one.fee_amount, one.fee_type) for one in since(ledger)] == [("0.025", "CHARGE"), ("-0.025", "REBATE")]
    assert totals(ledger) == {"DAI": ("0", "0", 1)}


def test_a_fee_in_a_token_stays_in_it_at_the_price_of_its_own_fill(ledger: Ledger) -> None:
    """R20: with a tier there is no discount for paying in BMX: 0.004 USDT at 0.5."""
    exec_id = buy(ledger, DUE_NS, token_payment=TokenPayment(token="BMX", price="0.5"))
    evaluate(ledger)
    shown = [(one.kind, one.fee_amount, one.fee_currency) for one in since(ledger)]
    assert shown == [("FILL", "0.0375", "BMX"), ("ADJUSTMENT", "-0.0295", "BMX")]
    assert totals(ledger) == {"BMX": ("0.008", "0", 1)}
    told = {sentence.code: sentence.text for sentence in found_fill(ledger, exec_id).explanation}
    assert told["AMOUNT_EXACT"] == "The fee is 10 x 0.0004 / 0.5 = 0.008 BMX, exactly."


def test_the_sum_of_a_history_is_its_total_page_by_page(ledger: Ledger) -> None:
    for number in range(3):
        buy(ledger, DUE_NS + number, str(number + 1))
    evaluate(ledger)
    request = ListFeeHistoryRequest(account_id="alice", at=ReadAt(as_of=at(LATER_NS)), page_size=2)
    lines: list[FeeLine] = []
    while True:
        page = ledger.queries.ListFeeHistory(request)
        lines += page.lines
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert lines == history(ledger, as_of=at(LATER_NS))
    assert sum(Decimal(line.fee_amount) for line in lines) == Decimal(page.totals[0].net)


def test_a_programme_may_leave_fees_as_they_are_and_begin_when_it_is_recorded(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ('late_grant = "adjust"', 'late_grant = "from_record"')))
    buy(ledger, DUE_NS)
    evaluate(ledger)
    assert [(one.kind, one.fee_amount) for one in since(ledger)] == [("FILL", "0.025")]
    (event,) = evaluated(ledger)
    assert (event.valid_from_ns >= LATER_NS, event.valid_until_ns) == (True, DUE_NS + 30 * DAY_NS)
    tiers = [state(ledger, as_of=at(event.valid_from_ns + step)).tier for step in (-1, 0)]
    assert tiers == ["NONE", "VIP2"]


def test_fees_are_adjusted_from_the_delay_of_the_programme_on(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ("effective_delay_s = 0", "effective_delay_s = 3600")))
    names = [buy(ledger, DUE_NS + 3600 * SECOND_NS + step) for step in (-1, 0)]
    evaluate(ledger)
    assert [len(found_fill(ledger, name).adjustments) for name in names] == [0, 1]


def test_benefits_that_end_at_once_are_charged_from_then_on(ledger: Ledger) -> None:
    """R19 with deactivation = immediate, run late."""
    send(ledger, publish("3.1", ('deactivation = "at_grant_end"', 'deactivation = "immediate"')))
    evaluate(ledger)
    later_ns = DUE_NS + 30 * DAY_NS - DAY_NS // 2
    ledger.clock.now_ns = later_ns
    next_ns = DUE_NS + 20 * DAY_NS  # 2024-10-28: all of it is still in the window
    assert counts(run(ledger, instant=at(next_ns)))["stayed"] == 1
    name = buy(ledger, later_ns)
    ledger.clock.now_ns = later_ns + 2 * DAY_NS
    last_ns = DUE_NS + 31 * DAY_NS  # 2024-11-08: nothing is left in the window but that fill
    ledger.clock.now_ns = last_ns
    charged = buy(ledger, last_ns)
    run(ledger, instant=at(last_ns))
    assert not found_fill(ledger, name, day_text(later_ns // DAY_NS)).adjustments
    (more,) = found_fill(ledger, charged, day_text(last_ns // DAY_NS)).adjustments
    assert (more.fee_amount, more.basis.tier) == ("0.021", "NONE")


def test_a_flagged_account_is_paid_when_its_flag_ends_and_for_fills_under_it_never(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    """R21, A33: the run gives the grant, and posts nothing while the flag runs."""
    before, flag_ns = buy(ledger, DUE_NS), DUE_NS + DAY_NS
    ledger.clock.now_ns = flag_ns
    send(ledger, flag("alice", flag_time=at(flag_ns)))
    under = [buy(ledger, flag_ns), buy(ledger, flag_ns + DAY_NS)]
    evaluate(ledger)
    assert [event.tier for event in evaluated(ledger)] == ["VIP2"]
    assert [(line.kind, line.fee_amount) for line in since(ledger)] == [("FILL", "0.025")] * 3
    ledger.clock.now_ns = LATER_NS + DAY_NS
    position = int(send(ledger, unflag("alice")).receipt.position)
    (told,) = found_fill(ledger, before).adjustments
    assert (told.fee_amount, told.basis.tier) == ("-0.021", "VIP2")
    (adjusted,) = [one for one in events(ledger, f"fees/alice/{DAY}") if isinstance(one, FeeAdjusted)]
    assert ledger.log.at(adjusted.cause_position).event == evaluated(ledger)[0]
    assert position > adjusted.cause_position
    days = [day_text((flag_ns + step * DAY_NS) // DAY_NS) for step in range(2)]
    assert [list(found_fill(ledger, *each).adjustments) for each in zip(under, days, strict=True)] == [[], []]
    after = buy(ledger, LATER_NS + 2 * DAY_NS)
    assert found_fill(ledger, after, day_text((LATER_NS + 2 * DAY_NS) // DAY_NS)).line.fee_amount == "0.004"
    assert [str(each) for each in audit(dsn, schema)[0]] == []


def test_controls_look_at_fees_as_they_are(ledger: Ledger) -> None:
    """With VIP3 the fill of a maker has earned a rebate."""
    trade(ledger, "2000000", DUE_NS - DAY_NS // 2)
    buy(ledger, DUE_NS, "1000", liquidity=1, counterparty_owner_id="bob")
    request = ListFindingsRequest(control="rebates-by-counterparty", as_of=at(LATER_NS), within_days=30)
    await_tables(ledger)
    assert list(send(ledger, request).findings) == []
    evaluate(ledger)
    await_tables(ledger)
    (found,) = send(ledger, request).findings
    assert "alice" in found.finding_id
    assert "0.01" in found.message
