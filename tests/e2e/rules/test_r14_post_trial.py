"""R14 over gRPC: after the trial its own volume gives the tier, from its end on, without a gap."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1.control_service_pb2 import ListFindingsRequest
from ledger.v1.evaluation_service_pb2 import EVALUATION_KIND_POST_TRIAL as POST_TRIAL
from ledger.v1.evaluation_service_pb2 import RunEvaluationRequest
from tests.conftest import NOON_NS, Ledger, at
from tests.e2e.rules.evaluating import counts, evaluated, plan, run, trade
from tests.samples import FOUR_EYES, state, symbol
from tests.server.calls import refused, send
from tests.server.orders import ban, close, credit, flag, publish, register, revoke, trial, unflag

START_NS = NOON_NS - 30 * DAY_NS + SECOND_NS  # its last second is the tests' first
END_NS = NOON_NS + SECOND_NS


@pytest.fixture(autouse=True)
def _trial(ledger: Ledger) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    send(ledger, trial("alice", start_time=at(START_NS)))


def waits(ledger: Ledger, at_ns: int, **read_at: Any) -> bool:
    """Whether the end of the trial is said to wait for its evaluation."""
    return state(ledger, as_of=at(at_ns), **read_at).pending_evaluation_time == at(END_NS)


@pytest.mark.parametrize(
    ("volume", "expected"), [("2000000", "VIP3"), ("1999999.99", "VIP2"), ("100000", "VIP1"), ("99999.99", "NONE")]
)
def test_the_volume_of_the_trial_gives_the_tier_from_its_end_on(ledger: Ledger, volume: str, expected: str) -> None:
    trade(ledger, volume, START_NS)
    trade(ledger, "5000000", START_NS - 1)
    ledger.clock.now_ns = END_NS + DAY_NS
    assert [waits(ledger, at_ns) for at_ns in (END_NS - 1, END_NS)] == [False, True]
    run(ledger, kind=POST_TRIAL)
    (event,) = evaluated(ledger)
    assert (event.kind, event.evaluated_time_ns, event.volume, event.tier) == ("POST_TRIAL", END_NS, volume, expected)
    assert (event.window_from_ns, event.window_until_ns) == (START_NS, END_NS)
    tiers = [state(ledger, as_of=at(at_ns)).tier for at_ns in (END_NS - 1, END_NS, END_NS + 30 * DAY_NS)]
    assert tiers == ["VIP3", expected, "NONE"]
    assert not waits(ledger, END_NS)
    assert waits(ledger, END_NS, known_at_position=event.read_position)


def test_on_the_days_that_a_trial_cuts_fills_count_as_a_late_ban_left_them(ledger: Ledger) -> None:
    """The trial begins and ends at noon: of these days a part counts, fill by fill."""
    for volume, at_ns in (("1000", START_NS), ("200", START_NS + SECOND_NS), ("30", START_NS + DAY_NS)):
        trade(ledger, volume, at_ns)
    trade(ledger, "4", END_NS - 1)
    ledger.clock.now_ns = END_NS + DAY_NS
    for start_ns in (START_NS + 1, END_NS - 1):
        send(ledger, ban("alice", start_time=at(start_ns)))
    run(ledger, kind=POST_TRIAL)
    assert [event.volume for event in evaluated(ledger)] == ["1000"]


def test_a_plan_names_no_volume_of_credits_nor_one_from_which_all_fills_have_moved(ledger: Ledger) -> None:
    """The last fill comes after what the plan knows, so that the log and not the tables says what the day was."""
    trade(ledger, "30", START_NS + DAY_NS)
    ledger.clock.now_ns = END_NS + DAY_NS
    send(ledger, ban("alice", start_time=at(START_NS + DAY_NS)))
    send(ledger, credit(day="2024-09-05"))
    known = ledger.log.head().position
    for later in range(2):
        (found,) = plan(ledger, kind=POST_TRIAL, instant=at(END_NS), at={"known_at_position": known})
        assert [(one.reason, one.quote_currency, one.notional) for one in found.volumes] == [("BANNED", "USDT", "30")]
        trade(ledger, f"{4 + later}", START_NS + DAY_NS + 1)


def test_a_plan_counts_a_day_that_went_on_after_it_both_for_a_sub_account_and_for_its_parent(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ("aggregate_subaccounts = false", "aggregate_subaccounts = true")))
    send(ledger, register("sub", "owner-2", parent_account_id="alice"))
    send(ledger, trial("sub", start_time=at(START_NS)))
    for at_ns in (START_NS, START_NS + DAY_NS):  # of the first of these days, which the trials cut, each part
        trade(ledger, "100", at_ns, "sub")
    ledger.clock.now_ns = END_NS + DAY_NS
    known = ledger.log.head().position
    trade(ledger, "7", START_NS + DAY_NS, "sub")
    found = plan(ledger, kind=POST_TRIAL, instant=at(END_NS), at={"known_at_position": known})
    assert [(one.account_id, one.volume) for one in found] == [("alice", "200"), ("sub", "200")]


def test_a_trial_that_runs_is_not_evaluated(ledger: Ledger) -> None:
    trade(ledger, "2000000", NOON_NS)
    assert plan(ledger, kind=POST_TRIAL, instant=at(END_NS - 1)) == []
    (found,) = plan(ledger, kind=POST_TRIAL, instant=at(END_NS))
    assert (found.tier_before, found.tier_after, found.movement) == ("VIP3", "VIP3", "STAYED")
    request = RunEvaluationRequest(request_id="early", authority=FOUR_EYES, kind=POST_TRIAL, instant=at(END_NS))
    assert refused(ledger, request).reason == "EVALUATION_NOT_DUE"


def test_a_trial_is_evaluated_once_and_those_that_end_later_by_later_runs(ledger: Ledger) -> None:
    send(ledger, trial("bob", start_time=at(START_NS - DAY_NS)))
    ledger.clock.now_ns = END_NS - DAY_NS
    assert [one.account_id for one in plan(ledger, kind=POST_TRIAL, instant=at(END_NS - DAY_NS))] == ["bob"]
    ledger.clock.now_ns = END_NS + DAY_NS
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS - DAY_NS))) == {"evaluated": 1, "lost": 1}
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS))) == {"evaluated": 1, "lost": 1}
    assert counts(run(ledger, kind=POST_TRIAL, instant=at(END_NS + 1))) == {}
    assert [len(evaluated(ledger, name)) for name in ("alice", "bob")] == [1, 1]


def test_the_day_on_which_a_trial_ends_takes_the_close_before_it(ledger: Ledger) -> None:
    """A30: the trial ends at noon; the close of that day comes at midnight."""
    send(ledger, symbol("XRP_BTC"))
    trade(ledger, "2", NOON_NS, symbol="XRP_BTC")
    send(ledger, close("BTC", "2024-10-03", "50000"))
    ledger.clock.now_ns = END_NS + DAY_NS
    send(ledger, close("BTC", "2024-10-04", "1"))
    run(ledger, kind=POST_TRIAL)
    assert [(event.volume, event.tier) for event in evaluated(ledger)] == [("100000", "VIP1")]


def test_a_trial_that_was_revoked_is_followed_by_nothing(ledger: Ledger) -> None:
    """What was taken away is not given back for 30 days more; the account waits for nothing, and no control asks."""
    trade(ledger, "3000000", START_NS)
    send(ledger, revoke("alice", revoke_time=at(START_NS + DAY_NS)))
    ledger.clock.now_ns = END_NS + DAY_NS
    assert not waits(ledger, END_NS)
    assert plan(ledger, kind=POST_TRIAL, instant=at(END_NS)) == []
    assert list(send(ledger, ListFindingsRequest(control="trials-open", as_of=at(END_NS + DAY_NS))).findings) == []
    assert counts(run(ledger, kind=POST_TRIAL)) == {}
    assert (evaluated(ledger), state(ledger, as_of=at(END_NS)).tier) == ([], "NONE")


def test_a_trial_that_a_flag_ended_is_followed_by_nothing_and_one_that_went_on_after_it_is(ledger: Ledger) -> None:
    """A33: from the un-flag on the trial counts again, to its own end."""
    send(ledger, trial("bob", start_time=at(START_NS)))
    for name in ("alice", "bob"):
        trade(ledger, "3000000", START_NS, name)
        send(ledger, flag(name, flag_time=at(START_NS + DAY_NS)))
    send(ledger, unflag("bob", unflag_time=at(START_NS + 2 * DAY_NS)))
    ledger.clock.now_ns = END_NS + DAY_NS
    send(ledger, unflag("alice", unflag_time=at(END_NS)))
    assert counts(run(ledger, kind=POST_TRIAL)) == {"evaluated": 1, "granted": 1, "stayed": 1}
    assert [len(evaluated(ledger, name)) for name in ("alice", "bob")] == [0, 1]


def test_a_trial_is_evaluated_by_the_version_in_force_at_its_end(ledger: Ledger) -> None:
    """The new version, published before the run, asks ten times the volume and gives half the days."""
    trade(ledger, "500000", START_NS)
    ledger.clock.now_ns = END_NS + DAY_NS // 2
    harder = (('VIP1 = "100000", VIP2 = "500000", VIP3', 'VIP1 = "300000", VIP2 = "900000", VIP3'),)
    send(ledger, publish("3.1", *harder, ("further_days = 30 ", "further_days = 15 ")))
    send(ledger, trial("bob", start_time=at(END_NS - 29 * DAY_NS)))
    ledger.clock.now_ns = END_NS + 2 * DAY_NS
    trade(ledger, "500000", START_NS + 2 * DAY_NS, "bob")
    (first, second) = plan(ledger, kind=POST_TRIAL, instant=at(END_NS + 2 * DAY_NS))
    assert (first.tier_after, second.tier_after) == ("VIP2", "VIP1")
    run(ledger, kind=POST_TRIAL, instant=at(END_NS + 2 * DAY_NS))
    (event,), (later,) = evaluated(ledger), evaluated(ledger, "bob")
    assert (event.programme_version, event.tier, event.valid_until_ns) == ("3.0", "VIP2", END_NS + 30 * DAY_NS)
    assert (later.programme_version, later.tier) == ("3.1", "VIP1")
    assert later.valid_until_ns - later.valid_from_ns == 15 * DAY_NS


def test_the_trial_of_a_sub_account_is_evaluated_by_its_own_volume_where_the_programme_aggregates(
    ledger: Ledger,
) -> None:
    send(ledger, publish("3.1", ("aggregate_subaccounts = false", "aggregate_subaccounts = true")))
    send(ledger, register("sub", "owner-2", parent_account_id="main"))
    send(ledger, trial("sub", start_time=at(START_NS)))
    trade(ledger, "500000", START_NS, "sub")
    trade(ledger, "900000", START_NS, "main")
    ledger.clock.now_ns = END_NS + DAY_NS
    run(ledger, kind=POST_TRIAL)
    assert [(event.volume, event.tier) for event in evaluated(ledger, "sub")] == [("500000", "VIP2")]


def test_fills_of_a_day_that_two_trials_cut_count_for_the_sub_account_and_for_its_parent(ledger: Ledger) -> None:
    send(ledger, publish("3.1", ("aggregate_subaccounts = false", "aggregate_subaccounts = true")))
    send(ledger, register("sub", "owner-2", parent_account_id="alice"))
    send(ledger, trial("sub", start_time=at(START_NS)))
    trade(ledger, "1000", START_NS)
    trade(ledger, "200", START_NS, "sub")
    trade(ledger, "30", START_NS + 2 * DAY_NS, "sub")
    ledger.clock.now_ns = END_NS + DAY_NS
    run(ledger, kind=POST_TRIAL)
    volumes = [[event.volume for event in evaluated(ledger, name)] for name in ("alice", "sub")]
    assert volumes == [["1230"], ["230"]]
