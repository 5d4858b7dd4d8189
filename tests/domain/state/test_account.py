"""The fold of an account's stream."""

from __future__ import annotations

from dataclasses import replace

from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    ApplicationSubmitted,
    BanLifted,
    CommandRefused,
    Event,
    FactWithdrawn,
    MatchClaim,
    MatchRequested,
    TierChanged,
    TierRevoked,
    TrialStarted,
)
from ledger.domain.instants import NEVER_NS
from ledger.domain.state.account import (
    AccountState,
    Ban,
    Grant,
    account_after,
    evolve_account,
    fold_account,
    fold_accounts,
)
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


def test_an_account_is_what_its_events_make_it_but_for_those_that_were_withdrawn() -> None:
    events = (
        TierChanged("g1", "p", "VIP1", "MANUAL", 20, None),
        AccountBanned("b1", 0, 50, "X"),
        TierRevoked("g1", 30),
        BanLifted(20),
    )
    grant, ban = Grant("g1", "p", "VIP1", "MANUAL", 20, NEVER_NS, 30), Ban("b1", 0, 20, "X")
    for position, (grants, bans) in enumerate(
        [((), (ban,)), ((grant,), ()), ((replace(grant, revoked_time_ns=NEVER_NS),), (ban,)),
         ((grant,), (replace(ban, end_time_ns=50),))], 1,
    ):  # fmt: skip
        state = fold(*events, FactWithdrawn(position, "CAUSE", 0, ""))
        assert (state.grants, state.bans, state.version) == (grants, bans, 5), position


def test_an_end_that_was_withdrawn_leaves_the_one_before_it() -> None:
    events = (TierChanged("g1", "p", "VIP1", "MANUAL", 20, None), TierRevoked("g1", 40), TierRevoked("g1", 30))
    assert fold(*events).grants[0].revoked_time_ns == 30
    assert fold(*events, FactWithdrawn(3, "REVOCATION", 30, "p")).grants[0].revoked_time_ns == 40


def test_the_ids_of_what_was_withdrawn_are_not_given_again() -> None:
    claim = MatchClaim(("okx",), "VIP2", 0, 30, "500000", "0", bytes(32))
    given = (
        TierChanged("g1", "p", "VIP1", "MANUAL", 20, None),
        AccountBanned("b1", 0, 50, "X"),
        AccountFlagged("f1", "FAKE", 5),
        MatchRequested("m1", "p", 5, "VIP2", claim),
        ApplicationSubmitted("p1", "p", 5, True, True, True, True),
    )
    for state in (fold(*given), fold(*given, *(FactWithdrawn(position, "", 0, "") for position in range(1, 6)))):
        beside = state.matches_and_applications
        ids = (state.next_grant_id, state.next_ban_id, state.next_flag_id)
        assert (*ids, beside.next_match_id, beside.next_application_id) == ("g2", "b2", "f2", "m2", "p2")
    assert (state.grants, state.bans, state.flags, beside.matches, beside.applications) == ((), (), (), (), ())


def test_a_withdrawal_carries_no_state_on_but_asks_for_all_events_again() -> None:
    assert evolve_account(AccountState("alice"), recorded(AccountBanned("b1", 0, 5, "X"))) is not None
    assert evolve_account(AccountState("alice"), recorded(FactWithdrawn(1, "BAN", 0, ""))) is None


def test_events_that_are_folded_on_at_once_say_the_same_as_one_by_one() -> None:
    stream = [
        recorded(event, position)
        for position, event in enumerate(
            [
                AccountBanned("b1", 0, 5, "X"),
                TierChanged("g1", "p", "VIP1", "MANUAL", 20, None),
                TierRevoked("g1", 30),
                BanLifted(2),
                AccountFlagged("f1", "FAKE", 5),
            ],
            1,
        )
    ]
    for first in range(len(stream)):
        state: AccountState | None = fold_account("alice", stream[:first])
        at_once = account_after(fold_account("alice", stream[:first]), stream[first:])
        for each in stream[first:]:
            assert state is not None
            state = evolve_account(state, each)
        assert at_once == state == fold_account("alice", stream)
    assert account_after(fold_account("alice", stream), [recorded(FactWithdrawn(1, "BAN", 0, ""), 6)]) is None


def test_accounts_that_are_folded_together_withdraw_each_their_own() -> None:
    events = [
        recorded(AccountBanned("b1", 0, 5, "X"), 1, "account/alice"),
        recorded(AccountBanned("b1", 0, 5, "X"), 2, "account/bob"),
        recorded(FactWithdrawn(1, "BAN", 0, ""), 3, "account/alice"),
    ]
    found = fold_accounts(events, ["alice", "bob", "carol"])
    assert {name: len(account.bans) for name, account in found.items()} == {"alice": 0, "bob": 1, "carol": 0}
