"""Decisions on programmes at their edges: how far back something may start, and who governs a venue when."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from ledger import programmes
from ledger.domain.commands import AssignPairClass, ProgrammeCommand, PublishProgramme, RegisterSymbol, SetPairRates
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.programme import PAST_NS_MAX, decide_programme
from ledger.domain.decide.register import decide_register
from ledger.domain.events import Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Refusal
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from tests.domain.worked import NOON_NS, programme, recorded, rulebook

EDGE_NS = NOON_NS - PAST_NS_MAX
HERE = programme(programme_id="here", venues=("x", "y"))
THERE = programme(programme_id="there", venues=("z",))


def publish(rules: object, from_ns: int | None = None, *, content: str = "") -> PublishProgramme:
    assert isinstance(rules, type(HERE))
    text = content or f"{rules.programme_id} {rules.version}"
    return PublishProgramme(rules, text, sha256(text.encode()).digest(), from_ns)


def reason(book: Rulebook, command: ProgrammeCommand | RegisterSymbol) -> str:
    decide: Any = decide_register if isinstance(command, RegisterSymbol) else decide_programme
    decided = decide(book, command, NOON_NS)
    return decided.reason.name if isinstance(decided, Refusal) else ""


def after(book: Rulebook, *commands: PublishProgramme) -> Rulebook:
    """The rulebook after some publications."""
    for command in commands:
        decided = decide_programme(replace(book, parse=lambda _: command.programme), command, NOON_NS)  # noqa: B023
        assert isinstance(decided, Decided), decided
        event: Recorded = recorded(decided.events[0][1])
        book = evolve_rulebook(replace(book, parse=lambda _: command.programme), event)  # noqa: B023
    return book


@pytest.mark.parametrize(
    "command",
    [
        lambda from_ns: publish(programme(version="3.1"), from_ns),
        lambda from_ns: AssignPairClass("S", "B", from_ns),
        lambda from_ns: SetPairRates("S", 0, None, from_ns),
    ],
    ids=["version", "class", "rates"],
)
def test_nothing_starts_further_in_the_past_than_clocks_may_differ(command: object) -> None:
    book = rulebook()
    assert callable(command)
    assert [reason(book, command(EDGE_NS - later)) for later in (0, 1)] == ["", "PROGRAMME_IN_THE_PAST"]


def register(from_ns: int, **changes: Any) -> RegisterSymbol:
    return RegisterSymbol("S", "XRP", "USDT", 1, 8, 8, from_ns, **changes)


@pytest.mark.parametrize("pair_class", ["", "A", "B"])
def test_new_terms_of_a_symbol_start_no_further_in_the_past_whatever_class_comes_with_them(pair_class: str) -> None:
    """RegisterSymbol would otherwise give what AssignPairClass refuses, and another quote currency too."""
    found = [reason(rulebook(), register(EDGE_NS - later, pair_class=pair_class)) for later in (0, 1)]
    assert found == ["", "PROGRAMME_IN_THE_PAST"]


def test_the_first_registration_of_a_symbol_may_lie_in_the_past_and_its_class_with_it() -> None:
    book = after(Rulebook(programmes.parse), publish(HERE, 0))
    assert reason(book, register(1, pair_class="A")) == ""


def test_a_class_that_comes_with_new_terms_is_no_way_around_the_guard_against_a_money_pump() -> None:
    """Class C leaves room for a rebate that class A does not."""
    book = rulebook(pair_class="C")
    rates = decide_programme(book, SetPairRates("S", -500, None, NOON_NS), NOON_NS)
    assert isinstance(rates, Decided)
    book = evolve_rulebook(book, recorded(rates.events[0][1]))
    assert reason(book, register(NOON_NS, pair_class="A")) == "NEGATIVE_NET_PAIR"
    assert reason(book, register(NOON_NS, pair_class="C")) == ""


def test_what_never_priced_anything_may_start_in_the_past() -> None:
    assert reason(rulebook(), publish(THERE, 0)) == ""
    assert reason(rulebook(pair_class=""), AssignPairClass("S", "B", 0)) == ""


def test_a_venue_passes_from_one_programme_to_another_at_an_instant_and_not_before() -> None:
    left = replace(HERE, venues=("y",), version="2")
    book = after(Rulebook(programmes.parse), publish(HERE, 0), publish(left, NOON_NS + DAY_NS))
    taker = replace(THERE, venues=("x",))
    assert reason(book, publish(taker, NOON_NS + DAY_NS - 1)) == "VENUE_ALREADY_GOVERNED"
    assert reason(book, publish(taker, NOON_NS + DAY_NS)) == ""


def test_a_venue_that_is_promised_to_another_programme_is_taken_from_then_on() -> None:
    promised = replace(THERE, venues=("z", "w"), version="2")
    book = after(Rulebook(programmes.parse), publish(THERE, 0), publish(promised, NOON_NS + DAY_NS))
    claim = replace(HERE, venues=("w",))
    assert reason(book, publish(claim, NOON_NS)) == "VENUE_ALREADY_GOVERNED"
    assert reason(after(book, publish(HERE, NOON_NS)), publish(replace(HERE, version="2"), NOON_NS)) == ""


def test_one_version_has_one_content_for_ever() -> None:
    book = after(Rulebook(programmes.parse), publish(HERE, NOON_NS))
    assert reason(book, publish(HERE, NOON_NS + 1, content="other")) == "PROGRAMME_VERSION_EXISTS"
    assert reason(book, publish(HERE, NOON_NS)) == "PROGRAMME_VERSION_EXISTS"
    assert reason(book, publish(HERE, NOON_NS + 1)) == ""


def test_rates_of_a_pair_end_and_then_the_file_counts_again() -> None:
    book = rulebook()
    for command in (SetPairRates("S", 0, 100, NOON_NS), SetPairRates("S", None, None, NOON_NS + 5)):
        decided = decide_programme(book, command, NOON_NS)
        assert isinstance(decided, Decided)
        book = evolve_rulebook(book, recorded(decided.events[0][1]))
    rules = programme()
    assert [book.override(rules, "S", NOON_NS + later) is None for later in (-1, 0, 4, 5)] == [True, False, False, True]
