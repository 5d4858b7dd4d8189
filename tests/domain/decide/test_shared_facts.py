"""Shared facts that come late: by the switch of their programme, by two persons, and what becomes in each account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ledger.domain.commands import DeclineFact, DeclineSharedFact, ReleaseFact, ReleaseSharedFact, WithdrawFact
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.facts import AccountFacts
from ledger.domain.decide.shared_facts import (
    decide_shared_fact,
    fact_of_account,
    judge_in_account,
    judge_shared,
    refused_as_shared,
)
from ledger.domain.events import (
    Envelope,
    Event,
    FactDeclined,
    FactReleased,
    FactWithheld,
    PairClassAssigned,
    Recorded,
)
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from tests.domain.worked import NOON_NS, programme, rulebook

POSITION = 40
NAME = programme().programme_id
CLASS = PairClassAssigned(NAME, "S", "B", 7)
RELEASED = FactReleased(POSITION, "PAIR_CLASS", "adjust", (NAME,), from_ns=7)


def book(switch: str, *events: Event) -> Rulebook:
    """The rules after the late class, and after what was decided of it."""
    rules = programme()
    found = rulebook(replace(rules, adjust=rules.adjust._replace(classes=switch)))
    for number, event in enumerate((CLASS, *events)):
        envelope = Envelope(NOON_NS, NOON_NS, 1)
        found = evolve_rulebook(found, Recorded(POSITION + number, f"programme/{NAME}", 2 + number, envelope, event))
    return found


@pytest.mark.parametrize("switch", ["adjust", "credit_only", "propose", "keep"])
def test_the_switch_of_its_programme_releases_or_withholds_it(switch: str) -> None:
    rules = book(switch)
    found = judge_shared(rules.shared_facts[POSITION], rules, NOON_NS)
    released = FactReleased(POSITION, "PAIR_CLASS", switch, (NAME,))
    withheld = FactWithheld(POSITION, "PAIR_CLASS", switch, "SWITCH", (NAME,))
    assert found == (released if switch in ("adjust", "credit_only") else withheld)


@pytest.mark.parametrize(
    ("nets", "found"),
    [
        ({"USDT": -1}, [replace(RELEASED, switch="credit_only", currencies=("USDT",))]),
        ({"USDT": 0}, [FactWithheld(POSITION, "PAIR_CLASS", "credit_only", "DEBIT", (NAME,), ("USDT",), 7)]),
        (None, [FactWithheld(POSITION, "PAIR_CLASS", "credit_only", "SIZE", (NAME,), (), 7)]),
    ],
)
def test_credit_only_is_decided_in_each_account(nets: Mapping[str, int] | None, found: list[Event]) -> None:
    fact = fact_of_account(book("credit_only").shared_facts[POSITION])
    assert list(judge_in_account(fact, "credit_only", lambda _: nets)) == found


def test_two_persons_release_what_the_programme_withholds_and_each_account_then_has_it() -> None:
    rules = book("propose", FactWithheld(POSITION, "PAIR_CLASS", "propose", "SWITCH", (NAME,)))
    stream, decided = decide_shared_fact(rules, ReleaseSharedFact(POSITION), NOON_NS)
    event = FactReleased(POSITION, "PAIR_CLASS", "propose", (NAME,))
    assert (stream, decided) == (f"programme/{NAME}", Decided(NOON_NS, ((stream, event),)))
    fact = fact_of_account(rules.shared_facts[POSITION])
    (own,) = judge_in_account(fact, "propose", lambda _: None)
    assert own == replace(RELEASED, switch="propose")


@pytest.mark.parametrize(
    ("events", "position", "reason"),
    [
        ([], 39, "FACT_UNKNOWN"),
        ([FactDeclined(POSITION)], POSITION, "FACT_DECLINED"),
        ([RELEASED], POSITION, "FACT_ALREADY_RELEASED"),
    ],
)
@pytest.mark.parametrize("command", [ReleaseSharedFact, DeclineSharedFact])
def test_what_is_decided_or_unknown_is_refused(
    command: type[ReleaseSharedFact | DeclineSharedFact], events: list[Event], position: int, reason: str
) -> None:
    _, refused = decide_shared_fact(book("propose", *events), command(position), NOON_NS)
    assert isinstance(refused, Refusal)
    assert refused.reason.name == reason


@pytest.mark.parametrize(
    ("events", "reason"),
    [([], "FACT_UNKNOWN"), ([FactDeclined(POSITION)], "FACT_DECLINED"), ([RELEASED], "FACT_ALREADY_RELEASED")],
)
@pytest.mark.parametrize("command", [ReleaseFact, DeclineFact])
def test_an_account_decides_on_it_once_it_was_brought_there(
    command: type[ReleaseFact | DeclineFact], events: list[Event], reason: str
) -> None:
    rules, alice = book("propose", *events), command("alice", POSITION)
    refused = refused_as_shared(rules, AccountFacts("alice", []), alice)
    assert refused is not None
    assert refused.reason.name == reason
    withheld = FactWithheld(POSITION, "PAIR_CLASS", "credit_only", "DEBIT", (NAME,), ("USDT",), 7)
    recorded = Recorded(50, "account/alice", 1, Envelope(NOON_NS, NOON_NS, 1), withheld)
    assert refused_as_shared(rules, AccountFacts("alice", [recorded]), alice) is None
    assert refused_as_shared(rules, AccountFacts("alice", []), command("alice", POSITION + 9)) is None


def test_it_is_not_withdrawn() -> None:
    refused = refused_as_shared(book("adjust", RELEASED), AccountFacts("alice", []), WithdrawFact("alice", POSITION))
    assert refused is not None
    assert (refused.reason.name, "give the pair others now" in refused.detail) == ("FACT_NOT_WITHDRAWABLE", True)


def test_a_line_counts_by_a_shared_fact_only_if_it_came_before_it_and_is_released_for_it() -> None:
    recorded = Recorded(50, "account/alice", 1, Envelope(NOON_NS, NOON_NS, 1), replace(RELEASED, currencies=("USDT",)))
    known = AccountFacts("alice", [recorded])
    assert known.shared_since(POSITION - 1, NAME, "USDT") == (POSITION,)
    assert known.shared_since(POSITION, NAME, "USDT") == ()
    assert known.shared_since(POSITION - 1, NAME, "BMX") == ()
    assert known.shared_since(POSITION - 1, "another", "USDT") == ()
