"""R21, over gRPC: while an account is flagged as fake it pays the base rate and gets neither discount nor reward."""

from __future__ import annotations

import pytest

from ledger.domain.events import AccountFlagged, AccountUnflagged
from ledger.domain.instants import DAY_NS
from ledger.v1.fill_pb2 import TokenPayment
from ledger.v1.query_service_pb2 import GetRatesRequest, ListAccountsRequest, QuoteFeeRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.log import events
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import await_tables, refused, send
from tests.server.instants import A_DAY_AGO, FIRST
from tests.server.orders import flag, tier, trial, unflag

FLAG_NS, UNFLAG_NS = NOON_NS - 2 * DAY_NS, NOON_NS - DAY_NS
# (instant, tier, taker rate of class A) around both ends of the flag
AROUND = [
    (FLAG_NS - 1, "VIP3", "0.0003"),
    (FLAG_NS, "NONE", "0.0025"),
    (UNFLAG_NS - 1, "NONE", "0.0025"),
    (UNFLAG_NS, "VIP3", "0.0003"),
]


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    send(ledger, symbol())


@pytest.fixture
def flagged(ledger: Ledger) -> Ledger:
    """Alice has a tier without an end; she is flagged for a day."""
    send(ledger, tier("alice", "VIP3", valid_from=FIRST))
    send(ledger, flag("alice", kind=2, flag_time=at(FLAG_NS), evidence_sha256=b"\x07" * 32))
    send(ledger, unflag("alice", unflag_time=at(UNFLAG_NS)))
    return ledger


def test_the_log_says_who_was_flagged_from_when_until_when(flagged: Ledger) -> None:
    assert events(flagged, "account/alice")[1:] == [
        AccountFlagged("f1", "ROBOT", FLAG_NS, b"\x07" * 32),
        AccountUnflagged(UNFLAG_NS),
    ]


@pytest.mark.parametrize(("at_ns", "tier_then", "rate"), AROUND)
def test_state_rates_quotes_and_fills_follow_the_flag_at_each_instant(
    flagged: Ledger, at_ns: int, tier_then: str, rate: str
) -> None:
    is_flagged = tier_then == "NONE"
    found = state(flagged, as_of=at(at_ns))
    assert (found.tier, found.flagged, len(found.flags)) == (tier_then, is_flagged, 1)
    rates = flagged.queries.GetRates(GetRatesRequest(account_id="alice", at=ReadAt(as_of=at(at_ns))))
    assert (rates.tier, rates.flagged) == (tier_then, is_flagged)
    kind = {"account_id": "alice", "symbol": "XRP_USDT", "side": 1, "liquidity": 2, "last_px": "0.5", "last_qty": "10"}
    quoted = flagged.queries.QuoteFee(QuoteFeeRequest(**kind, at=ReadAt(as_of=at(at_ns))))  # type: ignore[arg-type]
    assert (quoted.fee_basis.tier, quoted.fee_basis.rate) == (tier_then, rate)
    flagged.fills.RecordFills(batch(fill(transact_time=at(at_ns))))
    (line,) = history(flagged)
    assert (line.basis.tier, line.basis.rate) == (tier_then, rate)


def test_rates_hold_until_the_flag(ledger: Ledger) -> None:
    send(ledger, tier("alice", valid_from=FIRST))
    send(ledger, flag("alice", flag_time=at(FLAG_NS)))
    found = ledger.queries.GetRates(GetRatesRequest(account_id="alice", at=ReadAt(as_of=at(FLAG_NS - 1))))
    assert found.valid_until == at(FLAG_NS)


@pytest.mark.parametrize(("at_ns", "discount"), [(FLAG_NS - 1, "0.25"), (FLAG_NS, "0"), (UNFLAG_NS, "0.25")])
def test_there_is_no_token_discount_while_flagged(ledger: Ledger, at_ns: int, discount: str) -> None:
    send(ledger, flag("alice", flag_time=at(FLAG_NS)))
    send(ledger, unflag("alice", unflag_time=at(UNFLAG_NS)))
    ledger.fills.RecordFills(batch(fill(transact_time=at(at_ns), token_payment=TokenPayment(token="BMX"))))
    (line,) = history(ledger)
    assert (line.basis.rate, line.basis.discount) == ("0.0025", discount)


def test_no_trial_starts_while_flagged(ledger: Ledger) -> None:
    send(ledger, flag("alice", flag_time=A_DAY_AGO))
    assert refused(ledger, trial("alice", start_time=A_DAY_AGO)).reason == "ACCOUNT_FLAGGED"
    assert send(ledger, trial("alice", start_time=at(NOON_NS - DAY_NS - 1))).grant.tier == "VIP3"


def test_a_grant_that_ends_during_the_flag_does_not_come_back(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP5", valid_from=FIRST, valid_until=at(UNFLAG_NS)))
    send(ledger, tier("alice", "VIP1", valid_from=FIRST))
    send(ledger, flag("alice", flag_time=at(FLAG_NS)))
    send(ledger, unflag("alice", unflag_time=at(UNFLAG_NS)))
    assert [state(ledger, as_of=at(t)).tier for t in (FLAG_NS - 1, UNFLAG_NS - 1, UNFLAG_NS)] == [
        "VIP5",
        "NONE",
        "VIP1",
    ]


def test_before_it_was_known_nothing_of_the_flag_is_said_and_recorded_fills_keep_their_fee(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP3", valid_from=FIRST))
    ledger.fills.RecordFills(batch(fill(transact_time=at(FLAG_NS))))
    answer = send(ledger, flag("alice", flag_time=at(FLAG_NS)))
    position = answer.receipt.position
    then = [state(ledger, as_of=at(FLAG_NS), known_at_position=known) for known in (position - 1, position)]
    assert [(found.tier, found.flagged) for found in then] == [("VIP3", False), ("NONE", True)]
    assert [line.basis.tier for line in history(ledger)] == ["VIP3"]


def test_accounts_are_listed_by_flag_as_of_an_instant(flagged: Ledger) -> None:
    flagged.fills.RecordFills(batch(fill(account_id="bob")))
    await_tables(flagged)

    def listed(at_ns: int, **conditions: object) -> list[tuple[str, str, bool]]:
        request = ListAccountsRequest(as_of=at(at_ns), **conditions)  # type: ignore[arg-type]
        found = flagged.queries.ListAccounts(request).accounts
        return [(one.account_id, one.tier, one.flagged) for one in found]

    assert listed(FLAG_NS, flagged=True) == [("alice", "NONE", True)]
    assert listed(FLAG_NS, tier="VIP3") == []
    assert listed(UNFLAG_NS, flagged=True) == []
    assert listed(UNFLAG_NS, flagged=False) == [("alice", "VIP3", False), ("bob", "NONE", False)]
    assert listed(FLAG_NS - 1) == [("alice", "VIP3", False), ("bob", "NONE", False)]


def test_a_flag_of_another_kind_or_of_an_earlier_time_is_one_more_and_an_unflag_ends_all(ledger: Ledger) -> None:
    send(ledger, flag("alice", kind=1, flag_time=at(FLAG_NS)))
    assert refused(ledger, flag("alice", kind=1, flag_time=at(FLAG_NS))).reason == "ACCOUNT_ALREADY_FLAGGED"
    send(ledger, flag("alice", kind=2, flag_time=at(FLAG_NS)))
    send(ledger, flag("alice", kind=1, flag_time=at(FLAG_NS - 1)))
    send(ledger, unflag("alice", unflag_time=at(UNFLAG_NS)))
    assert [flag_.unflagged_time for flag_ in state(ledger).flags] == [at(UNFLAG_NS)] * 3
    assert refused(ledger, unflag("alice", unflag_time=at(UNFLAG_NS))).reason == "NOT_FLAGGED"
