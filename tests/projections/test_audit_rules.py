"""What older rules decided otherwise is told apart from what is wrong; all that no rule decides is held to account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.domain import commands
from ledger.domain import events as told
from ledger.domain.events import Event, FeeEvent, Recorded, VolumeRecorded, WriterStarted
from ledger.domain.rules import RULES_VERSION
from ledger.domain.state.volume_cells import CellSums, add_totals
from ledger.replay.compare import Deviation
from ledger.replay.totals import recounted
from projections.audit import terms
from projections.audit.terms import Otherwise, Terms
from tests.projections.audited import Copy, audit, rich_ledger
from tests.projections.rich import decide
from tests.projections.test_audit import NARROW, middle
from tests.properties.test_replay import fee_off_by_one
from tests.write_side import NOON_NS, Writing

NEWER = RULES_VERSION + 1


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Writing]:
    """A ledger with several terms, all of them of today's rules; a ban is the last that happens."""
    with rich_ledger(dsn, "ruled") as writing:
        decide(writing, commands.BanAccount("account1", 3, NOON_NS, "ORDER_SPAM"))
        yield writing


@pytest.fixture
def newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit is that of a release whose rules are newer by one."""
    monkeypatch.setattr(terms, "RULES_VERSION", NEWER)


def audited(copy: Copy) -> tuple[list[Deviation], list[Otherwise]]:
    """(findings, what older rules decided otherwise)."""
    otherwise: list[Otherwise] = []
    return audit(copy.dsn, copy.schema, otherwise=otherwise)[0], otherwise


def last_of_its_day(log: list[Recorded], kind: type[Event]) -> tuple[Recorded, CellSums]:
    """An event of a kind, without wide amounts, that is the last of its account-day, and the totals before it."""
    days: dict[str, list[Recorded]] = {}
    for recorded in log:
        if isinstance(recorded.event, FeeEvent):
            days.setdefault(recorded.stream, []).append(recorded)
    for day in days.values():
        if isinstance(day[-1].event, kind) and not getattr(day[-1].event, "columns", NARROW).wide:
            before: CellSums = {}
            if day[:-1]:
                assert isinstance(day[-2].event, FeeEvent)
                add_totals(before, day[-2].event.totals)
            return day[-1], before
    raise AssertionError("every day ends otherwise")


def set_rules(copy: Copy, log: list[Recorded], rules: int, until: int = 2**63) -> None:
    """Let the terms that begin before a position say that other rules decide."""
    for recorded in log:
        if isinstance(recorded.event, WriterStarted) and recorded.position < until:
            copy.edit(recorded, lambda event: replace(event, rules_version=rules))


DECIDED: list[tuple[type[Event], Callable[[Any], Event]]] = [
    (told.AccountBanned, lambda event: replace(event, end_time_ns=event.end_time_ns + 1)),
    (told.VolumeEvaluated, lambda event: replace(event, volume="1.5")),
]


@pytest.mark.parametrize(("kind", "change"), DECIDED, ids=[kind.__name__ for kind, _ in DECIDED])
def test_what_older_rules_decided_otherwise_is_no_finding_and_in_a_term_of_todays_rules_it_is(
    newer_release: None, copy: Copy, log: list[Recorded], kind: type[Event], change: Callable[[Any], Event]
) -> None:
    edited = middle(log, kind)
    copy.edit(edited, change)
    found, otherwise = audited(copy)
    assert found == []
    assert [(one.deviation.position, one.rules_version) for one in otherwise] == [(edited.position, RULES_VERSION)]
    set_rules(copy, log, NEWER)
    found, otherwise = audited(copy)
    assert [one.position for one in found] == [edited.position]
    assert otherwise == []


def another_adjustment(event: told.FeeAdjusted) -> told.FeeAdjusted:
    first = event.lines[0]
    return replace(event, lines=(first._replace(after=first.after._replace(fee=7)), *event.lines[1:]))


FEES: list[tuple[type[Event], Callable[[Any], Any], str]] = [
    (VolumeRecorded, fee_off_by_one, "fee"),
    (told.FeeAdjusted, another_adjustment, "lines"),
]


@pytest.mark.parametrize(("kind", "change", "names"), FEES, ids=[kind.__name__ for kind, _, _ in FEES])
def test_a_fee_of_an_older_term_is_told_apart_where_the_totals_follow_from_it(
    newer_release: None, copy: Copy, log: list[Recorded], kind: type[Event], change: Callable[[Any], Any], names: str
) -> None:
    edited, before = last_of_its_day(log, kind)

    def with_its_totals(event: Any) -> Any:
        other = change(event)
        return replace(other, totals=recounted(before, other))

    copy.edit(edited, with_its_totals)
    found, otherwise = audited(copy)
    assert found == []
    ((deviation, rules),) = otherwise
    assert (deviation.position, rules) == (edited.position, RULES_VERSION)
    assert [each.field.rpartition(" ")[2] for each in deviation.differs] == [names]
    set_rules(copy, log, NEWER)
    assert audited(copy) == ([deviation], [])


def test_totals_that_do_not_follow_from_the_fees_are_a_finding_in_an_older_term_too(
    newer_release: None, copy: Copy, log: list[Recorded]
) -> None:
    edited, _ = last_of_its_day(log, VolumeRecorded)
    copy.edit(edited, fee_off_by_one)
    found, otherwise = audited(copy)
    assert [one.deviation.position for one in otherwise] == [edited.position]
    (deviation,) = found
    assert deviation.position == edited.position
    assert all(each.field.startswith("totals of (") for each in deviation.differs)


HELD: list[tuple[type[Event], Callable[[Any], Event], str]] = [
    (VolumeRecorded, lambda run: replace(run, totals=(run.totals[0]._replace(lines=99), *run.totals[1:])), "totals of"),
    (VolumeRecorded, lambda run: replace(run, time_max_so_far_ns=run.time_max_so_far_ns + 1), "time_max_so_far_ns"),
    (told.FeeAdjusted, lambda event: replace(event, totals=event.totals[:-1]), "totals of"),
    (told.SourceAdvanced, lambda event: replace(event, last_sequence=event.last_sequence + 1), "last_sequence"),
    (told.AccountLinked, lambda _: told.AccountLinked("nobody"), "was expected"),
]


@pytest.mark.parametrize(("kind", "change", "names"), HELD, ids=[f"{kind.__name__} {name}" for kind, _, name in HELD])
def test_what_no_rule_decides_is_a_finding_in_an_older_term_too(
    newer_release: None,
    copy: Copy,
    log: list[Recorded],
    kind: type[Event],
    change: Callable[[Any], Event],
    names: str,
) -> None:
    edited = middle(log, kind)
    copy.edit(edited, change)
    found = audited(copy)[0]
    assert any(names in str(deviation) for deviation in found if deviation.position == edited.position), found


def test_rules_that_go_down_are_a_finding_and_excuse_nothing(
    newer_release: None, copy: Copy, log: list[Recorded]
) -> None:
    first, *later = [recorded.position for recorded in log if isinstance(recorded.event, WriterStarted)]
    assert later
    set_rules(copy, log, NEWER, until=first + 1)
    *_, edited = [each for each in log if isinstance(each.event, told.AccountBanned)]
    assert edited.position > later[-1]
    copy.edit(edited, lambda event: replace(event, end_time_ns=event.end_time_ns + 1))
    found, otherwise = audited(copy)
    down = [
        f"position {position}, ledger: rules_version is {RULES_VERSION}, expected {NEWER} or more" for position in later
    ]
    assert [str(each) for each in found[: len(later)]] == down
    assert [each.position for each in found[len(later) :]] == [edited.position]
    assert otherwise == []


def test_a_term_that_says_no_rules_is_of_rules_1(newer_release: None, copy: Copy, log: list[Recorded]) -> None:
    set_rules(copy, log, 0)
    edited = middle(log, told.AccountBanned)
    copy.edit(edited, lambda event: replace(event, end_time_ns=event.end_time_ns + 1))
    found, otherwise = audited(copy)
    assert (found, [one.rules_version for one in otherwise]) == ([], [1])


def test_the_first_term_with_rules_that_this_release_does_not_know_is_named(log: list[Recorded]) -> None:
    newer = [
        replace(each, event=replace(each.event, rules_version=NEWER)) if each.position > 1 else each
        for each in log
        if isinstance(each.event, WriterStarted)
    ]
    assert Terms(log).newer(2**62) is None
    assert Terms(newer).newer(2**62) == (newer[0].position, NEWER)
    assert Terms(newer).newer(newer[0].position - 1) is None


def test_a_new_term_says_the_rules_of_this_release(writing: Writing) -> None:
    started = [each.event for each in writing.events() if isinstance(each.event, WriterStarted)]
    assert [event.rules_version for event in started] == [RULES_VERSION]
