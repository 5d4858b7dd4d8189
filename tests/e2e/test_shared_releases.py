"""Classes and rates of pairs on their way to many accounts (A19): whatever comes meanwhile, nothing is missed or twice.

A taker's buy of 1,000 at 0.5: 1.25 at the base rate, 0.125 for VIP4 in class A, 0.35 by rates of the pair of 0.07 %.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from ledger.domain.events import Event, FactReleased, FactWithheld, ReleaseAdvanced
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.fills import mend
from ledger.server.repricer import Repricer
from ledger.v1.control_service_pb2 import ListWithheldRequest
from ledger.v1.fill_pb2 import FillRef
from ledger.v1.query_service_pb2 import GetFillRequest, GetFillResponse
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.projections.audited import audit
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.orders import (
    ban,
    classify,
    decline_fact,
    own_rates,
    publish,
    release_fact,
    tier,
    withdraw_fact,
)
from tests.tools import running
from tests.waiting import wait_for

PROGRAMME: Final = "bitmart-api-vip"
TRADED_NS: Final = NOON_NS + 3_600 * SECOND_NS
DAY: Final = day_text(NOON_NS // DAY_NS)
PAIRS: Final = ("XRP_USDT", "ETH_USDT")
Name = tuple[str, str, str]  # of a fill: its account, its id, its venue if there are several
Walk = Callable[[int], None]


@pytest.fixture(autouse=True)
def _market(ledger: Ledger, dsn: str, schema: str) -> Any:
    """Two pairs without a class; at the end an audit finds nothing."""
    for name in PAIRS:
        send(ledger, symbol(name, pair_class=""))
    ledger.clock.now_ns = TRADED_NS
    yield
    assert [str(each) for each in audit(dsn, schema)[0]] == []


@pytest.fixture
def walk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Lets released facts come to so many more accounts, of which each takes a commit; none comes by itself."""
    allowed, go_on = 0, Repricer._go_on

    def come(repricer: Repricer) -> bool:
        return len(advanced(ledger)) < allowed and go_on(repricer)

    def further(accounts: int) -> None:
        nonlocal allowed
        allowed += accounts
        wait_for(lambda: len(advanced(ledger)) == allowed)

    monkeypatch.setattr(mend, "ACCOUNTS_AT_ONCE", 1)
    monkeypatch.setattr(Repricer, "_go_on", come)
    return further


def advanced(ledger: Ledger) -> list[Event]:
    return [each for each in events(ledger, f"release/{PROGRAMME}") if isinstance(each, ReleaseAdvanced)]


def members(ledger: Ledger, *account_ids: str) -> None:
    for account_id in account_ids:
        send(ledger, tier(account_id, "VIP4", valid_from=at(NOON_NS)))


def trade(ledger: Ledger, *account_ids: str, venue: str = "", **changes: Any) -> list[Name]:
    """A fill of each account, at the same instant; time goes on after it."""
    records = [fill(account_id=name, last_qty="1000", transact_time=at(TRADED_NS), **changes) for name in account_ids]
    assert ledger.fills.RecordFills(batch(*records, venue=venue)).recorded == len(records)
    ledger.clock.now_ns += SECOND_NS
    return [(record.account_id, record.exec_id, venue) for record in records]


def found(ledger: Ledger, name: Name) -> GetFillResponse:
    account_id, exec_id, venue = name
    ref = FillRef(account_id=account_id, day=DAY, exec_id=exec_id, venue=venue)
    answer: GetFillResponse = ledger.queries.GetFill(GetFillRequest(fill_ref=ref))
    return answer


def lived(ledger: Ledger, name: Name) -> tuple[str, ...]:
    """What a fill was charged first, then each cause with the fee after it."""
    answer = found(ledger, name)
    first = answer.adjustments[0].adjustment.fee_before if answer.adjustments else answer.line.fee_amount
    return (first, *(f"{one.adjustment.cause} {one.adjustment.fee_after}" for one in answer.adjustments))


def late(ledger: Ledger, request: Message) -> int:
    """The position of a fact that waits for two persons."""
    position = int(send(ledger, request).receipt.position)
    assert position in {fact.fact_position for fact in send(ledger, ListWithheldRequest()).facts}
    return position


def released_in(ledger: Ledger, account_id: str) -> list[int]:
    """The positions of the facts that were released in an account, in order."""
    return [each.fact_position for each in events(ledger, f"account/{account_id}") if isinstance(each, FactReleased)]


def test_an_account_that_trades_meanwhile_has_each_fill_by_the_class_once(
    ledger: Ledger, walk: Walk, dsn: str, schema: str
) -> None:
    members(ledger, "aaron", "alice", "bob", "carol")
    before = trade(ledger, "alice", "bob", "carol")
    position = late(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS)))
    waiting = trade(ledger, "aaron", "carol")
    send(ledger, release_fact(position, account_id=""))
    walk(1)
    assert [lived(ledger, name)[1:] for name in before] == [("PAIR_CLASS 0.125",), (), ()]
    meanwhile = trade(ledger, "aaron", "alice", "bob", "dave")
    walk(2)
    assert {lived(ledger, name) for name in before} == {("1.25", "PAIR_CLASS 0.125")}
    assert {lived(ledger, name) for name in (*waiting, *meanwhile[:3])} == {("0.125",)}
    assert [released_in(ledger, name) for name in ("aaron", "alice", "bob", "carol", "dave")] == [
        [],
        [position],
        [position],
        [position],
        [],
    ]
    wait_for(lambda: not found(ledger, before[-1]).reprice_in_progress)
    await_tables(ledger)
    checked = running.run("check", "--schema", schema, "--dsn", dsn)
    assert checked.code == 0, (checked.out, checked.err)


def test_facts_of_an_account_may_come_before_and_after_it_has_the_class(ledger: Ledger, walk: Walk) -> None:
    names = trade(ledger, "alice", "bob")
    position = late(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS)))
    send(ledger, release_fact(position, account_id=""))
    walk(1)
    members(ledger, "alice", "bob")
    send(ledger, ban("bob", start_time=at(NOON_NS)))
    walk(1)
    assert [lived(ledger, name) for name in names] == [
        ("1.25", "PAIR_CLASS 1.25", "LATE_GRANT 0.125"),
        ("1.25", "LATE_GRANT 1.25", "BAN 1.25", "PAIR_CLASS 0.125"),
    ]
    assert [found(ledger, name).line.banned for name in names] == [False, True]


def test_a_second_class_is_released_before_the_first_has_come_to_all_accounts(ledger: Ledger, walk: Walk) -> None:
    members(ledger, "alice", "bob")
    names = [*trade(ledger, "alice", "bob"), *trade(ledger, "alice", "bob", symbol="ETH_USDT")]
    first, second = (late(ledger, classify(pair, "A", valid_from=at(NOON_NS))) for pair in PAIRS)
    send(ledger, release_fact(second, account_id=""))
    walk(1)
    send(ledger, release_fact(first, account_id=""))
    walk(3)
    assert {lived(ledger, name) for name in names} == {("1.25", "PAIR_CLASS 0.125")}
    assert [released_in(ledger, name) for name in ("alice", "bob")] == [[second, first]] * 2


def test_a_class_and_rates_of_one_pair_come_one_after_the_other(ledger: Ledger, walk: Walk) -> None:
    members(ledger, "alice")
    (name,) = trade(ledger, "alice")
    of_class = late(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS)))
    of_rates = late(ledger, own_rates("XRP_USDT", taker="0.0007", valid_from=at(TRADED_NS)))
    for position in (of_rates, of_class):
        send(ledger, release_fact(position, account_id=""))
    walk(2)
    assert lived(ledger, name) == ("1.25", "PAIR_RATES 0.35", "PAIR_CLASS 0.35"), "rates of the pair come first"
    told = [sentence.text for sentence in found(ledger, name).explanation]
    for what in ("rates of the pair's own", "a class of the pair"):
        assert any(f"because of {what} recorded late" in text for text in told), told


def test_a_class_concerns_fills_of_its_own_programme(ledger: Ledger) -> None:
    other = (
        ('id = "bitmart-api-vip"', 'id = "another"'),
        ('venues = ["bitmart"]', 'venues = ["elsewhere"]'),
        ('classes = "propose"', 'classes = "adjust"'),
    )
    send(ledger, publish("1", *other, valid_from=at(NOON_NS)))
    for programme_id in (PROGRAMME, "another"):
        send(ledger, tier("alice", "VIP4", valid_from=at(NOON_NS), programme_id=programme_id))
    (here,), (there,) = (trade(ledger, "alice", venue=venue) for venue in ("bitmart", "elsewhere"))
    trade(ledger, "bob", venue="bitmart")
    send(ledger, classify("XRP_USDT", "A", programme_id="another", valid_from=at(NOON_NS)))
    wait_for(lambda: not found(ledger, there).reprice_in_progress)
    assert lived(ledger, there) == ("1.25", "PAIR_CLASS 0.125")
    late(ledger, classify("XRP_USDT", "A", programme_id=PROGRAMME, valid_from=at(NOON_NS)))
    assert lived(ledger, here) == ("1.25",)
    assert released_in(ledger, "bob") == []


def test_credit_only_is_decided_by_the_net_of_each_account(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ('classes = "propose"', 'classes = "credit_only"'), valid_from=at(TRADED_NS)))
    members(ledger, "alice")
    better, *others = trade(ledger, "alice", "bob", "carol")
    position = int(send(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS))).receipt.position)
    wait_for(lambda: not found(ledger, others[-1]).reprice_in_progress)
    assert lived(ledger, better) == ("1.25", "PAIR_CLASS 0.125")
    withheld = send(ledger, ListWithheldRequest()).facts
    assert [(one.account_id, one.cause, one.symbol, one.switch, one.reason) for one in withheld] == [
        (name, "PAIR_CLASS", "XRP_USDT", "credit_only", "DEBIT") for name in ("bob", "carol")
    ]
    assert [one.symbol for one in send(ledger, ListWithheldRequest(account_id="bob")).facts] == ["XRP_USDT"]
    before = head(ledger)
    preview = send(ledger, release_fact(position, account_id="bob", validate_only=True)).receipt.preview
    assert (head(ledger), [each.topic for each in preview.events][:1]) == (before, ["FactReleased"])
    send(ledger, release_fact(position, account_id="bob"))
    send(ledger, decline_fact(position, account_id="carol"))
    assert [lived(ledger, name) for name in others] == [("1.25", "PAIR_CLASS 1.25"), ("1.25",)]
    for name in ("bob", "carol"):
        told = refused(ledger, release_fact(position, account_id=name))
        assert told.reason == ("FACT_ALREADY_RELEASED" if name == "bob" else "FACT_DECLINED")


def test_what_is_declined_stays_as_it_is_and_a_look_at_it_leaves_no_trace(ledger: Ledger) -> None:
    (name,) = trade(ledger, "alice")
    position = late(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS)))
    before = head(ledger)
    looks: list[tuple[Any, str]] = [(release_fact, "FactReleased"), (decline_fact, "FactDeclined")]
    for request, topic in looks:
        preview = send(ledger, request(position, account_id="", validate_only=True)).receipt.preview
        assert [each.topic for each in preview.events] == [topic]
    look = classify("ETH_USDT", "A", valid_from=at(NOON_NS), validate_only=True)
    assert [each.topic for each in send(ledger, look).receipt.preview.events] == ["PairClassAssigned", "FactWithheld"]
    assert head(ledger) == before
    send(ledger, decline_fact(position, account_id=""))
    assert lived(ledger, name) == ("1.25",)
    assert not send(ledger, ListWithheldRequest()).facts
    for again in (release_fact, decline_fact):
        for account_id in ("", "alice"):
            assert refused(ledger, again(position, account_id=account_id)).reason == "FACT_DECLINED"


def test_a_fact_is_decided_on_where_it_lies(ledger: Ledger) -> None:
    members(ledger, "alice")
    (name,) = trade(ledger, "alice")
    own = int(send(ledger, ban("alice", start_time=at(NOON_NS))).receipt.position)
    shared = late(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS)))
    for request in (release_fact, decline_fact):
        told = refused(ledger, request(own, account_id=""))
        assert (told.reason, "name the account" in told.message) == ("FACT_UNKNOWN", True)
        told = refused(ledger, request(shared, account_id="alice"))
        assert (told.reason, "decide on it without an account" in told.message) == ("FACT_UNKNOWN", True)
    send(ledger, release_fact(shared, account_id=""))
    wait_for(lambda: lived(ledger, name)[-1] == "PAIR_CLASS 0.125")
    for account_id in ("", "alice", "bob"):
        assert refused(ledger, release_fact(shared, account_id=account_id)).reason == "FACT_ALREADY_RELEASED"
    told = refused(ledger, withdraw_fact(shared, account_id="alice"))
    assert (told.reason, "give the pair others now" in told.message) == ("FACT_NOT_WITHDRAWABLE", True)
    assert not any(isinstance(each, FactWithheld) for each in events(ledger, "account/alice"))
