"""R4: one trial, once for life per owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.domain.events import TrialStarted
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.trial import start_trial
from ledger.domain.state.account import AccountState, Grant
from tests.domain.worked import NOON_NS, programme

NEW = AccountState("alice")
TRIED = AccountState("bob", owner="alice", grants=(Grant("g1", "bitmart-api-vip", "VIP3", "TRIAL", 0, 1),))
HELD = AccountState("carol", owner="alice", grants=(Grant("g1", "bitmart-api-vip", "VIP1", "MANUAL", 0, 1),))


def reason(found: TrialStarted | Refusal) -> Reason | None:
    return found.reason if isinstance(found, Refusal) else None


def test_a_new_member_gets_vip3_for_thirty_days_of_86400_seconds() -> None:
    assert start_trial(NEW, (), programme(), start_time_ns=NOON_NS) == TrialStarted(
        "g1", "bitmart-api-vip", "VIP3", NOON_NS, NOON_NS + 30 * 86_400 * 10**9
    )


def test_another_account_of_the_owner_uses_it_up() -> None:
    assert reason(start_trial(NEW, (TRIED,), programme(), start_time_ns=NOON_NS)) == Reason.TRIAL_ALREADY_USED
    per_account = programme(trial=replace(programme().trial, once_per="account"))
    assert reason(start_trial(NEW, (TRIED,), per_account, start_time_ns=NOON_NS)) is None


def test_who_has_held_a_tier_is_no_new_member_and_a_used_trial_is_said_first() -> None:
    assert reason(start_trial(HELD, (), programme(), start_time_ns=NOON_NS)) == Reason.NOT_A_NEW_MEMBER
    assert reason(start_trial(HELD, (TRIED,), programme(), start_time_ns=NOON_NS)) == Reason.TRIAL_ALREADY_USED


@pytest.mark.parametrize("source", ["TRIAL", "MANUAL"])
@pytest.mark.parametrize(("revoked_ns", "refused"), [(4, False), (5, False), (6, True)])
def test_a_grant_that_was_revoked_from_its_start_never_was(source: str, revoked_ns: int, *, refused: bool) -> None:
    grant = Grant(
        "g1", "bitmart-api-vip", "VIP3", source, valid_from_ns=5, valid_until_ns=9, revoked_time_ns=revoked_ns
    )
    mistaken = AccountState("alice", grants=(grant,))
    for account, family in ((mistaken, ()), (NEW, (mistaken,))):
        found = start_trial(account, family, programme(), start_time_ns=NOON_NS)
        assert isinstance(found, Refusal) == refused
        if isinstance(found, TrialStarted):
            assert found.grant_id == ("g2" if account is mistaken else "g1")


def test_all_trials_are_over_on_the_last_day_of_the_programme() -> None:
    closing = programme(trial=replace(programme().trial, closes_at_ns=NOON_NS))
    cut = start_trial(NEW, (), closing, start_time_ns=NOON_NS - DAY_NS)
    assert isinstance(cut, TrialStarted)
    assert cut.valid_until_ns == NOON_NS
    assert isinstance(start_trial(NEW, (), closing, start_time_ns=NOON_NS - 1), TrialStarted)
    assert reason(start_trial(NEW, (), closing, start_time_ns=NOON_NS)) == Reason.TRIAL_CLOSED


def test_a_programme_without_trials_starts_none() -> None:
    found = start_trial(NEW, (), programme(trial=None), start_time_ns=NOON_NS)
    assert isinstance(found, Refusal)
    assert (found.reason, found.field) == (Reason.TRIAL_CLOSED, "programme_id")
