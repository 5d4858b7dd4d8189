"""Four eyes: which commands need two persons, and who counts as a second one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.domain.commands import (
    AwardBonus,
    BanAccount,
    ChangeTier,
    Command,
    LiftBan,
    PublishProgramme,
    RegisterSymbol,
    Request,
)
from ledger.domain.decide.approval import check_approval
from ledger.domain.state.rulebook import Rulebook
from tests.domain.worked import NOON_NS, programme, rulebook

CHANGE = ChangeTier("alice", "VIP1", None, None)
LIFT = LiftBan("alice", None)
ASKS = programme(approval=frozenset({"ChangeTier", "LiftBan", "AwardBonus.override"}))


def reason(book: Rulebook, command: Command, actor: str = "a", approver: str = "b", text: str = "why") -> str:
    refused = check_approval(book, command, Request("r", b"", actor, approver, reason=text), NOON_NS)
    return refused.reason.name if refused else ""


@pytest.mark.parametrize(
    ("actor", "approver", "expected"),
    [
        ("a", "b", ""),
        ("a", "", "APPROVER_REQUIRED"),
        ("", "b", "ACTOR_REQUIRED"),
        ("", "", "ACTOR_REQUIRED"),
        ("a", "a", "APPROVER_IS_ACTOR"),
    ],
)
def test_two_persons_are_two_names_that_differ(actor: str, approver: str, expected: str) -> None:
    assert reason(rulebook(ASKS), LIFT, actor, approver) == expected


def test_only_a_tier_by_hand_needs_a_reason_too() -> None:
    book = rulebook(ASKS)
    assert [reason(book, command, text="") for command in (CHANGE, LIFT)] == ["REASON_REQUIRED", ""]


def test_what_the_programme_does_not_name_one_person_may_do() -> None:
    assert reason(rulebook(ASKS), BanAccount("alice", 1, None, "SPAM"), "", "") == ""
    assert reason(rulebook(programme(approval=frozenset())), CHANGE, "", "", "") == ""


def test_an_exception_has_a_name_of_its_own() -> None:
    bonus = AwardBonus("p", "alice", "1", "USDT", None, False, "a", "")
    book = rulebook(ASKS)
    assert [reason(book, replace(bonus, override=override), "a", "") for override in (False, True)] == [
        "",
        "APPROVER_REQUIRED",
    ]


def test_new_terms_of_a_symbol_that_is_registered_have_a_name_of_their_own_and_concern_every_programme() -> None:
    asks = programme(approval=frozenset({"RegisterSymbol.again"}))
    lax = programme(programme_id="lax", venues=("elsewhere",), approval=frozenset())
    book = rulebook(asks)
    book = replace(book, programmes={**book.programmes, "lax": ((0, lax),)})
    known, new = (RegisterSymbol(name, "XRP", "USDT", 1, 8, 8, programme_id="lax") for name in ("S", "NEW"))
    assert [reason(book, command, "a", "") for command in (known, new)] == ["APPROVER_REQUIRED", ""]


def test_the_packaged_programme_leaves_to_nobody_alone_what_changes_fees() -> None:
    asked = {"SetPairRates", "AssignPairClass", "RegisterSymbol.again", "RevokeTier", "AwardBonus", "ChangeTier"}
    assert asked <= programme().approval
    assert not {"StartTrial", "FlagAccount", "RegisterSymbol", "RegisterAccount"} & programme().approval


def test_a_programme_is_never_published_by_one_person_whatever_it_says() -> None:
    rules = programme(approval=frozenset())
    command = PublishProgramme(rules, "", b"", None)
    assert reason(rulebook(rules), command, "a", "") == "APPROVER_REQUIRED"
    assert reason(rulebook(rules), command) == ""


def test_of_several_programmes_the_one_named_counts_and_without_a_name_each() -> None:
    lax = programme(programme_id="lax", venues=("elsewhere",), approval=frozenset())
    book = rulebook(ASKS)
    book = replace(book, programmes={**book.programmes, "lax": ((0, lax),)})
    named = [replace(CHANGE, programme_id=name) for name in ("lax", ASKS.programme_id, "")]
    assert [reason(book, command, "a", "") for command in named] == ["", "APPROVER_REQUIRED", "APPROVER_REQUIRED"]
    assert reason(book, LIFT, "a", "") == "APPROVER_REQUIRED"


def test_the_version_in_force_counts_and_before_the_first_the_first() -> None:
    lax = programme(version="4", approval=frozenset())
    book = rulebook(ASKS)
    ahead = replace(book, programmes={ASKS.programme_id: ((0, ASKS), (NOON_NS + 1, lax))})
    now = replace(book, programmes={ASKS.programme_id: ((0, ASKS), (NOON_NS, lax))})
    first = replace(book, programmes={ASKS.programme_id: ((NOON_NS + 1, ASKS), (NOON_NS + 2, lax))})
    assert [reason(one, LIFT, "a", "") for one in (ahead, now, first)] == ["APPROVER_REQUIRED", "", "APPROVER_REQUIRED"]
