"""Credits by hand: what two persons give back on a day stays, whatever else is recorded, until it is withdrawn.

A taker's buy of 1,000 at 0.5 in class A: 1.25 at the base rate of 0.25 %, 0.125 with VIP4 (0.025 %).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain.events import CreditWithdrawn, FeeCredited, VolumeRecorded
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.state.volume_cells import CREDITS
from ledger.v1.command_pb2 import Authority, FeeDifference
from ledger.v1.fill_pb2 import FillRef
from ledger.v1.query_service_pb2 import GetFillRequest, GetRatesRequest, ListFeeHistoryRequest, ListFeeHistoryResponse
from ledger.v1.read_pb2 import ReadAt
from projections.check import Check
from projections.check.findings import Finding
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, history, state, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.orders import credit, flag, tier, withdraw

DAY: Final = "2024-10-04"
MIDNIGHT_NS: Final = NOON_NS - DAY_NS // 2
TRADED_NS: Final = NOON_NS - 3_600 * SECOND_NS


@pytest.fixture(autouse=True)
def _market(ledger: Ledger, dsn: str, schema: str) -> Iterator[None]:
    """A market, a fill of alice, and at the end an audit and a check that find nothing."""
    send(ledger, symbol())
    trade(ledger, "E1")
    yield
    await_tables(ledger)
    assert findings(dsn, schema) == []


def findings(dsn: str, schema: str) -> list[str]:
    """What an audit and a check find."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        checked = [one for one in Check(connection, schema).findings() if isinstance(one, Finding)]
    return [*map(str, audit(dsn, schema)[0]), *map(str, checked)]


def trade(ledger: Ledger, exec_id: str, at_ns: int = TRADED_NS) -> None:
    record = fill(exec_id=exec_id, last_qty="1000", transact_time=at(at_ns))
    assert ledger.fills.RecordFills(batch(record)).recorded == 1


def page(ledger: Ledger, **asked: Any) -> ListFeeHistoryResponse:
    found: ListFeeHistoryResponse = send(ledger, ListFeeHistoryRequest(account_id="alice", **asked))
    return found


def sums(ledger: Ledger, **asked: Any) -> dict[str, tuple[str, str, str, str, int]]:
    totals = page(ledger, **asked).totals
    return {one.currency: (one.charges, one.rebates, one.credits, one.net, one.lines) for one in totals}


def given(ledger: Ledger, **changes: Any) -> int:
    """The position of a new credit."""
    return int(send(ledger, credit(**changes)).receipt.position)


def test_a_credit_is_an_entry_of_its_own_that_says_who_gave_it_and_why(ledger: Ledger) -> None:
    answer = send(ledger, credit("5.50"))
    assert (answer.day, answer.amount, answer.currency) == (DAY, "5.5", "USDT")
    traded, line = history(ledger)
    assert (traded.kind, traded.fee_amount) == ("FILL", "1.25"), "the fill is as it was"
    assert (line.kind, line.fee_amount, line.fee_currency, line.fee_type) == ("CREDIT", "-5.5", "USDT", "REBATE")
    why, who = line.credit, FOUR_EYES
    assert (why.credit_position, why.reason_code) == (answer.receipt.position, "OUTAGE")
    assert (why.asked_by, why.approved_by) == (who.actor, who.approver)
    assert (line.fill_ref.account_id, line.fill_ref.day, line.fill_ref.exec_id) == ("alice", DAY, "")
    assert line.transact_time == at(MIDNIGHT_NS)
    assert sums(ledger) == {"USDT": ("1.25", "0", "-5.5", "-4.25", 1)}, "more than the fees of the day"
    assert [(one.notional, one.lines) for one in page(ledger).volumes] == [("500", 1)]
    ref = FillRef(account_id="alice", day=DAY, exec_id="E1")
    found = send(ledger, GetFillRequest(fill_ref=ref))
    assert (found.line.fee_amount, len(found.adjustments)) == ("1.25", 0), "nor does a fill tell of a credit"


def test_two_persons_credit_and_two_withdraw(ledger: Ledger) -> None:
    position = given(ledger)
    for by, reason in (("", "APPROVER_REQUIRED"), ("ops-1", "APPROVER_IS_ACTOR")):
        for request in (credit(), withdraw(position)):
            request.authority.CopyFrom(Authority(actor="ops-1", approver=by))
            assert refused(ledger, request).reason == reason
    assert sums(ledger)["USDT"][2] == "-5"


def test_a_credit_that_is_sent_again_is_given_once(ledger: Ledger) -> None:
    request = credit()
    first, again = send(ledger, request), send(ledger, request)
    assert (again.receipt.replayed, again.receipt.position) == (True, first.receipt.position)
    assert (again.day, again.amount, again.currency) == (first.day, first.amount, first.currency)
    assert sums(ledger)["USDT"][2] == "-5"


def test_a_withdrawal_takes_a_credit_back_once_and_what_was_known_before_stays(ledger: Ledger) -> None:
    first, second = given(ledger), given(ledger, amount="7")
    answer = send(ledger, withdraw(first))
    assert (answer.credit_position, answer.day, answer.amount, answer.currency) == (first, DAY, "5", "USDT")
    line = history(ledger)[-1]
    assert (line.kind, line.fee_amount, line.credit.credit_position) == ("CREDIT_WITHDRAWN", "5", first)
    assert (line.credit.reason_code, line.credit.asked_by) == ("MISTAKE", FOUR_EYES.actor)
    assert sums(ledger)["USDT"][2] == "-7"
    assert sums(ledger, at=ReadAt(known_at_position=second))["USDT"][2] == "-12"
    assert refused(ledger, withdraw(first)).reason == "CREDIT_ALREADY_WITHDRAWN"
    for other in (withdraw(head(ledger)), withdraw(2**64 - 1), withdraw(1), withdraw(second, account_id="bob")):
        assert refused(ledger, other).reason == "CREDIT_UNKNOWN"
    send(ledger, withdraw(second))
    assert sums(ledger) == {"USDT": ("1.25", "0", "", "1.25", 1)}


def test_a_credit_counts_at_every_instant_of_its_day_and_at_none_before(ledger: Ledger) -> None:
    before = head(ledger)
    position = given(ledger)
    trade(ledger, "E2", NOON_NS)
    for known, back in ((before, None), (position, "-5"), (head(ledger), "-5")):
        for at_ns in (MIDNIGHT_NS, TRADED_NS - 1, TRADED_NS, NOON_NS - 1, NOON_NS):
            traded = sum(at_ns >= when for when in (TRADED_NS, NOON_NS)[: 1 + (known > position)])
            found = sums(ledger, at=ReadAt(as_of=at(at_ns), known_at_position=known)).get("USDT")
            fees = Decimal("1.25") * traded
            expected = (str(fees.normalize()), "0", back or "", str((fees + Decimal(back or 0)).normalize()), traded)
            assert found == (expected if traded or back else None), (known, at_ns)
        early = ReadAt(as_of=at(MIDNIGHT_NS - 1), known_at_position=known)
        assert page(ledger, at=early).totals == page(ledger, at=early).lines == []
    assert sums(ledger, from_time=at(MIDNIGHT_NS + 1)) == {"USDT": ("2.5", "0", "", "2.5", 2)}
    assert sums(ledger, until_time=at(MIDNIGHT_NS + 1)) == {"USDT": ("0", "0", "-5", "-5", 0)}


def test_a_fact_that_comes_later_restates_fills_and_takes_no_credit(ledger: Ledger, schema: str, dsn: str) -> None:
    given(ledger)
    send(ledger, tier("alice", "VIP4", valid_from=at(MIDNIGHT_NS)))
    assert sums(ledger) == {"USDT": ("0.125", "0", "-5", "-4.875", 1)}
    send(ledger, flag("alice", flag_time=at(MIDNIGHT_NS)))
    assert sums(ledger)["USDT"][2] == "-5"
    trade(ledger, "E2")
    last = events(ledger, f"fees/alice/{DAY}")[-1]
    assert isinstance(last, VolumeRecorded)
    (fees,) = next(cell.fees for cell in last.totals if cell.key == CREDITS)
    assert (fees.currency, fees.rebates, fees.lines) == ("USDT", "-5", 0), "every event has it in its totals"
    await_tables(ledger)
    read = Identifier(f"{schema}_read")
    with psycopg.connect(dsn) as connection:
        select = SQL("SELECT charges, rebates, credits, lines FROM {}.fee_days").format(read)
        assert connection.execute(select).fetchall() == [(Decimal("1.375"), 0, -5, 2)]
        volume = SQL("SELECT quote_currency, sum(lines) FROM {}.volume_days GROUP BY 1").format(read)
        assert connection.execute(volume).fetchall() == [("USDT", 2)]


def test_a_day_without_fills_may_be_credited(ledger: Ledger) -> None:
    day_before = {"day": "2024-10-03"}
    send(ledger, credit(**day_before))
    send(ledger, credit("1", currency="BMX", **day_before))
    first, second, _ = history(ledger)
    assert [(one.kind, one.fee_amount, one.fill_ref.day) for one in (first, second)] == [
        ("CREDIT", "-5", "2024-10-03"),
        ("CREDIT", "-1", "2024-10-03"),
    ]
    assert page(ledger, until_time=at(MIDNIGHT_NS)).volumes == []
    rates = send(ledger, GetRatesRequest(account_id="alice"))
    assert [(one.quote_currency, one.notional) for one in rates.counted] == [("USDT", "500")]
    assert sums(ledger, until_time=at(MIDNIGHT_NS)) == {
        "BMX": ("0", "0", "-1", "-1", 0),
        "USDT": ("0", "0", "-5", "-5", 0),
    }


def test_a_day_that_was_credited_before_its_first_fill_goes_on_after_a_restart(dsn: str, schema: str) -> None:
    name = f"{schema}_again"
    with serving(dsn, name) as ledger:
        send(ledger, symbol())
        send(ledger, tier("alice"))
        position = given(ledger)
    with serving(dsn, name) as ledger:
        trade(ledger, "E0")
        trade(ledger, "E2")
        send(ledger, withdraw(position))
        assert sums(ledger) == {"USDT": ("2.5", "0", "", "2.5", 2)}
        kinds = [type(event) for event in events(ledger, f"fees/alice/{DAY}")]
        assert kinds == [FeeCredited, VolumeRecorded, VolumeRecorded, CreditWithdrawn]
        await_tables(ledger)
        assert findings(dsn, name) == []


def test_a_grant_that_reaches_a_credited_day_without_fills_is_not_late(ledger: Ledger) -> None:
    send(ledger, tier("carol"))
    send(ledger, credit(account_id="carol"))
    before = head(ledger)
    send(ledger, tier("carol", "VIP4", valid_from=at(MIDNIGHT_NS - DAY_NS)))
    assert head(ledger) == before + 1, "nothing is released or withheld with it"


def test_who_and_what_cannot_be_credited(ledger: Ledger) -> None:
    for _ in range(2):  # a refusal that is recorded does not make an account known
        found = refused(ledger, credit(account_id="nobody"))
        assert (found.reason, found.field) == ("ACCOUNT_UNKNOWN", "account_id")
    assert refused(ledger, credit(currency="XYZ")).reason == "CURRENCY_UNKNOWN"
    assert refused(ledger, credit("0.000000001")).reason == "AMOUNT_TOO_FINE"
    assert refused(ledger, credit(day="2024-10-05")).reason == "TIME_IN_FUTURE"
    send(ledger, tier("carol"))
    send(ledger, credit(account_id="carol"))
    assert state(ledger, "carol").tier == "VIP1"


def test_a_preview_of_a_credit_says_what_the_member_would_get_back(ledger: Ledger) -> None:
    request, before = credit("5", validate_only=True), head(ledger)
    preview = send(ledger, request).receipt.preview
    less = FeeDifference(account_id="alice", currency="USDT", amount="-5")
    assert (list(preview.differences), preview.lines, preview.event_count) == ([less], 0, 1)
    assert head(ledger) == before
    position = given(ledger)
    preview = send(ledger, withdraw(position, validate_only=True)).receipt.preview
    assert [one.amount for one in preview.differences] == ["5"]
