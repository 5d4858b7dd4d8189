"""Runs of fills that are decided together: whatever somebody forged of them, the same is found as one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from ledger.domain.events import Columns, Recorded, VolumeRecorded
from ledger.replay import replay, states
from ledger.replay.fills_together import decide_together
from tests.projections.audited import rich_ledger
from tests.properties.test_replay import fee_off_by_one
from tests.replaying import as_stored, deviations

FORGERIES: Final = int(os.environ.get("LEDGER_FORGERIES", "24"))


@pytest.fixture(scope="module")
def log(dsn: str) -> Iterator[list[Recorded]]:
    """A rich life, in which a source sends fills, too, and accounts trade at any instant of some weeks."""
    with rich_ledger(dsn, "replay_together", steps=25) as writing:
        yield writing.events()


def runs_of(log: list[Recorded]) -> list[Recorded]:
    return [recorded for recorded in log if isinstance(recorded.event, VolumeRecorded)]


def forged(log: list[Recorded], random: Random) -> list[Recorded]:
    """The log with one field of one run of fills, or of its envelope, as somebody might have changed it."""
    place = log.index(random.choice(runs_of(log)))
    other = random.choice((event_forged, columns_forged, envelope_forged))(log[place], random)
    return [*log[:place], other, *log[place + 1 :]]


def event_forged(recorded: Recorded, random: Random) -> Recorded:
    event: Any = recorded.event
    name = random.choice([each for each in VolumeRecorded.__dataclass_fields__ if each != "columns"])
    return replace(recorded, event=replace(event, **{name: changed(getattr(event, name), random)}))


def columns_forged(recorded: Recorded, random: Random) -> Recorded:
    """One byte of a column that is there."""
    event: Any = recorded.event
    name = random.choice([each for each in Columns._fields[:-1] if getattr(event.columns, each)])
    data = bytearray(getattr(event.columns, name))
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return replace(recorded, event=replace(event, columns=event.columns._replace(**{name: bytes(data)})))


def envelope_forged(recorded: Recorded, random: Random) -> Recorded:
    name = random.choice(("actor", "approver", "request_id", "reason_sha256", "writer_term", "actor_verified"))
    envelope: Any = recorded.envelope
    return replace(recorded, envelope=replace(envelope, **{name: changed(getattr(envelope, name), random)}))


def changed(value: Any, random: Random) -> Any:
    """Another value of the same type; of a tuple, or what is made of one, another one in some place, or one less."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(value + random.choice((-1, 1)), 0) if value else 1
    if isinstance(value, str):
        return value + "1" if not value.isdecimal() else str(int(value) + 1)
    if isinstance(value, bytes):
        return value[:-1] + b"\1"
    if not value or (not hasattr(value, "_fields") and random.random() < 0.2):
        return value[:-1]
    place = random.randrange(len(value))
    parts = [*value[:place], changed(value[place], random), *value[place + 1 :]]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


@pytest.mark.parametrize("part", range(3))
def test_of_any_forgery_the_same_is_found_together_and_one_by_one(log: list[Recorded], part: int) -> None:
    found = 0
    for seed in range(part, FORGERIES, 3):
        other = forged(log, Random(seed))
        together, alone = (deviations(other, together=way) for way in (True, False))
        assert list(map(str, together)) == list(map(str, alone)), seed
        assert together == alone
        found += bool(together)
    assert found > FORGERIES / 3 / 4, "hardly any of these was found at all"


def test_of_two_forgeries_on_one_day_the_same_is_found(log: list[Recorded]) -> None:
    runs = runs_of(log)
    first, second = max(
        ([a, b] for a in runs for b in runs if a.stream == b.stream and a.position < b.position and not wide(a, b)),
        key=lambda pair: pair[1].position,
    )
    other = [
        replace(each, event=fee_off_by_one(each.event))  # type: ignore[arg-type]
        if each.position in (first.position, second.position)
        else each
        for each in log
    ]
    together, alone = (deviations(other, together=way) for way in (True, False))
    assert together == alone
    assert {first.position, second.position} <= {each.position for each in together}


def wide(*runs: Recorded) -> bool:
    return any(run.event.columns.wide for run in runs if isinstance(run.event, VolumeRecorded))


@pytest.mark.parametrize("most", [1, 3, 1_000])
def test_it_makes_no_difference_how_many_runs_are_decided_together(
    log: list[Recorded], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "RUNS_TOGETHER", most)
    assert deviations(log) == []


def test_states_that_are_let_go_are_read_again(log: list[Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "RUNS_TOGETHER", 5)
    monkeypatch.setattr(states, "_HELD_MAX", 2)
    monkeypatch.setattr(states, "_DAY_BYTES_MAX", 60_000)
    monkeypatch.setattr(states, "_STANDING_BYTES_MAX", 1)
    assert deviations(log) == []


def test_all_but_runs_of_amounts_beyond_int64_and_those_after_them_come_out_together(
    log: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = settled = 0

    def watched(runs: Any, *arguments: Any) -> Any:
        nonlocal left, settled
        together = decide_together(runs, *arguments)
        left += int((~together.settled).sum())
        settled += int(together.settled.sum())
        return together

    monkeypatch.setattr("ledger.replay.fills.decide_together", watched)
    assert deviations(log) == []
    beyond = sum(map(wide, runs_of(log)))
    assert beyond <= left <= 4 * beyond
    assert settled > 10 * beyond


def test_a_run_of_another_commit_than_its_position_is_read_as_an_event(log: list[Recorded]) -> None:
    run = runs_of(log)[0]
    assert as_stored(run) is not None
    later = replace(run.envelope, recorded_time_ns=run.envelope.recorded_time_ns + 1)
    assert as_stored(replace(run, envelope=later), of=run) is None
