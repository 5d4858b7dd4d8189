"""What a fill costs and why, decided by the same functions the service calls."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.events import Envelope, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text, rate_text
from ledger.domain.refusal import Reason
from ledger.domain.state.account import AccountState, Ban, Flag, Grant
from ledger.domain.state.programme import PairRates, Rates
from ledger.domain.streams import fee_stream
from ledger.fills.account_day import AccountDay
from ledger.fills.batch import FillBatch, by_account_day
from ledger.fills.days import DayTable
from ledger.fills.known import KnownFills, known_by_name, places_by_day
from ledger.fills.lines import lines_of
from tests.domain.worked import NOON_NS, TODAY, fills, programme, record, rulebook

CASES = json.loads((Path(__file__).parent.parent / "cases" / "cases.json").read_text())


def ppm(fraction: str) -> int:
    return int(Decimal(fraction) * 1_000_000)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if case["when"]["op"] == "compute_fee"]
)
def test_a_worked_case_of_the_business_document_costs_what_it_says(case: dict[str, Any]) -> None:
    given_, expect = case["given"], case["expect"]
    config = given_.get("config", {})
    base = given_.get("base_rate")
    rules = programme(
        base_rates=Rates(ppm(base["maker"]), ppm(base["taker"])) if base else Rates(2500, 2500),
        never_worse_than_base=base is not None and config.get("never_worse_than_base", True),
        self_trade_rebate=config.get("self_trade_rebate", False),
        rate_scope=config.get("rate_scope", "account"),
        fee_currency=config.get("fee_currency", "QUOTE"),
        rounding=config.get("rounding", "ROUND_HALF_EVEN"),
    )
    assert rules.token_discount is not None
    exclusion = config.get("bmx_exclusion", "while_vip")
    rules = replace(rules, token_discount=replace(rules.token_discount, exclusion=exclusion))
    book = rulebook(
        rules,
        pair_class="" if given_["pair_class"] == "D" else given_["pair_class"],
        base=given_.get("base", "BASE"),
        quote=given_["quote"],
    )
    grants = []
    if given_["tier"] != "NONE":
        grants.append(Grant("g1", rules.programme_id, given_["tier"], given_.get("tier_source", "MANUAL"), NOON_NS))
    if given_.get("past_trial"):
        grants.append(Grant("g2", rules.programme_id, "VIP3", "TRIAL", NOON_NS - 9 * DAY_NS, NOON_NS - DAY_NS))
    batch = fills(
        {
            "price": given_["price"],
            "quantity": given_["qty"],
            "side": 1 if given_.get("side", "BUY") == "BUY" else 2,
            "liquidity": 1 if given_["liquidity"] == "MAKER" else 2,
            "channel": 1 if given_.get("channel", "API") == "API" else 2,
            "counterparty_owner_id": "alice" if given_.get("self_trade") else "",
            "token": "BMX" if given_.get("pay_with_bmx") else "",
            "token_price": given_.get("bmx_price_usdt", ""),
        }
    )
    flags = (Flag("f1", given_["flagged"], NOON_NS),) if "flagged" in given_ else ()
    outcome, (event,) = record(batch, book, AccountState("alice", grants=tuple(grants), flags=flags))
    fee, basis = outcome.fees[0]
    line, terms = lines_of(event)[0], event.symbols[0]
    found = {
        "notional": decimal_text(line[4] * line[5], terms.price_scale + terms.quantity_scale),
        "rate": rate_text(basis.rate_ppm),
        "discount": rate_text(basis.discount_ppm),
        "fee": decimal_text(fee, basis.fee_decimals),
        "fee_currency": basis.fee_currency,
        "kind": "CHARGE" if fee > 0 else "REBATE" if fee < 0 else "ZERO",
    }
    assert found == {**found, **{key: value for key, value in expect.items() if key != "fee_exact"}}


TIERS = ("NONE", "VIP1", "VIP2", "VIP3", "VIP4", "VIP5")


@given(
    tier=st.sampled_from(TIERS),
    pair_class=st.sampled_from(["", "A", "B", "C"]),
    rounding=st.sampled_from(["ROUND_HALF_EVEN", "ROUND_CEILING"]),
    rows=st.lists(
        st.tuples(
            st.integers(1, 10**26),
            st.integers(1, 10**26),
            st.sampled_from([1, 2]),
            st.sampled_from([1, 2]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_columns_give_the_fees_and_totals_of_a_loop_in_fractions(
    tier: str, pair_class: str, rounding: str, rows: list[tuple[int, int, int, int, bool]]
) -> None:
    rules = programme(rounding=rounding)
    batch = fills(
        *(
            {
                "price": decimal_text(price, 8),
                "quantity": decimal_text(quantity, 8),
                "side": side,
                "liquidity": liquidity,
                "counterparty_owner_id": "alice" if self_trade else "bob",
            }
            for price, quantity, side, liquidity, self_trade in rows
        )
    )
    grants = () if tier == "NONE" else (Grant("g1", rules.programme_id, tier, "MANUAL", NOON_NS),)
    book = rulebook(rules, pair_class=pair_class)
    outcome, (event,) = record(batch, book, AccountState("alice", grants=grants))
    reference = [scalar_fee(rules, tier, pair_class, row) for row in rows]
    assert [outcome.fees[place][0] for place in range(len(rows))] == reference
    assert sum(Fraction(cell.notional) for cell in event.totals) == sum(
        Fraction(price * quantity, 10**16) for price, quantity, *_ in rows
    )
    paid = [Fraction(fee, 10**8) for fee in reference]
    sums = [fees for cell in event.totals for fees in cell.fees]
    assert sum(Fraction(fees.charges) for fees in sums) == sum(fee for fee in paid if fee > 0)
    assert sum(Fraction(fees.rebates) for fees in sums) == sum(fee for fee in paid if fee < 0)
    assert sum(cell.lines for cell in event.totals) == sum(fees.lines for fees in sums) == len(rows)


def scalar_fee(rules: Any, tier: str, pair_class: str, row: tuple[int, int, int, int, bool]) -> int:
    """One fee as a person would work it out, in units of 1e-8."""
    price, quantity, _, liquidity, self_trade = row
    maker_or_taker = liquidity - 1
    rate = rules.base_rates[maker_or_taker]
    if (tier, pair_class) in rules.rates:
        rate = min(rate, rules.rates[tier, pair_class][maker_or_taker])
    if self_trade:
        rate = max(rate, 0)
    exact = Fraction(price * quantity, 10**16) * Fraction(rate, 10**6) * 10**8
    modes = {"ROUND_HALF_EVEN": round(exact), "ROUND_CEILING": -(-exact.numerator // exact.denominator)}
    assert {ROUND_HALF_EVEN, ROUND_CEILING} == set(modes)
    return modes[rules.rounding]


def test_a_fill_is_priced_by_what_holds_at_its_own_instant_not_at_that_of_its_batch() -> None:
    start_ns, end_ns = NOON_NS, NOON_NS + 1_000
    account = AccountState("alice", grants=(Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", start_ns, end_ns),))
    batch = fills(*({"transact_time_ns": at_ns} for at_ns in (start_ns - 1, start_ns, end_ns - 1, end_ns)))
    outcome, (event,) = record(batch, rulebook(), account)
    assert [outcome.fees[place][1].tier for place in range(4)] == ["NONE", "VIP1", "VIP1", "NONE"]
    assert [basis.grant_id for basis in event.bases] == ["", "g1"]


def test_volume_during_a_ban_lies_in_a_cell_of_its_own() -> None:
    account = AccountState("alice", bans=(Ban("b1", NOON_NS, NOON_NS + 1, "ORDER_SPAM"),))
    batch = fills(*({"transact_time_ns": at_ns} for at_ns in (NOON_NS - 1, NOON_NS, NOON_NS + 1)))
    _, (event,) = record(batch, rulebook(), account)
    assert [(cell.key.banned, cell.lines) for cell in event.totals] == [(False, 2), (True, 1)]


def test_a_fill_on_midnight_lies_in_the_day_that_begins() -> None:
    midnight_ns = 20_001 * DAY_NS
    batch = fills({"transact_time_ns": midnight_ns - 1}, {"transact_time_ns": midnight_ns})
    _, events = record(batch, rulebook())
    assert [event.time_min_ns for event in events] == [midnight_ns - 1, midnight_ns]


def test_a_fill_finer_than_its_symbol_is_refused_alone_and_trailing_zeros_are_not_finer() -> None:
    batch = fills({"price": "0.001"}, {"quantity": "0.01"}, {"price": "0.500", "quantity": "1.0"})
    outcome, (event,) = record(batch, rulebook(price_scale=2, quantity_scale=1))
    assert [(place, refusal.reason, refusal.field) for place, refusal in outcome.refused] == [
        (0, Reason.PRICE_TOO_FINE, "last_px"),
        (1, Reason.QUANTITY_TOO_FINE, "last_qty"),
    ]
    assert [(line[4], line[5]) for line in lines_of(event)] == [(50, 10)]


def test_the_same_fill_again_is_a_replay_and_another_content_a_conflict() -> None:
    days = DayTable()
    first, (event,) = record(fills({"exec_id": "E", "price": "0.50"}), rulebook(), days=days)
    assert (len(lines_of(event)), first.replayed) == (1, [])
    log = [Recorded(7, fee_stream(*TODAY), 7, Envelope(NOON_NS, NOON_NS, 1), event)]

    def known(batch: FillBatch) -> KnownFills:
        groups = by_account_day(batch)
        suspects = days.suspects(batch, groups, days.places(groups.keys))
        return known_by_name(batch, places_by_day(suspects.key, suspects.place), log, np.array([True]))

    batch = fills({"exec_id": "E", "price": "0.5"})
    again, nothing = record(batch, rulebook(), days=days, known=known(batch))
    assert (again.replayed, nothing) == ([0], [])
    assert again.fees == first.fees
    batch = fills({"exec_id": "E", "price": "0.51"})
    other, nothing = record(batch, rulebook(), days=days, known=known(batch))
    assert (other.replayed, nothing) == ([], [])
    assert [refusal.reason for _, refusal in other.refused] == [Reason.FILL_CONFLICT]


def test_one_fill_twice_in_a_batch_is_recorded_once() -> None:
    batch = fills({"exec_id": "E"}, {"exec_id": "E"}, {"exec_id": "E", "side": 2})
    outcome, (event,) = record(batch, rulebook())
    assert (outcome.replayed, len(lines_of(event))) == ([1], 1)
    assert [(place, refusal.reason) for place, refusal in outcome.refused] == [(2, Reason.FILL_CONFLICT)]


def test_running_totals_go_on_from_what_the_log_says() -> None:
    _, (first,) = record(fills({"exec_id": "A"}), rulebook())
    recorded = Recorded(7, fee_stream(*TODAY), 7, Envelope(0, 0, 1), first)
    loaded = DayTable.holding({TODAY: AccountDay([17], recorded)})
    _, (second,) = record(fills({"exec_id": "B"}), rulebook(), days=loaded)
    _, (together,) = record(fills({"exec_id": "A"}, {"exec_id": "B"}), rulebook())
    assert second.totals == together.totals
    assert (first.previous_position, second.previous_position) == (0, 7)


@pytest.mark.parametrize(
    ("liquidity", "tier", "fee", "source"),
    [(1, "VIP1", 0, "PAIR"), (2, "VIP1", 250_000, "TIER"), (1, "NONE", 0, "PAIR")],
)
def test_rates_of_a_pair_in_the_programme_price_its_fills(liquidity: int, tier: str, fee: int, source: str) -> None:
    rules = programme(overrides={"S": PairRates(0, None)})
    grants = () if tier == "NONE" else (Grant("g1", rules.programme_id, tier, "MANUAL", 0),)
    outcome, _ = record(fills({"liquidity": liquidity}), rulebook(rules), AccountState("alice", grants=grants))
    found, basis = outcome.fees[0]
    assert (found, basis.rate_source) == (fee, source)


@pytest.mark.parametrize(("rate_time", "tiers"), [("exec", ["VIP1", "NONE"]), ("order", ["NONE", "VIP1"])])
def test_rates_are_those_of_the_trade_or_of_the_order_as_the_programme_says_and_a_ban_is_that_of_the_trade(
    rate_time: str, tiers: list[str]
) -> None:
    """A25: of two orders one comes in before the grant and one within it; both trade on the other side of its edge."""
    start_ns, end_ns = NOON_NS, NOON_NS + 1_000
    grant = Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", start_ns, end_ns)
    account = AccountState("alice", grants=(grant,), bans=(Ban("b1", end_ns, end_ns + 1, "ORDER_SPAM"),))
    batch = fills(
        {"transact_time_ns": start_ns, "order_time_ns": start_ns - 1},
        {"transact_time_ns": end_ns, "order_time_ns": end_ns - 1},
    )
    outcome, (event,) = record(batch, rulebook(programme(rate_time=rate_time)), account)
    assert [outcome.fees[place][1].tier for place in range(2)] == tiers
    assert [line.banned for line in lines_of(event)] == [False, True]


def test_without_the_time_of_the_order_rates_are_those_of_the_trade() -> None:
    account = AccountState("alice", grants=(Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS),))
    outcome, _ = record(fills({}), rulebook(programme(rate_time="order")), account)
    assert outcome.fees[0][1].tier == "VIP1"
