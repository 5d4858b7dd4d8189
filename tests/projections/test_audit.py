"""The audit of a log: a rich ledger is clean, and what is done behind its back is found, with its position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger.domain import events as told
from ledger.domain.events import CellVolume, Columns, Event, Recorded, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_of
from projections.audit import audit as audit_module
from tests.projections.audited import Copy, audit, last
from tests.properties.test_replay import fee_off_by_one
from tests.write_side import Writing

NARROW = Columns(*[b""] * 8)


def middle(log: list[Recorded], kind: type[Event]) -> Recorded:
    """Return the event in the middle of those of a kind, no run of wide amounts."""
    found = [one for one in log if isinstance(one.event, kind) and not getattr(one.event, "columns", NARROW).wide]
    return found[len(found) // 2]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_rich_ledger_is_clean_however_many_processes_look_at_it(
    dsn: str, rich: Writing, log: list[Recorded], jobs: int
) -> None:
    fills = sum(len(recorded.event) for recorded in log if isinstance(recorded.event, VolumeRecorded))
    assert audit(dsn, rich.config.schema, jobs=jobs) == ([], len(log), fills)


def test_it_is_clean_in_stretches_of_any_length(
    dsn: str, rich: Writing, log: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "EVENTS_PER_STRETCH", 7)
    assert audit(dsn, rich.config.schema)[:2] == ([], len(log))


def test_a_log_cut_at_any_commit_is_clean(dsn: str, rich: Writing, copy: Copy) -> None:
    ends = [end for (end,) in copy.sql("SELECT last_position FROM LEDGER.commits ORDER BY 1")]
    for known in ends[:: len(ends) // 4]:
        assert copy.audit(known=known) == []


EDITS: list[tuple[type[Event], Callable[[Any], Event], str]] = [
    (VolumeRecorded, fee_off_by_one, "fee is "),
    (
        VolumeRecorded,
        lambda run: replace(run, bases=tuple(basis._replace(rate_ppm=basis.rate_ppm + 1) for basis in run.bases)),
        "rate_ppm=",
    ),
    (
        VolumeRecorded,
        lambda run: replace(run, totals=(run.totals[0]._replace(notional="1"), *run.totals[1:])),
        "totals of (quote_currency ",
    ),
    (told.FeeAdjusted, lambda event: replace(event, totals=()), "totals of (quote_currency "),
    (told.TierChanged, lambda event: replace(event, grant_id="g77"), "grant_id is 'g77', expected"),
    (told.AccountBanned, lambda event: replace(event, end_time_ns=event.end_time_ns + 1), "end_time_ns is "),
    (told.VolumeEvaluated, lambda event: replace(event, volume="1.5"), "volume is '1.5', expected"),
    (told.SourceAdvanced, lambda event: replace(event, last_sequence=event.last_sequence + 1), "last_sequence is "),
    (told.ProgrammePublished, lambda event: replace(event, version="9"), "version"),
]


@pytest.mark.parametrize(
    ("kind", "change", "names"), EDITS, ids=[f"{kind.__name__} {names}" for kind, _, names in EDITS]
)
def test_an_edited_event_is_found_at_its_position(
    copy: Copy, log: list[Recorded], kind: type[Event], change: Callable[[Any], Event], names: str
) -> None:
    edited = middle(log, kind)
    copy.edit(edited, change)
    found = copy.audit()
    at_it = [str(deviation) for deviation in found if deviation.position == edited.position]
    assert any(names in line and edited.stream in line for line in at_it), list(map(str, found))
    copy.audit_each(found)


def test_an_edited_volume_is_found_though_all_else_follows_from_it(copy: Copy, log: list[Recorded]) -> None:
    evaluated = middle(log, told.VolumeEvaluated)
    assert isinstance(evaluated.event, told.VolumeEvaluated)
    cells = (CellVolume("USDT", 1, 2, False, False, "1"),)
    copy.edit(evaluated, lambda event: replace(event, cells=cells, closes=(), volume="1"))
    found = copy.audit()
    assert evaluated.position in {deviation.position for deviation in found}
    copy.audit_each(found)


@pytest.mark.parametrize("place", [0, 1, 100, -1])
def test_a_deleted_event_is_missed(copy: Copy, log: list[Recorded], place: int) -> None:
    gone = log[place]
    copy.sql("DELETE FROM LEDGER.events WHERE notification_id = %(position)s", position=gone.position)
    missed = [str(deviation) for deviation in copy.audit() if deviation.position == gone.position]
    assert any("no event lies at position" in line for line in missed), missed


def test_two_events_with_their_positions_swapped_are_found(copy: Copy, log: list[Recorded]) -> None:
    runs = [recorded for recorded in log if isinstance(recorded.event, VolumeRecorded)]
    first, second = runs[3], runs[4]
    copy.sql(
        "UPDATE LEDGER.events SET notification_id = -notification_id WHERE notification_id IN (%(one)s, %(other)s)",
        one=first.position,
        other=second.position,
    )
    copy.sql("UPDATE LEDGER.events SET notification_id = %(sum)s + notification_id WHERE notification_id < 0",
             sum=first.position + second.position)  # fmt: skip
    found = copy.audit()
    assert {first.position, second.position} <= {deviation.position for deviation in found}
    copy.audit_each(found)


def test_two_events_with_their_versions_swapped_are_found(copy: Copy, log: list[Recorded]) -> None:
    stream = middle(log, told.VolumeEvaluated).stream
    first, second = [recorded for recorded in log if recorded.stream == stream][-2:]
    for was, becomes in ((first.version, 0), (second.version, first.version), (0, second.version)):
        copy.sql(
            "UPDATE LEDGER.events SET originator_version = %(becomes)s"
            " WHERE originator_id = %(stream)s AND originator_version = %(was)s",
            becomes=becomes,
            stream=stream,
            was=was,
        )
    all_found = copy.audit()
    (found,) = [deviation for deviation in all_found if "its version is" in str(deviation)]
    copy.audit_each(all_found)
    assert found.position == first.position
    assert found.stream == stream


def test_however_many_processes_find_it_a_commit_is_named_once(copy: Copy) -> None:
    copy.sql("UPDATE LEDGER.commits SET recorded_time_ns = -recorded_time_ns WHERE last_position = "
             "(SELECT max(last_position) FROM LEDGER.commits WHERE last_position > first_position + 5)")  # fmt: skip
    alone, together = (copy.audit(jobs=jobs) for jobs in (1, 3))
    assert alone == together
    assert sum("as its commit says" in str(deviation) for deviation in alone) == 1


def test_however_many_processes_cannot_read_it_an_event_is_named_once(copy: Copy, log: list[Recorded]) -> None:
    one = last(log, told.PairClassAssigned)
    copy.sql("UPDATE LEDGER.events SET state = '\\xffff' WHERE notification_id = %(at)s", at=one.position)
    assert sum("it cannot be read" in str(deviation) for deviation in copy.audit(jobs=3)) == 1


COMMITS = [
    ("first_position = first_position + 1", "it says "),
    ("last_position = last_position - 1", "it says "),
    ("recorded_time_ns = -recorded_time_ns", "recorded_time_ns is "),
    ("recorded_time_ns = 1", "it was recorded at 1, the one before it at "),
]


@pytest.mark.parametrize(("edit", "names"), COMMITS, ids=[edit for edit, _ in COMMITS])
def test_an_edited_commit_is_found(copy: Copy, edit: str, names: str) -> None:
    ((last,),) = copy.sql(
        "SELECT last_position FROM LEDGER.commits WHERE last_position > first_position + 1 ORDER BY 1 LIMIT 1 OFFSET 3"
    )
    copy.sql(f"UPDATE LEDGER.commits SET {edit} WHERE last_position = %(last)s", last=last)
    assert any(names in str(deviation) for deviation in copy.audit())


def test_a_commit_that_is_gone_is_found(copy: Copy) -> None:
    ((last,),) = copy.sql("DELETE FROM LEDGER.commits WHERE last_position = (SELECT max(last_position)"
                          " FROM LEDGER.commits) RETURNING last_position")  # fmt: skip
    assert any(f"to {last}" in str(deviation) and deviation.position == last for deviation in copy.audit())


def test_an_event_that_nobody_committed_is_found(copy: Copy, log: list[Recorded]) -> None:
    last = log[-1]
    copy.sql(
        "INSERT INTO LEDGER.events SELECT originator_id, originator_version + 1, topic, state, notification_id + 1"
        " FROM LEDGER.events WHERE notification_id = %(last)s",
        last=last.position,
    )
    assert any(f"no commit made positions {last.position + 1}" in str(deviation) for deviation in copy.audit())


@pytest.mark.parametrize("topic", ["VolumeRecorded", "TierChanged", "ProgrammePublished"])
@pytest.mark.parametrize("state", [b"", b"\xff\xff", b"\x0a\x02\x08"])
def test_an_event_that_cannot_be_read_is_a_finding_and_no_error(copy: Copy, topic: str, state: bytes) -> None:
    ((position,),) = copy.sql(
        "UPDATE LEDGER.events SET state = %(state)s WHERE notification_id ="
        " (SELECT max(notification_id) FROM LEDGER.events WHERE topic = %(topic)s) RETURNING notification_id",
        state=state,
        topic=topic,
    )
    found = copy.audit()
    assert position in {deviation.position for deviation in found}
    copy.audit_each(found)


def test_an_event_of_an_unknown_kind_is_named(copy: Copy) -> None:
    copy.sql("UPDATE LEDGER.events SET topic = 'Later' WHERE notification_id = 40")
    assert any(each.position == 40 and "cannot be read: KeyError('Later')" in str(each) for each in copy.audit())


def test_an_edited_column_of_times_is_found(copy: Copy, log: list[Recorded]) -> None:
    run = middle(log, VolumeRecorded)
    copy.sql("UPDATE LEDGER.events SET time_max_ns = time_max_ns + 1 WHERE notification_id = %(p)s", p=run.position)
    (found,) = copy.audit()
    assert (found.position, "the columns of times beside it" in str(found)) == (run.position, True)
    copy.audit_each([found])


@pytest.mark.parametrize("time_ns", ["NULL", "0", "time_min_ns + 5 * 86400000000000"])
def test_fees_that_lie_under_another_key_are_found_by_their_account(
    copy: Copy, log: list[Recorded], time_ns: str
) -> None:
    run = middle(log, VolumeRecorded)
    copy.sql(f"UPDATE LEDGER.events SET time_min_ns = {time_ns} WHERE notification_id = %(p)s", p=run.position)
    found = copy.audit(accounts=frozenset([account_of(run.stream)]))
    assert any("the columns of times beside it" in str(each) for each in found if each.position == run.position), found


def test_of_one_account_only_its_own_events_are_decided(copy: Copy, log: list[Recorded]) -> None:
    run = middle(log, VolumeRecorded)
    copy.edit(run, fee_off_by_one)
    account_id = run.stream.split("/")[1]
    mine = [recorded for recorded in log if recorded.stream.split("/")[0] in ("account", "fees")
            and recorded.stream.split("/")[1] == account_id]  # fmt: skip
    found, events, _ = audit(copy.dsn, copy.schema, accounts=frozenset({account_id}))
    assert run.position in {deviation.position for deviation in found}
    links = [recorded.position for recorded in log if recorded.event == told.AccountLinked(account_id)]
    assert len(mine) <= events <= len(mine) + len(links)  # and what links it to its owners


def test_of_a_period_only_its_days_are_decided(copy: Copy, log: list[Recorded]) -> None:
    run = middle(log, VolumeRecorded)
    assert isinstance(run.event, VolumeRecorded)
    copy.edit(run, fee_off_by_one)
    day_ns = run.event.time_min_ns // DAY_NS * DAY_NS
    inside = copy.audit(from_ns=day_ns + 1, until_ns=day_ns + 2)
    assert [deviation.position for deviation in inside][:1] == [run.position]
    assert copy.audit(until_ns=day_ns) == []
    assert copy.audit(from_ns=day_ns + DAY_NS) == []
