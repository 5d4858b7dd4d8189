"""Classes of pairs and owners that are recorded after fills (A19, A27): released to all accounts, or to one.

A taker's buy of 1,000 at 0.5: 1.25 at the base rate, and what VIP4 pays in class A is 0.125.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from ledger.domain.events import FactReleased, ReleaseAdvanced
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.domain.refusal import Reason
from ledger.server.repricer import Repricer
from ledger.v1.control_service_pb2 import ListFindingsRequest, ListWithheldRequest
from ledger.v1.fill_pb2 import FillRef
from ledger.v1.query_service_pb2 import GetFillRequest, GetFillResponse
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import FOUR_EYES, batch, fill, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.orders import classify, publish, register, release_fact, tier
from tests.waiting import wait_for

TRADED_NS: Final = NOON_NS + 3_600 * SECOND_NS
DAY: Final = day_text(NOON_NS // DAY_NS)
MEMBERS: Final = ("alice", "bob")


@pytest.fixture(autouse=True)
def _market(ledger: Ledger, dsn: str, schema: str) -> Any:
    """A pair without a class, and at the end an audit that finds nothing."""
    send(ledger, symbol(pair_class=""))
    for account_id in MEMBERS:
        send(ledger, tier(account_id, "VIP4", valid_from=at(NOON_NS)))
    ledger.clock.now_ns = TRADED_NS
    yield
    assert [str(each) for each in audit(dsn, schema)[0]] == []


def trade(ledger: Ledger, account_id: str, **changes: Any) -> str:
    record = fill(account_id=account_id, last_qty="1000", **{"transact_time": at(TRADED_NS), **changes})
    assert ledger.fills.RecordFills(batch(record)).recorded == 1
    ledger.clock.now_ns += SECOND_NS
    return str(record.exec_id)


def found(ledger: Ledger, account_id: str, exec_id: str) -> GetFillResponse:
    ref = FillRef(account_id=account_id, day=DAY, exec_id=exec_id)
    answer: GetFillResponse = ledger.queries.GetFill(GetFillRequest(fill_ref=ref))
    return answer


def told(ledger: Ledger, account_id: str, exec_id: str) -> dict[str, str]:
    return {sentence.code: sentence.text for sentence in found(ledger, account_id, exec_id).explanation}


def test_a_late_class_is_listed_without_an_account_and_released_to_all_of_them(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    names = {account_id: trade(ledger, account_id) for account_id in MEMBERS}
    send(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS), authority=FOUR_EYES))
    (held,) = send(ledger, ListWithheldRequest()).facts
    assert (held.account_id, held.cause, held.switch, held.reason) == ("", "PAIR_CLASS", "propose", "SWITCH")
    assert held.symbol == "XRP_USDT"
    await_tables(ledger)
    (finding,) = send(ledger, ListFindingsRequest(control="facts-withheld")).findings
    assert (
        f"fills of all accounts do not count by the fact at position {held.fact_position} (PAIR_CLASS of XRP_USDT)"
        in finding.message
    )
    why = told(ledger, "alice", names["alice"])["FACT_WITHHELD"]
    assert "does not count by a class of the pair recorded late" in why
    send(ledger, release_fact(held.fact_position, account_id=""))
    wait_for(lambda: found(ledger, "bob", names["bob"]).line.fee_amount == "0.125")
    after = found(ledger, "alice", names["alice"])
    assert (after.line.fee_amount, after.adjustments[0].adjustment.cause) == ("0.125", "PAIR_CLASS")
    why = told(ledger, "alice", names["alice"])
    assert "because of a class of the pair recorded late" in why["ADJUSTED"]
    assert "by the programme itself" not in why["RELEASED"]
    assert "ops-2" in why["RELEASED"]
    assert not send(ledger, ListWithheldRequest()).facts
    assert refused(ledger, release_fact(held.fact_position, account_id="")).reason == Reason.FACT_ALREADY_RELEASED.name
    assert isinstance(events(ledger, "release/bitmart-api-vip")[-1], ReleaseAdvanced)
    assert [str(each) for each in audit(dsn, schema, jobs=2)[0]] == [], "each process has the accounts that are its own"


def test_reads_and_the_control_say_that_it_is_under_way(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {account_id: trade(ledger, account_id) for account_id in MEMBERS}
    send(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS), authority=FOUR_EYES))
    (held,) = send(ledger, ListWithheldRequest()).facts
    with monkeypatch.context() as patch:
        patch.setattr(Repricer, "_go_on", lambda _: False)
        position = send(ledger, release_fact(held.fact_position, account_id="")).receipt.position
        assert found(ledger, "alice", names["alice"]).reprice_in_progress
        await_tables(ledger)
        (finding,) = send(ledger, ListFindingsRequest(control="repricings-open")).findings
        assert "(PAIR_CLASS of XRP_USDT) is being brought to all accounts" in finding.message
    wait_for(lambda: not found(ledger, "bob", names["bob"]).reprice_in_progress)
    assert found(ledger, "alice", names["alice"]).line.fee_amount == "0.125"
    then = GetFillRequest(
        fill_ref=FillRef(account_id="alice", day=DAY, exec_id=names["alice"]), at=ReadAt(known_at_position=position)
    )
    assert ledger.queries.GetFill(then).reprice_in_progress
    then.at.known_at_position = head(ledger)
    send(ledger, tier("carol"))
    assert not ledger.queries.GetFill(then).reprice_in_progress, "as known then, all accounts had it"


def test_a_programme_may_bring_a_class_to_all_accounts_by_itself(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ('classes = "propose"', 'classes = "adjust"'), valid_from=at(TRADED_NS)))
    name = trade(ledger, "bob")
    send(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS), authority=FOUR_EYES))
    wait_for(lambda: found(ledger, "bob", name).line.fee_amount == "0.125")
    assert "by the programme itself (adjust)" in told(ledger, "bob", name)["RELEASED"]
    assert sum(isinstance(each, FactReleased) for each in events(ledger, "account/bob")) == 1


def test_an_owner_of_before_makes_self_trades_of_fills_once_two_persons_release_it(ledger: Ledger) -> None:
    name = trade(ledger, "alice", counterparty_owner_id="acme")
    other = trade(ledger, "alice", counterparty_owner_id="another")
    send(ledger, register("alice", "acme", registered_time=at(NOON_NS)))
    (held,) = send(ledger, ListWithheldRequest()).facts
    assert (held.account_id, held.cause, held.switch) == ("alice", "OWNER", "propose")
    assert not found(ledger, "alice", name).line.self_trade
    send(ledger, release_fact(held.fact_position))
    after = found(ledger, "alice", name)
    assert (after.line.self_trade, after.adjustments[0].adjustment.self_trade_before) == (True, False)
    assert told(ledger, "alice", name)["COUNTS_AS_SELF_TRADE"] == "Since then it counts as a trade with oneself."
    assert not found(ledger, "alice", other).adjustments
    assert found(ledger, "alice", trade(ledger, "alice", counterparty_owner_id="acme")).line.self_trade


def test_an_owner_with_whom_no_fill_was_made_needs_no_release(ledger: Ledger) -> None:
    trade(ledger, "bob", counterparty_owner_id="another")
    send(ledger, register("bob", "acme", registered_time=at(NOON_NS)))
    send(ledger, register("carol", "acme", registered_time=at(NOON_NS)))
    name = trade(ledger, "carol", counterparty_owner_id="acme")
    assert found(ledger, "carol", name).line.self_trade
    assert not send(ledger, ListWithheldRequest()).facts
