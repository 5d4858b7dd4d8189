"""The fold of an account's stream."""

from __future__ import annotations

from dataclasses import replace

from ledger.domain.events import (
    AccountBanned,
    AccountRegistered,
    BanLifted,
    CommandRefused,
    Event,
    TierChanged,
    TierRevoked,
    TrialStarted,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.account import AccountState, Ban, Grant, fold_account
from tests.domain.worked import recorded


def fold(*events: Event) -> AccountState:
    return fold_account("alice", [recorded(event, version) for version, event in enumerate(events, 1)])


def test_an_account_without_events_is_its_own_owner_and_holds_nothing() -> None:
    assert fold() == AccountState("alice")
    assert fold().owner_id == "alice"


def test_registration_gives_the_owner_and_the_parent() -> None:
    state = fold(AccountRegistered("alice", "acme", "main", 5))
    assert (state.owner_id, state.parent_account_id, state.registered, state.version) == ("acme", "main", True, 1)


def test_grants_are_kept_in_the_order_they_were_recorded_and_a_revocation_cuts_one() -> None:
    state = fold(
        TrialStarted("g1", "p", "VIP3", 10, 40),
        TierChanged("g2", "p", "VIP1", "MANUAL", 20, None),
        TierRevoked("g2", 30),
    )
    assert state.trial_used
    assert state.grants == (
        Grant("g1", "p", "VIP3", "TRIAL", 10, 40),
        Grant("g2", "p", "VIP1", "MANUAL", 20, NEVER_NS, 30),
    )
    assert state.change_instants == (10, 20, 30, 40)


def test_lifting_ends_every_running_ban_and_leaves_past_ones_alone() -> None:
    bans = [AccountBanned(f"b{n}", start, end, "X") for n, (start, end) in enumerate([(0, 5), (10, 30), (12, 40)], 1)]
    state = fold(*bans, BanLifted(20))
    assert [(ban.start_time_ns, ban.end_time_ns) for ban in state.bans] == [(0, 5), (10, 20), (12, 20)]


def test_a_refused_command_changes_nothing_but_the_version() -> None:
    before = fold(AccountBanned("b1", 0, 5, "X"))
    after = fold(AccountBanned("b1", 0, 5, "X"), CommandRefused("StartTrial", 209, "account_id", "no"))
    assert after == replace(before, version=2)
    assert after.bans == (Ban("b1", 0, 5, "X"),)
