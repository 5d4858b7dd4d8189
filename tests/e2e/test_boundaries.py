"""Every instant at which something starts or ends, one microsecond before it and at it, over gRPC."""

from __future__ import annotations

import pytest

from ledger.domain.instants import DAY_NS
from ledger.v1 import command_service_pb2 as pb
from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import ListFeeHistoryRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import FOUR_EYES, batch, fill, history, request_id, state, symbol

MICROSECOND_NS = 1_000
START_NS = NOON_NS - 40 * DAY_NS
TRIAL_END_NS = START_NS + 30 * DAY_NS


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def fee_at(ledger: Ledger, time_ns: int, **changes: object) -> tuple[str, str, str]:
    """(rate, tier, fee) of a fill of 5 USDT at an instant."""
    record = fill(transact_time=at(time_ns), **changes)
    ledger.fills.RecordFills(batch(record))
    line = next(line for line in history(ledger) if line.fill_ref.exec_id == record.exec_id)
    return line.basis.rate, line.basis.tier, line.fee_amount


def taker_rate(ledger: Ledger, time_ns: int) -> tuple[str, str]:
    """(tier, taker rate of class A) at an instant."""
    found = state(ledger, as_of=at(time_ns))
    return found.tier, next(rates.taker_rate for rates in found.rates if rates.pair_class == "A")


@pytest.mark.parametrize(
    ("instant_ns", "before", "after"),
    [(START_NS, "NONE", "VIP3"), (TRIAL_END_NS, "VIP3", "NONE")],
    ids=["start of the trial", "end of the trial"],
)
def test_a_trial_gives_its_tier_from_its_start_until_its_end(
    ledger: Ledger, instant_ns: int, before: str, after: str
) -> None:
    ledger.commands.StartTrial(
        pb.StartTrialRequest(request_id=request_id(), account_id="alice", start_time=at(START_NS))
    )
    rate = {"NONE": "0.0025", "VIP3": "0.0003"}
    fee = {"NONE": "0.0125", "VIP3": "0.0015"}
    for time_ns, tier in ((instant_ns - MICROSECOND_NS, before), (instant_ns, after)):
        assert taker_rate(ledger, time_ns) == (tier, rate[tier])
        assert fee_at(ledger, time_ns) == (rate[tier], tier, fee[tier])


@pytest.mark.parametrize(
    ("instant_ns", "before", "after"),
    [(START_NS, "NONE", "VIP5"), (START_NS + 3 * DAY_NS, "VIP5", "NONE")],
    ids=["start of the grant", "end of the grant"],
)
def test_a_grant_by_hand_gives_its_tier_from_its_start_until_its_end(
    ledger: Ledger, instant_ns: int, before: str, after: str
) -> None:
    ledger.commands.ChangeTier(
        pb.ChangeTierRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            account_id="alice",
            tier="VIP5",
            valid_from=at(START_NS),
            valid_until=at(START_NS + 3 * DAY_NS),
        )
    )
    rate = {"NONE": "0.0025", "VIP5": "0.0002"}
    for time_ns, tier in ((instant_ns - MICROSECOND_NS, before), (instant_ns, after)):
        assert taker_rate(ledger, time_ns) == (tier, rate[tier])
        assert fee_at(ledger, time_ns)[:2] == (rate[tier], tier)


@pytest.mark.parametrize(
    ("instant_ns", "before", "after"),
    [(START_NS, False, True), (START_NS + 2 * DAY_NS, True, False)],
    ids=["start of the ban", "end of the ban"],
)
def test_a_ban_runs_from_its_start_until_its_end_and_leaves_the_tier_alone(
    ledger: Ledger, instant_ns: int, before: bool, after: bool
) -> None:
    ledger.commands.BanAccount(
        pb.BanAccountRequest(
            request_id=request_id(), account_id="alice", days=2, start_time=at(START_NS), reason_code="ORDER_SPAM"
        )
    )
    for time_ns, banned in ((instant_ns - MICROSECOND_NS, before), (instant_ns, after)):
        assert state(ledger, as_of=at(time_ns)).banned is banned
        assert fee_at(ledger, time_ns)[:2] == ("0.0025", "NONE")
        assert [line.banned for line in history(ledger, as_of=at(time_ns))][-1] is banned


def test_a_revoked_grant_ends_at_the_instant_of_its_revocation(ledger: Ledger) -> None:
    granted = ledger.commands.ChangeTier(
        pb.ChangeTierRequest(
            request_id=request_id(), authority=FOUR_EYES, account_id="alice", tier="VIP1", valid_from=at(START_NS)
        )
    )
    ended_ns = START_NS + DAY_NS
    ledger.commands.RevokeTier(
        pb.RevokeTierRequest(
            request_id=request_id(),
            authority=FOUR_EYES,
            account_id="alice",
            grant_id=granted.grant.grant_id,
            revoke_time=at(ended_ns),
        )
    )
    assert taker_rate(ledger, ended_ns - MICROSECOND_NS) == ("VIP1", "0.0005")
    assert taker_rate(ledger, ended_ns) == ("NONE", "0.0025")


def test_a_maker_of_class_a_on_trial_earns_a_rebate_and_not_from_itself(ledger: Ledger) -> None:
    ledger.commands.StartTrial(
        pb.StartTrialRequest(request_id=request_id(), account_id="alice", start_time=at(START_NS))
    )
    maker = {"liquidity": fill_pb2.LIQUIDITY_MAKER}
    assert fee_at(ledger, START_NS, **maker) == ("-0.00001", "VIP3", "-0.00005")
    assert fee_at(ledger, START_NS + 1, counterparty_owner_id="alice", **maker) == ("0", "VIP3", "0")
    found = ledger.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice"))
    assert [line.fee_type for line in found.lines] == ["REBATE", "ZERO"]
    (total,) = found.totals
    assert (total.charges, total.rebates, total.net, total.lines) == ("0", "-0.00005", "-0.00005", 2)
