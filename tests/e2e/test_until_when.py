"""Until when an account has its tier: every door gives the same answer."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.cli.screens.accounts import rates as rates_screen
from ledger.cli.screens.accounts import state as state_screen
from ledger.domain.instants import DAY_NS
from ledger.tools.history.page.cards import cards
from ledger.tools.history.totals import Totals
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.control_service_pb2 import ListFindingsRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import Ledger, at
from tests.server.calls import await_tables, send
from tests.server.orders import ban, flag, tier, trial

FIRST_NS = 20_028 * DAY_NS  # 2024-11-01
END_NS = FIRST_NS + 49 * DAY_NS  # 2024-12-20
DAY = "2024-12-20"


def day(number: int) -> Any:
    """Midnight, so many days after 1 November."""
    return at(FIRST_NS + number * DAY_NS)


def untils(ledger: Ledger, account_id: str, as_of_ns: int) -> set[int | None]:
    """Return what state, rates and list say; None: for ever."""
    await_tables(ledger)
    read_at = ReadAt(as_of=at(as_of_ns))
    state = send(ledger, pb.GetVipStateRequest(account_id=account_id, at=read_at))
    rates = send(ledger, pb.GetRatesRequest(account_id=account_id, at=read_at))
    listed = send(ledger, pb.ListAccountsRequest(as_of=at(as_of_ns))).accounts
    (row,) = [one for one in listed if one.account_id == account_id]
    return {
        found.ToNanoseconds() if answer.HasField(name) else None
        for answer, name, found in (
            (state, "tier_until", state.tier_until),
            (rates, "valid_until", rates.valid_until),
            (row, "tier_ends", row.tier_ends),
        )
    }


def ending_before(ledger: Ledger, as_of_ns: int, instant_ns: int) -> list[str]:
    asked = pb.ListAccountsRequest(as_of=at(as_of_ns), ending_before=at(instant_ns))
    return [one.account_id for one in send(ledger, asked).accounts]


def test_two_grants_of_one_tier_that_overlap_are_one_stretch_by_every_door(ledger: Ledger) -> None:
    """VIP3 by hand from 1 November to 5 December, and again from 1 to 20 December."""
    send(ledger, tier("alice", "VIP3", valid_from=day(0), valid_until=day(34)))
    send(ledger, tier("alice", "VIP3", valid_from=day(30), valid_until=day(49)))
    for as_of_ns in (FIRST_NS, FIRST_NS + 29 * DAY_NS, FIRST_NS + 33 * DAY_NS, END_NS - 1):
        assert untils(ledger, "alice", as_of_ns) == {END_NS}
        assert ending_before(ledger, as_of_ns, FIRST_NS + 35 * DAY_NS) == []
        assert ending_before(ledger, as_of_ns, END_NS) == []
        assert ending_before(ledger, as_of_ns, END_NS + 1) == ["alice"]
    assert untils(ledger, "alice", END_NS) == {None}
    read_at = ReadAt(as_of=day(10))
    state = send(ledger, pb.GetVipStateRequest(account_id="alice", at=read_at))
    rates = send(ledger, pb.GetRatesRequest(account_id="alice", at=read_at))
    assert rates.rates_until == day(30), "another grant gives the tier then"
    assert f"VIP3 (MANUAL g1) until {DAY} 00:00:00" in state_screen(state)[0]
    assert f"VIP3 until {DAY} 00:00:00" in rates_screen(rates)[0]
    assert cards(state, "now", Totals(), [])[0].more == f"until {DAY}"
    for within_days, named in ((29, []), (39, ["alice"])):  # from 11 November
        found = send(ledger, ListFindingsRequest(control="benefits-ending", as_of=day(10), within_days=within_days))
        assert [one.account_id for one in found.findings] == named
        assert all(one.time == day(49) for one in found.findings)


DAYS = {"valid_from": day(0), "valid_until": day(9)}
NEXT = at(FIRST_NS + 9 * DAY_NS + 1)


@pytest.mark.parametrize(
    ("orders", "until"),
    [
        pytest.param([tier("a", **DAYS), tier("a", valid_from=day(9), valid_until=day(20))], 20, id="adjoining"),
        pytest.param([trial("a", start_time=day(0)), tier("a", "VIP3", valid_from=day(9))], None, id="another source"),
        pytest.param([tier("a", valid_from=day(0)), ban("a", 3, start_time=day(9))], None, id="a ban"),
        pytest.param([tier("a", valid_from=day(0)), flag("a", flag_time=day(9))], 9, id="a flag"),
        pytest.param([tier("a", valid_from=day(0)), tier("a", "VIP4", valid_from=day(9))], 9, id="a better tier"),
        pytest.param([tier("a", "VIP3", **DAYS), tier("a", valid_from=day(5))], 9, id="a lower tier below it"),
        pytest.param([tier("a", **DAYS), tier("a", valid_from=NEXT)], 9, id="a gap of a nanosecond"),
    ],
)
def test_only_another_tier_ends_a_tier(ledger: Ledger, orders: list[Any], until: int | None) -> None:
    ledger.clock.now_ns = END_NS
    for order in orders:
        send(ledger, order)
    assert untils(ledger, "a", FIRST_NS + DAY_NS) == {None if until is None else FIRST_NS + until * DAY_NS}


def test_the_view_for_sql_says_the_same(dsn: str, schema: str, ledger: Ledger) -> None:
    today_ns = time.time_ns() // DAY_NS * DAY_NS
    for from_day, until_day in ((-10, 5), (-1, 20)):
        span = {"valid_from": at(today_ns + from_day * DAY_NS), "valid_until": at(today_ns + until_day * DAY_NS)}
        send(ledger, tier("alice", "VIP3", **span))
    await_tables(ledger)
    with psycopg.connect(dsn) as connection:
        view = SQL("SELECT extract(epoch FROM valid_until)::bigint FROM {}")
        found = connection.execute(view.format(Identifier(f"{schema}_read", "vip_now"))).fetchall()
    assert found == [((today_ns + 20 * DAY_NS) // 10**9,)]
