"""A snapshot is the state of an account, in bytes of which none may be another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from random import Random

import pytest

from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    ApplicationSubmitted,
    Event,
    FactWithdrawn,
    MatchRejected,
    TrialStarted,
)
from ledger.domain.refusal import Reason
from ledger.domain.state.account import AccountState, Ban, Flag, Grant, fold_account
from ledger.domain.state.matches_and_applications import Application, Assignment, Match, MatchesAndApplications, Metric
from ledger.store.codec import account_snapshots
from ledger.store.codec.account_snapshots import ENCODING, SnapshotDamaged, account_of, is_damaged, snapshot_of
from tests.domain.state.test_held import AT_NS, KINDS
from tests.domain.worked import recorded

REJECTED = MatchRejected("m9", "bitmart-api-vip", AT_NS + 5, 12, "RULE", None)


def lived(*, seed: int = 0, events: int = 40) -> AccountState:
    """An account with events of every kind that a state keeps, some of them withdrawn."""
    random, kinds = Random(seed), list(KINDS.values())
    every: list[Event] = [AccountRegistered("alice", 'acme, "Zoë"', "parent", AT_NS)]
    every += [random.choice(kinds)(AT_NS + 100 * place) for place in range(events)]
    every += [
        TrialStarted("g1", "bitmart-api-vip", "VIP1", AT_NS, AT_NS + 7),
        AccountBanned("b2", AT_NS, AT_NS + 9, "ORDER_SPAM"),
        AccountFlagged("f2", "ROBOT", AT_NS, bytes(32)),
        ApplicationSubmitted("p2", "bitmart-api-vip", AT_NS, True, False, True, False),
        REJECTED,
    ]
    last = len(every)
    every += [FactWithdrawn(last - place, "BAN", AT_NS, "p") for place in (1, 2, 3, 4)]
    stream = [recorded(event, place, "account/alice") for place, event in enumerate(every, 1)]
    return fold_account("alice", stream)


@pytest.mark.parametrize("seed", range(20))
def test_a_state_comes_back_as_it_was_and_its_bytes_again(seed: int) -> None:
    state = lived(seed=seed, events=seed * 2)
    snapshot = snapshot_of(state)
    back = account_of(snapshot)
    assert back == state
    assert back is not None
    assert snapshot_of(back) == snapshot
    assert [type(value) for grant in back.grants for value in (grant.under_review, grant.evaluated_ns)] == [
        kind for _ in state.grants for kind in (bool, int)
    ]


def test_every_field_of_a_state_is_in_its_bytes() -> None:
    state = lived()
    beside = state.matches_and_applications
    others = [
        replace(state, **{name: value})
        for name, value in {
            "registered": False,
            "registered_time_ns": 1,
            "owner": "other",
            "named_owners": ("zeta",),
            "parent_account_id": "",
            "grants": state.grants[1:],
            "bans": state.bans[1:],
            "flags": state.flags[1:],
            "evaluated": state.evaluated[1:],
            "withdrawn_ids": (),
        }.items()
    ]
    for field in fields(MatchesAndApplications):
        value = getattr(beside, field.name)
        changed = replace(beside, **{field.name: value[1:] if isinstance(value, tuple) else 1})
        others.append(replace(state, matches_and_applications=changed))
    whole = "account_id version matches_and_applications registered registered_time_ns owner named_owners"
    whole += " parent_account_id grants bans flags evaluated withdrawn_ids"
    assert {field.name for field in fields(AccountState)} == set(whole.split())
    for other in others:
        assert snapshot_of(other).state != snapshot_of(state).state, other
        assert account_of(snapshot_of(other)) == other


def test_equal_states_have_equal_bytes_whatever_texts_they_are_made_of() -> None:
    assert snapshot_of(lived()) == snapshot_of(lived())
    assert json.loads(snapshot_of(AccountState("alice", 3)).state) == [
        [False, 9223372036854775807, ""],
        [0, 1, 2, [], 2, [], [], [], [], [], [], [], 1, [], [], []],
    ]


def test_a_reason_that_was_just_decided_has_the_bytes_of_one_out_of_the_log() -> None:
    def rejected(*reasons: int) -> AccountState:
        events = [replace(REJECTED, match_id=f"m{place}", reason=each) for place, each in enumerate(reasons, 1)]
        return fold_account("alice", [recorded(each, place, "account/alice") for place, each in enumerate(events, 1)])

    named = Reason.VIP_IN_PAST_90_DAYS
    assert (
        snapshot_of(rejected(named, named))
        == snapshot_of(rejected(int(named), named))
        == snapshot_of(rejected(221, 221))
    )


def test_these_bytes_are_kept_until_the_encoding_is_raised() -> None:
    """Whoever changes them, or what events do to a state, raises ENCODING: snapshots of before are folded then."""
    kept = {1: "3eef2bdd6b433f373eeda268463741e9b86d1a12b49b43fdedc9fa4a5a75a9ee"}
    assert hashlib.sha256(snapshot_of(lived()).state).hexdigest() == kept[ENCODING]
    shapes = {kind.__name__: len(fields(kind)) for kind in (Grant, Ban, Flag, Match, Application, Metric, Assignment)}
    assert shapes == {"Grant": 10, "Ban": 4, "Flag": 4, "Match": 11, "Application": 6, "Metric": 5, "Assignment": 2}


def test_no_flipped_bit_of_any_column_passes() -> None:
    snapshot = snapshot_of(lived(events=3))
    for place in range(len(snapshot.state)):
        flipped = bytearray(snapshot.state)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(SnapshotDamaged):
            account_of(snapshot._replace(state=bytes(flipped)))
    for other in (
        snapshot._replace(account_id="bob"),
        snapshot._replace(version=snapshot.version + 1),
        snapshot._replace(sha256=bytes(32)),
        snapshot._replace(sha256=snapshot.sha256[:-1]),
    ):
        with pytest.raises(SnapshotDamaged):
            account_of(other)


def test_another_encoding_is_passed_over() -> None:
    for encoding in (0, ENCODING - 1, ENCODING + 1):
        assert account_of(snapshot_of(lived())._replace(encoding=encoding)) is None


def test_one_of_another_encoding_is_as_it_was_stored_unless_its_encoding_was_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = snapshot_of(lived())
    assert is_damaged(old._replace(encoding=ENCODING + 1))
    monkeypatch.setattr(account_snapshots, "ENCODING", ENCODING + 1)
    assert snapshot_of(lived()).encoding == ENCODING + 1
    assert account_of(old) is None
    assert not is_damaged(old), "`check` passes over those of an older release"
