"""Releases of more lines than a commit restates: commits that come after it restate them, each line once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from ledger import programmes
from ledger.domain import commands as asked
from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun
from ledger.domain.events import (
    PERIODIC,
    CurrencyNet,
    Envelope,
    EvaluationStarted,
    Event,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    KnownLine,
    Recorded,
    RepriceAdvanced,
    RepriceCompleted,
    RepriceStarted,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS
from ledger.fills import mend
from ledger.fills.adjust import lines_now
from ledger.writing.messages import EvaluateAccounts, GoOnRepricing
from projections.repricings import open_repricings, volume_on_the_move
from tests.domain.worked import fills, programme
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record

FROM_NS = NOON_NS - 3 * DAY_NS
AT_ONCE = 3


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", AT_ONCE)


def trade(writing: Writing, count: int, *, days_ago: int = 1, name: str = "E", **changes: Any) -> None:
    """Fills of alice, 1.25 at the base rate each; some commits have several lines, others one."""
    rows = [
        {"exec_id": f"{name}{days_ago}-{number}", "quantity": "1000", "transact_time_ns": NOON_NS - days_ago * DAY_NS}
        for number in range(count)
    ]
    writing.step(record(fills(*({**row, **changes} for row in rows))))


def vip4(writing: Writing) -> None:
    writing.step(ask(asked.ChangeTier("alice", "VIP4", FROM_NS, None)))


def ban(writing: Writing) -> None:
    writing.step(ask(asked.BanAccount("alice", 7, FROM_NS, "ORDER_SPAM")))


def go_on(writing: Writing) -> int:
    """How many lines the next part looked at."""
    (answer,) = writing.step(GoOnRepricing(["alice"]))
    return int(answer.lines)


def finish(writing: Writing) -> list[int]:
    """How many lines each part looked at, up to the last one."""
    found = []
    while open_repricings(writing.log, writing.log.head().position):
        found.append(go_on(writing))
    return found


def of_kind(writing: Writing, *kinds: type[Event]) -> list[Any]:
    return [recorded.event for recorded in writing.events() if isinstance(recorded.event, kinds)]


def now(writing: Writing) -> list[KnownLine]:
    """The lines of alice as they are now."""
    streams = sorted({each.stream for each in writing.events() if each.stream.startswith("fees/alice/")})
    return [placed.known for stream in streams for placed in lines_now(writing.log.streams([stream], 2**62)).values()]


def fees(writing: Writing) -> set[int]:
    return {known.line.fee for known in now(writing)}


def restated(events: Sequence[Recorded]) -> list[tuple[int, int]]:
    """(release, line) of each line that was restated, in their order."""
    adjusted = [each.event for each in events if isinstance(each.event, FeeAdjusted)]
    return [(event.release_position, hash((line.position, line.line))) for event in adjusted for line in event.lines]


def test_its_commit_records_that_it_begins_and_parts_restate_each_line_once(writing: Writing) -> None:
    trade(writing, 4, days_ago=2)
    for number in range(3):
        trade(writing, 1, name=f"F{number}")
    before = writing.log.head().position
    vip4(writing)
    begun = writing.events(before)
    assert [type(each.event).__name__ for each in begun] == ["TierChanged", "FactReleased", "RepriceStarted"]
    started = begun[-1]
    assert started.event == RepriceStarted(begun[1].position, begun[0].position, "LATE_GRANT", "alice", 7)
    assert started.envelope.request_id == begun[0].envelope.request_id
    assert fees(writing) == {125_000_000}
    assert finish(writing) == [3, 3, 1]
    assert fees(writing) == {12_500_000}
    lines = restated(writing.events(before))
    assert len(lines) == len(set(lines)) == 7
    (done,) = of_kind(writing, RepriceCompleted)
    assert done == RepriceCompleted(begun[1].position, 7, (CurrencyNet("USDT", "-7.875"),))
    assert go_on(writing) == 0
    assert deviations(writing.events()) == []


def test_what_comes_meanwhile_is_priced_by_all_that_is_known_and_is_not_looked_at(writing: Writing) -> None:
    trade(writing, 7)
    vip4(writing)
    go_on(writing)
    trade(writing, 5, name="LATE")
    assert finish(writing) == [3, 1]
    assert fees(writing) == {12_500_000}
    assert deviations(writing.events()) == []


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_after_a_new_term_it_goes_on_where_it_was(writing: Writing, parts: int) -> None:
    trade(writing, 8)
    vip4(writing)
    for _ in range(parts):
        go_on(writing)
    writing.new_term()
    assert finish(writing) == [3, 3, 2][parts:]
    lines = restated(writing.events())
    assert len(lines) == len(set(lines)) == 8
    assert fees(writing) == {12_500_000}
    assert deviations(writing.events()) == []


def test_a_release_meanwhile_comes_after_it_however_few_its_lines_are(writing: Writing) -> None:
    trade(writing, 8)
    trade(writing, 1, days_ago=0)
    vip4(writing)
    go_on(writing)
    writing.step(ask(asked.BanAccount("alice", 7, NOON_NS - DAY_NS // 4, "ORDER_SPAM")))
    assert len(of_kind(writing, RepriceStarted)) == 2
    (why,) = volume_on_the_move(writing.log, writing.log.head().position)
    assert why.startswith(f"lines of alice are being restated since position {writing.log.head().position} (BAN)")
    assert finish(writing) == [3, 3, 1]
    first, second = of_kind(writing, RepriceStarted)
    releases = [event.release_position for event in of_kind(writing, FeeAdjusted)]
    assert releases == sorted(releases)
    assert {*releases} == {first.release_position, second.release_position}
    assert [known.line.banned for known in now(writing)] == [False] * 8 + [True]
    assert fees(writing) == {12_500_000}
    assert deviations(writing.events()) == []


def test_the_sums_are_those_of_an_only_commit(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for at_once in (2, 10_000):
        monkeypatch.setattr(mend, "LINES_AT_ONCE", at_once)
        name = f"E{at_once}"
        account_id = f"alice{at_once}"
        trade(writing, 5, account_id=account_id, token="BMX", token_price="0.7", name=name)
        trade(writing, 3, account_id=account_id, name=name, days_ago=2)
        writing.step(ask(asked.ChangeTier(account_id, "VIP1", FROM_NS, None)))
        writing.step(ask(asked.BanAccount(account_id, 7, FROM_NS, "ORDER_SPAM")))
        while writing.step(GoOnRepricing([account_id]))[0].lines:
            pass
        streams = sorted({each.stream for each in writing.events() if each.stream.startswith(f"fees/{account_id}/")})
        lasts = [writing.log.last_of(stream) for stream in streams]
        found.append([last.event.totals for last in lasts if last and isinstance(last.event, FeeAdjusted)])
    assert len(found[0]) == 2
    assert found[0] == found[1]
    assert deviations(writing.events()) == []


def test_a_run_is_cut_where_a_part_ends_and_a_part_may_change_nothing(writing: Writing) -> None:
    trade(writing, 4, days_ago=5)  # before the fact takes effect, on a day that it does not reach
    trade(writing, 7)
    writing.step(ask(asked.ChangeTier("alice", "VIP4", NOON_NS - DAY_NS + 1, None)))
    assert of_kind(writing, RepriceStarted) == [], "no line is late"
    trade(writing, 2, days_ago=0)
    writing.step(ask(asked.ChangeTier("alice", "VIP5", NOON_NS - DAY_NS + 1, None)))
    assert finish(writing) == [3, 3, 3]
    assert [event.lines for event in of_kind(writing, RepriceAdvanced)] == [0, 0, 2]
    assert deviations(writing.events()) == []


def test_nothing_else_of_the_account_waits_for_it(writing: Writing) -> None:
    trade(writing, 8)
    vip4(writing)
    writing.step(ask(asked.LiftBan("alice", NOON_NS)))
    writing.step(ask(asked.AssignKeyAccountManager("alice", "kam", NOON_NS)))
    assert finish(writing) == [3, 3, 2]
    assert deviations(writing.events()) == []


Lie = Callable[[list[Recorded]], list[Recorded]]


def told(log: list[Recorded], kind: type[Event], number: int, **changes: Any) -> list[Recorded]:
    """The log with fields of one event changed: the so-manieth of its kind."""
    place = [place for place, each in enumerate(log) if isinstance(each.event, kind)][number]
    event = replace(log[place].event, **changes)  # type: ignore[type-var]
    return [*log[:place], replace(log[place], event=event), *log[place + 1 :]]


def first_adjusted(log: list[Recorded]) -> FeeAdjusted:
    return next(each.event for each in log if isinstance(each.event, FeeAdjusted))


@pytest.mark.parametrize(
    ("lie", "names"),
    [
        (lambda log: told(log, FeeAdjusted, 0, lines=list(first_adjusted(log).lines)[:-1]), "lines is"),
        (
            lambda log: told(
                log,
                FeeAdjusted,
                0,
                lines=[
                    line._replace(after=line.after._replace(fee=line.after.fee + (number == 1)))
                    for number, line in enumerate(first_adjusted(log).lines)
                ],
            ),
            "lines is",
        ),
        (lambda log: told(log, RepriceAdvanced, 1, lines=5), "lines is '5', expected '6'"),
        (lambda log: told(log, RepriceAdvanced, 0, looked_at=4), "looked_at is '4', expected '3'"),
        (lambda log: told(log, RepriceAdvanced, 0, nets=()), "nets is"),
        (lambda log: told(log, RepriceAdvanced, 0, next_line=4), "looked_at is '3', expected '4'"),
        (lambda log: told(log, RepriceAdvanced, 0, next_day=0, next_position=0, next_line=0), "looked_at is"),
        (lambda log: told(log, RepriceCompleted, 0, lines=7), "lines is '7', expected '8'"),
        (lambda log: told(log, RepriceCompleted, 0, nets=(CurrencyNet("USDT", "0"),)), "nets is"),
        (lambda log: told(log, RepriceStarted, 0, lines_reached=9), "lines_reached is '9', expected '8'"),
        (lambda log: told(log, RepriceStarted, 0, cause="BAN"), "cause is 'BAN', expected 'LATE_GRANT'"),
    ],
)
def test_a_lie_is_found(writing: Writing, lie: Lie, names: str) -> None:
    trade(writing, 8)
    vip4(writing)
    finish(writing)
    log = writing.events()
    assert deviations(log) == []
    found = [str(each) for each in deviations(lie(log))]
    assert any(names.replace("'", "") in each.replace("'", "") for each in found), found


@pytest.mark.parametrize("kind", [RepriceStarted, RepriceAdvanced, FeeAdjusted, RepriceCompleted])
def test_what_is_left_out_is_found(writing: Writing, kind: type[Event]) -> None:
    trade(writing, 8)
    vip4(writing)
    finish(writing)
    log = writing.events()
    place = next(place for place, each in enumerate(log) if isinstance(each.event, kind))
    found = [str(each) for each in deviations([*log[:place], *log[place + 1 :]])]
    assert [each for each in found if "was expected here" not in each], "no more than a gap is found"


def test_one_that_is_open_is_no_finding(writing: Writing) -> None:
    trade(writing, 8)
    vip4(writing)
    assert deviations(writing.events()) == []
    go_on(writing)
    assert deviations(writing.events()) == []
    (repricing,) = open_repricings(writing.log, writing.log.head().position)
    assert (repricing.looked_at, repricing.lines, repricing.event.account_id) == (3, 3, "alice")


def test_a_preview_of_it_leaves_nothing(writing: Writing) -> None:
    trade(writing, 8)
    before = writing.log.head()
    job = replace(ask(asked.ChangeTier("alice", "VIP4", FROM_NS, None)), validate_only=True)
    (answer,) = writing.step(job)
    assert [row.topic for row in answer.preview.rows] == ["TierChanged", "FactReleased", "RepriceStarted"]
    assert writing.log.head() == before
    assert go_on(writing) == 0


def test_an_event_has_a_mebibyte_at_most(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 10_000)
    trade(writing, 10_000, name="E" * 100)
    vip4(writing)
    sizes = [len(row.state) for row in writing.log.stored("", 0, 2**62, 10_000) if row.topic == "FeeAdjusted"]
    assert len(sizes) == 2
    assert max(sizes) < 1 << 20
    assert deviations(writing.events()) == []


def test_the_net_of_credit_only_is_not_told_while_lines_are_being_restated(writing: Writing) -> None:
    content = programmes.packaged().replace('version = "3.0"', 'version = "3.1"')
    content = content.replace('grants = "adjust"', 'grants = "credit_only"')
    published = asked.PublishProgramme(programmes.parse(content), content, sha256(content.encode()).digest(), NOON_NS)
    writing.step(ask(published))
    trade(writing, 8)
    ban(writing)
    vip4(writing)
    (held,) = of_kind(writing, FactWithheld)
    assert (held.switch, held.reason) == ("credit_only", "SIZE")
    finish(writing)
    writing.step(ask(asked.ReleaseFact("alice", held.fact_position)))
    assert [event.cause for event in of_kind(writing, RepriceStarted)] == ["BAN", "LATE_GRANT"]
    finish(writing)
    assert fees(writing) == {12_500_000}
    assert {event.currencies for event in of_kind(writing, FactReleased)} == {()}
    assert len(of_kind(writing, VolumeRecorded)) == 1
    assert deviations(writing.events()) == []


def test_a_run_restates_no_more_in_one_commit_than_a_command_does(writing: Writing) -> None:
    for account_id in ("alice", "bob", "carol"):
        trade(writing, 2, account_id=account_id, name=account_id)
    run = EvaluationRun(programme(), PERIODIC, writing.log.head().position)
    at_ns = NOON_NS - 2 * DAY_NS
    started = EvaluationStarted(run.programme.programme_id, "3.0", PERIODIC, at_ns, 0, at_ns, run.read_position)
    found = [Assessment(Case(name, at_ns, (0, at_ns)), (), (), 0, "VIP2") for name in ("alice", "bob", "carol")]
    envelope = Envelope(at_ns, at_ns, 1, "ops-1")
    writing.step(EvaluateAccounts(Recorded(1, "evaluation", 1, envelope, started), run, found))
    assert [event.account_id for event in of_kind(writing, RepriceStarted)] == ["bob", "carol"]
    assert [writing.step(GoOnRepricing(["bob", "carol"]))[0].lines for _ in range(3)] == [3, 1, 0]
    assert {line.after.fee for event in of_kind(writing, FeeAdjusted) for line in event.lines} == {20_000_000}
    assert len(of_kind(writing, RepriceCompleted)) == 2


def test_lines_may_be_restated_at_once_or_part_by_part_and_both_are_decided_again_alike(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(writing, 8)
    vip4(writing)
    finish(writing)
    for at_once in (1, 10_000):
        monkeypatch.setattr(mend, "LINES_AT_ONCE", at_once)
        assert deviations(writing.events()) == []


@pytest.mark.parametrize("kind", [RepriceStarted, RepriceAdvanced, FeeAdjusted, RepriceCompleted])
def test_all_of_it_says_who_asked_for_the_release(writing: Writing, kind: type[Event]) -> None:
    trade(writing, 8)
    vip4(writing)
    finish(writing)
    log = writing.events()
    place = next(place for place, each in enumerate(log) if isinstance(each.event, kind))
    forged = replace(log[place], envelope=replace(log[place].envelope, actor="nobody"))
    first, *others = deviations([*log[:place], forged, *log[place + 1 :]])
    assert (first.position, first.differs[0].field) == (log[place].position, "actor")
    assert bool(others) == (kind is RepriceStarted), "all that comes after it is asked by who began it"
