"""The audit looks at the tables beside the events too, and finds what a hand with a connection has changed there."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ledger.domain.events import Recorded, SourceAdvanced, TierChanged, VolumeRecorded
from ledger.domain.streams import account_of
from ledger.store.codec.events import encode
from tests.projections.audited import Copy, last

_INDEXES = ("events", "commits", "requests", "tracking")


def found(copy: Copy, **scope: object) -> list[tuple[int, str]]:
    """(position, what is said of it) of each finding."""
    return [(each.position, f"{each.stream}: {'; '.join(map(str, each.differs))}") for each in copy.audit(**scope)]  # type: ignore[arg-type]


# --- requests


def asked(log: list[Recorded]) -> Recorded:
    """Return the first event of a request in the middle of the log."""
    return [one for one in log if one.envelope.request_id and isinstance(one.event, TierChanged)][-1]


REQUESTS = [
    ("DELETE FROM LEDGER.requests WHERE request_id = %(name)s", "request {name} is nothing, expected position {at}"),
    (
        "UPDATE LEDGER.requests SET sha256 = '\\x00' WHERE request_id = %(name)s",
        "request {name} is sha256 00, expected sha256 {sha256}",
    ),
    (
        "UPDATE LEDGER.requests SET position = position + 1 WHERE request_id = %(name)s",
        "request {name} is position {after}, expected position {at}",
    ),
]


@pytest.mark.parametrize(("edit", "names"), REQUESTS, ids=["missing", "another hash", "another position"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_request_that_is_not_as_its_event_says_is_found(
    copy: Copy, log: list[Recorded], edit: str, names: str, jobs: int
) -> None:
    one = asked(log)
    copy.sql(edit, name=one.envelope.request_id)
    said = names.format(
        name=one.envelope.request_id,
        at=one.position,
        after=one.position + 1,
        sha256=one.envelope.request_sha256.hex(),
    )
    told = copy.audit(jobs=jobs)
    assert f"position {one.position}, {one.stream}: {said}" in map(str, told)
    copy.audit_each(told)


def test_a_request_that_no_event_names_is_found(copy: Copy, log: list[Recorded]) -> None:
    one = asked(log)
    copy.sql("INSERT INTO LEDGER.requests VALUES ('never', '\\x00', %(at)s)", at=one.position)
    copy.sql("INSERT INTO LEDGER.requests VALUES (left(%(name)s, 1), '\\x00', %(at)s)",
             name=one.envelope.request_id, at=one.position)  # fmt: skip
    told = found(copy)
    assert found(copy, accounts=frozenset([account_of(one.stream)])) == told
    assert told == [
        (one.position, f"requests: request never is position {one.position}, expected nothing"),
        (one.position, f"requests: request r is position {one.position}, expected nothing"),
    ]


# --- what a fee stream is found by

FOUND_BY = [
    (
        "VolumeRecorded",
        "time_min_ns + 86400000000000",
        "its time_min_ns, by which a fee stream is found, is not of its UTC day",
    ),
    ("VolumeRecorded", "NULL", "its time_min_ns, by which a fee stream is found, is not of its UTC day"),
    ("TierChanged", "86400000000000", "it has a time_min_ns, and only what lies in a fee stream has one"),
]


@pytest.mark.parametrize(("topic", "time_ns", "said"), FOUND_BY, ids=["another day", "no day", "a day of a decision"])
def test_an_event_that_is_not_found_by_its_day_is_named(
    copy: Copy, log: list[Recorded], topic: str, time_ns: str, said: str
) -> None:
    one = next(each for each in log if type(each.event).__name__ == topic)
    copy.sql(f"UPDATE LEDGER.events SET time_min_ns = {time_ns} WHERE notification_id = %(at)s", at=one.position)
    assert (one.position, f"{one.stream}: {said}") in found(copy)


# --- tracking

TRACKING = [
    ("UPDATE LEDGER.tracking SET notification_id = notification_id + 1 WHERE application_name = %(name)s", "{ahead}"),
    ("UPDATE LEDGER.tracking SET notification_id = NULL WHERE application_name = %(name)s", "nothing"),
    ("DELETE FROM LEDGER.tracking WHERE application_name = %(name)s", "nothing"),
]


@pytest.mark.parametrize(("edit", "recorded"), TRACKING, ids=["ahead", "null", "missing"])
def test_tracking_that_is_not_what_the_source_said_last_is_found(
    copy: Copy, log: list[Recorded], edit: str, recorded: str
) -> None:
    one = last(log, SourceAdvanced)
    assert isinstance(one.event, SourceAdvanced)
    copy.sql(edit, name=one.stream.removeprefix("source/"))
    number = one.event.last_sequence
    said = f"tracking is {recorded.format(ahead=number + 1)}, expected {number}"
    assert found(copy) == [(one.position, f"{one.stream}: {said}")]


def test_a_source_that_is_only_tracked_is_found(copy: Copy, log: list[Recorded]) -> None:
    copy.sql("INSERT INTO LEDGER.tracking VALUES ('engine-never', 7)")
    assert found(copy) == [(log[-1].position, "source/engine-never: tracking is 7, expected nothing")]


def test_as_it_was_known_before_nothing_is_said_of_what_came_later(copy: Copy, log: list[Recorded]) -> None:
    copy.sql("UPDATE LEDGER.tracking SET notification_id = notification_id + 1")
    copy.sql("UPDATE LEDGER.requests SET sha256 = '\\x00' WHERE position > 40")
    ends = [end for (end,) in copy.sql("SELECT last_position FROM LEDGER.commits WHERE last_position <= 40 ORDER BY 1")]
    assert found(copy, known=ends[-1]) == []


# --- the tail


def cut(copy: Copy, after: int, tables: tuple[str, ...]) -> None:
    """Delete what lies after a position from some tables; `tracking` is set back to what the events then say."""
    if "tracking" in tables:
        copy.sql("DELETE FROM LEDGER.tracking")
        for recorded in copy.advances(after):
            assert isinstance(recorded.event, SourceAdvanced)
            source, number = recorded.stream.removeprefix("source/"), recorded.event.last_sequence
            copy.sql("INSERT INTO LEDGER.tracking VALUES (%(source)s, %(number)s)", source=source, number=number)
    columns = {"events": "notification_id", "commits": "last_position", "requests": "position"}
    for table in tables:
        if table in columns:
            copy.sql(f"DELETE FROM LEDGER.{table} WHERE {columns[table]} > %(after)s", after=after)


@pytest.fixture
def before_the_tail(copy: Copy, log: list[Recorded]) -> int:
    """The end of a commit after which a source advances and a request is recorded."""
    tail = min(last(log, SourceAdvanced).position, asked(log).position)
    ((end,),) = copy.sql("SELECT max(last_position) FROM LEDGER.commits WHERE last_position < %(tail)s", tail=tail)
    return int(end)


@pytest.mark.parametrize("left", _INDEXES)
def test_a_tail_that_is_deleted_everywhere_but_in_one_table_is_found(
    copy: Copy, before_the_tail: int, left: str
) -> None:
    cut(copy, before_the_tail, tuple(table for table in _INDEXES if table != left))
    told = found(copy)
    assert told
    assert min(position for position, _ in told) >= (0 if left == "tracking" else before_the_tail + 1)


@pytest.mark.parametrize("gone", _INDEXES)
def test_a_tail_that_is_deleted_from_one_table_alone_is_found(copy: Copy, before_the_tail: int, gone: str) -> None:
    cut(copy, before_the_tail, (gone,))
    assert found(copy)


def test_a_tail_that_the_tables_of_the_read_side_have_taken_in_is_missed(
    copy: Copy, log: list[Recorded], before_the_tail: int
) -> None:
    copy.sql("CREATE SCHEMA LEDGER_read")
    copy.sql("CREATE TABLE LEDGER_read.position AS SELECT %(end)s::bigint AS position", end=log[-1].position)
    cut(copy, before_the_tail, _INDEXES)
    said = f"the tables of the read side: no event lies at positions {before_the_tail + 1} to {log[-1].position}"
    assert found(copy) == [(log[-1].position, f"{said}, which they have taken in")]


def test_a_tail_that_is_deleted_everywhere_stays_open_until_the_log_is_sealed(copy: Copy, before_the_tail: int) -> None:
    cut(copy, before_the_tail, _INDEXES)
    assert found(copy) == []


# --- events


def test_an_event_with_another_time_than_its_commit_is_found(copy: Copy, log: list[Recorded]) -> None:
    one = asked(log)
    envelope = replace(one.envelope, recorded_time_ns=one.envelope.recorded_time_ns + 1)
    copy.sql("UPDATE LEDGER.events SET state = %(state)s WHERE notification_id = %(at)s",
             state=encode(envelope, one.event)[1], at=one.position)  # fmt: skip
    assert one.position in [position for position, said in found(copy) if "as its commit says" in said]


def test_an_event_that_was_moved_to_another_stream_is_found(copy: Copy, log: list[Recorded]) -> None:
    versions: dict[str, int] = {}
    for recorded in log:
        versions[recorded.stream] = recorded.version
    moved = next(each for each in log if isinstance(each.event, TierChanged) and each.version < versions[each.stream])
    copy.sql("UPDATE LEDGER.events SET originator_id = 'account/somebody', originator_version = 1"
             " WHERE notification_id = %(at)s", at=moved.position)  # fmt: skip
    after = next(each for each in log if each.stream == moved.stream and each.version == moved.version + 1)
    assert (after.position, f"{moved.stream}: its version is {after.version}, expected {moved.version}") in found(copy)


def test_a_run_that_was_moved_to_another_account_is_found(copy: Copy, log: list[Recorded]) -> None:
    runs = [recorded for recorded in log if isinstance(recorded.event, VolumeRecorded)]
    run, after = next((one, other) for one, other in itertools.combinations(runs, 2) if one.stream == other.stream)
    copy.sql("UPDATE LEDGER.events SET originator_id = 'fees/somebody/' || split_part(originator_id, '/', 3)"
             " WHERE notification_id = %(at)s", at=run.position)  # fmt: skip
    assert after.position in [position for position, said in found(copy) if "totals" in said]


@pytest.mark.parametrize("stream", ["fees/somebody", "fees/somebody/today", "account/somebody"])
def test_a_run_that_was_moved_out_of_every_account_day_is_found(copy: Copy, log: list[Recorded], stream: str) -> None:
    run = next(recorded for recorded in log if isinstance(recorded.event, VolumeRecorded))
    copy.sql("UPDATE LEDGER.events SET originator_id = %(stream)s WHERE notification_id = %(at)s",
             stream=stream, at=run.position)  # fmt: skip
    assert run.position in [position for position, said in found(copy) if "stream of an account-day alone" in said]


def test_two_events_of_one_commit_that_changed_places_are_found_by_their_requests(
    copy: Copy, log: list[Recorded]
) -> None:
    pair = next(
        (one, other)
        for one, other in itertools.pairwise(log)
        if one.envelope.recorded_time_ns == other.envelope.recorded_time_ns
        and one.envelope.request_id != other.envelope.request_id != ""
        and one.envelope.request_id
        and one.stream != other.stream
    )
    one, other = (each.position for each in pair)
    copy.sql("UPDATE LEDGER.events SET notification_id = -notification_id WHERE notification_id IN (%(one)s, %(two)s)",
             one=one, two=other)  # fmt: skip
    copy.sql("UPDATE LEDGER.events SET notification_id = %(sum)s + notification_id WHERE notification_id < 0",
             sum=one + other)  # fmt: skip
    assert {one, other} <= {position for position, said in found(copy) if "request" in said}


def test_a_version_that_is_left_out_is_found(copy: Copy, log: list[Recorded]) -> None:
    one = asked(log)
    copy.sql("UPDATE LEDGER.events SET originator_version = originator_version + 1 WHERE originator_id = %(name)s"
             " AND originator_version = (SELECT max(originator_version) FROM LEDGER.events"
             " WHERE originator_id = %(name)s)", name=one.stream)  # fmt: skip
    of_it = [recorded for recorded in log if recorded.stream == one.stream][-1]
    said = f"{one.stream}: its version is {of_it.version + 1}, expected {of_it.version}"
    assert (of_it.position, said) in found(copy)
