"""The control `charged-fees`: what an engine said it charged against the fee of the ledger, as it is now."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import pytest

from ledger.domain.events import VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.fills.lines import lines_at
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.v1 import fill_pb2
from ledger.v1.control_service_pb2 import Finding, ListFindingsRequest, ListFindingsResponse
from ledger.v1.fill_pb2 import ChargedFee
from projections.controls import charged_fees
from projections.controls import scope as controls
from projections.searches import Page, Search, Searches
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules import evaluating
from tests.samples import batch, fill, history, symbol
from tests.server.calls import await_tables, send
from tests.tools import running

DUE = "0.0125"  # of 10 XRP at 0.5


def page(ledger: Ledger, **asked: Any) -> ListFindingsResponse:
    await_tables(ledger)
    answer: ListFindingsResponse = send(ledger, ListFindingsRequest(control="charged-fees", **asked))
    return answer


def found(ledger: Ledger, **asked: Any) -> list[Finding]:
    return list(page(ledger, **asked).findings)


def found_here(ledger: Ledger, within_days: int = 30) -> list[controls.Finding]:
    """Return what the control finds now in this process, where a test can change what it goes by."""
    now_ns = max(ledger.clock.now_ns, ledger.log.head().recorded_time_ns)
    search = Search("charged-fees", now_ns, within_days, "", await_tables(ledger))
    searches = Searches(ledger.log.connections)
    return [one.finding for one in searches.page(Page(search, "", 1_000, now_ns))]


def charged(amount: str, currency: str = "USDT", **changes: Any) -> fill_pb2.Fill:
    """A fill that costs 0.0125 USDT, and what its engine says that it charged."""
    return fill(charged_fee=ChargedFee(amount=amount, currency=currency), **changes)


@pytest.fixture
def market(ledger: Ledger) -> Ledger:
    send(ledger, symbol())
    return ledger


def test_another_amount_is_found_with_both_sums_and_the_fill(market: Ledger) -> None:
    send(market, batch(charged(f"{DUE}0", exec_id="E1"), charged("122.5", exec_id="E2"), fill(exec_id="E3")))
    (finding,) = found(market)
    assert finding.finding_id == "charged-fees/alice/2024-10-04"
    assert finding.time.ToNanoseconds() == NOON_NS
    assert finding.message == (
        "the engine charged alice 122.5 USDT for 1 fill of 2024-10-04 of which the ledger says 0.0125 USDT; the"
        " first is E2"
    )
    assert dict(finding.details) == {
        "day": "2024-10-04",
        "fills": "1",
        "engine": "122.5 USDT",
        "ledger": "0.0125 USDT",
        "exec_id_engine_ledger": "E2: 122.5 USDT, 0.0125 USDT",
        "all": "fee-ledger history alice --from 2024-10-04 --until 2024-10-05 --csv FILE",
    }


def test_what_is_equal_and_what_the_engine_does_not_say_is_not_found(market: Ledger) -> None:
    send(market, batch(charged(DUE), charged("0.01250"), fill()))
    assert found(market) == []


def test_another_currency_a_rebate_and_nothing_charged_are_found(market: Ledger) -> None:
    fills = (charged(DUE, "BMX"), charged(f"-{DUE}"), charged("0"), charged(DUE))
    send(market, batch(*fills))
    (finding,) = found(market)
    assert (finding.details["engine"], finding.details["ledger"]) == ("0.0125 BMX and -0.0125 USDT", "0.0375 USDT")
    assert finding.details["fills"] == "3"


def test_amounts_that_need_wide_columns_are_compared_too(market: Ledger) -> None:
    most = {"last_px": "99999999", "last_qty": "99999999999"}
    send(market, batch(charged("0.1", exec_id="W1", **most)))
    (finding,) = found(market)
    (line,) = history(market)
    assert finding.details["exec_id_engine_ledger"] == f"W1: 0.1 USDT, {line.fee_amount} USDT"
    send(market, batch(charged(line.fee_amount, exec_id="W2", account_id="bob", **most)))
    assert [one.account_id for one in found(market)] == ["alice"]


def test_days_are_told_oldest_first_by_page_and_looking_back_has_no_say(
    market: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account_id, days in (("carol", 0), ("alice", 40), ("bob", 2), ("alice", 2)):
        send(market, batch(charged("9", account_id=account_id, transact_time=at(NOON_NS - days * DAY_NS))))
    expected = ["alice/2024-08-25", "alice/2024-10-02", "bob/2024-10-02", "carol/2024-10-04"]
    assert [one.finding_id.removeprefix("charged-fees/") for one in found(market, within_days=1)] == expected
    listed, token = [], ""
    while not listed or token:
        part = page(market, page_size=1, page_token=token, within_days=1)
        listed, token = [*listed, *part.findings], part.next_page_token
    assert [one.finding_id.removeprefix("charged-fees/") for one in listed] == expected

    monkeypatch.setattr(charged_fees, "DAYS_MAX", 2)
    assert [one.subject for one in found_here(market, 2)] == [*expected[:2], "more/2024-10-02"]
    monkeypatch.setattr(charged_fees, "DAYS_MAX", 4)
    assert len(found_here(market, 3)) == 4


def test_as_of_an_instant_later_fills_are_not_there(market: Ledger) -> None:
    times = (NOON_NS - DAY_NS, NOON_NS - 1, NOON_NS)
    send(market, batch(*(charged("9", transact_time=at(time_ns)) for time_ns in times)))
    assert [one.details["fills"] for one in found(market)] == ["1", "2"]
    assert [one.details["fills"] for one in found(market, as_of=at(NOON_NS - 1))] == ["1", "1"]
    assert [one.details["fills"] for one in found(market, as_of=at(NOON_NS - DAY_NS))] == ["1"]
    assert found(market, as_of=at(NOON_NS - DAY_NS - 1)) == []


def test_it_is_open_until_the_fee_is_adjusted_to_it_and_opens_where_it_is_adjusted_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    evaluating.trade(ledger, "500000")  # what VIP2 takes
    ledger.clock.now_ns = evaluating.DUE_NS + DAY_NS
    late = {"last_px": "1", "transact_time": at(evaluating.DUE_NS)}
    before, after = "0.025", "0.004"
    send(ledger, batch(charged(after, exec_id="L1", **late), charged(before, exec_id="L2", **late)))
    (finding,) = found(ledger)
    assert finding.details["exec_id_engine_ledger"] == f"L1: {after} USDT, {before} USDT"
    evaluating.run(ledger)  # a day late: the fees are adjusted
    unpacked = Mock(side_effect=lines_at)
    monkeypatch.setattr(charged_fees, "lines_at", unpacked)
    (here,) = found_here(ledger)
    (finding,) = found(ledger)
    assert dict(finding.details) == here.details
    assert finding.details["exec_id_engine_ledger"] == f"L2: {before} USDT, {after} USDT"
    assert unpacked.call_count == 1  # for both: once for each of 100,000 takes a quarter of an hour


def test_of_many_fills_the_first_are_named_and_all_are_counted(market: Ledger) -> None:
    times = (at(NOON_NS - number) for number in range(30))
    send(
        market, batch(*(charged("1", exec_id=f"M{number:02}", transact_time=time) for number, time in enumerate(times)))
    )
    (finding,) = found(market)
    told = finding.details["exec_id_engine_ledger"].split("; ")
    assert (told[0], told[-2], told[-1]) == ("M29: 1 USDT, 0.0125 USDT", "M10: 1 USDT, 0.0125 USDT", "...")
    assert (finding.details["fills"], finding.details["engine"], finding.details["ledger"]) == (
        "30",
        "30 USDT",
        "0.375 USDT",
    )


def test_the_command_line_lists_it(market: Ledger) -> None:
    send(market, batch(charged("122.5", exec_id="E2")))
    await_tables(market)
    ran = running.run("controls", "charged-fees", "--json", "--as-of", "2024-10-05", "--address", market.address)
    assert ran.code == 1
    assert json.loads(ran.out)["details"]["engine"] == "122.5 USDT"


def test_of_the_log_those_runs_are_read_that_say_a_charged_fee_and_none_that_looks_like_it(
    market: Ledger, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        plain = [fill(account_id=f"plain-{number}") for _ in range(50)]
        send(market, batch(*plain))
        send(market, batch(*plain[:number], charged(DUE, account_id=f"mixed-{number}")))
    head = market.log.head().position
    runs = list(market.log.runs(from_ns=0, as_of_ns=NOON_NS, until=head))
    saying = [
        one.position for one in runs if isinstance(one.event, VolumeRecorded) and one.event.columns.charged_currency
    ]
    assert len(saying) == 4 < len(runs)
    assert [one.position for one in market.log.charged(as_of_ns=NOON_NS, until=head)] == saying
    assert [one.position for one in market.log.charged(as_of_ns=NOON_NS, until=saying[1])] == saying[:2]
    assert list(market.log.charged(as_of_ns=NOON_NS - 1, until=head)) == []
    with closing(open_datastore(dsn, schema, connections=1)) as datastore:
        log = Log(datastore)
        any_run = log._CHARGED.replace(b"IN state) > 0", b"IN state) >= 0")  # each looks as if it said so
        assert any_run != log._CHARGED
        monkeypatch.setattr(log, "_CHARGED", any_run)
        assert [one.position for one in log.charged(as_of_ns=NOON_NS, until=head)] == saying
