"""What one commit stores, in one statement or behind a COPY, and what is left of one that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain.events import Envelope, Recorded, SourceAdvanced
from ledger.store.leaf import Opening
from ledger.store.postgres.database import open_datastore
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import LogRows, Row, RunRows
from ledger.store.writer import ROWS_MAX, STATE_BYTES_MAX, Commit, ErasableText, RequestRow, Writer, WriterLost
from tests.store.slow_socket import slow_socket

TABLES = ("events", "commits", "requests", "erasable_parts", "erasable_text", "tracking")
NOTHING: dict[str, list[Any]] = {name: [] for name in TABLES}
SHAPES = {
    "one row": (1, 10),
    "as many as fit": (ROWS_MAX, 10),
    "one more": (ROWS_MAX + 1, 10),
    "as large as fits": (1, STATE_BYTES_MAX),
    "larger": (2, STATE_BYTES_MAX),
}


@pytest.fixture
def recorder(dsn: str, schema: str) -> Iterator[LedgerRecorder]:
    with closing(open_datastore(dsn, schema, connections=2)) as datastore:
        recorder = LedgerRecorder(datastore)
        recorder.create_table()
        yield recorder


@pytest.fixture
def writer(dsn: str, recorder: LedgerRecorder) -> Iterator[Writer]:
    with closing(Writer(dsn, recorder)) as writer:
        assert writer.take()
        yield writer


@pytest.fixture
def other(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of somebody else."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def rows(first: int, count: int = 1, size: int = 10) -> list[Row]:
    """Runs of fills as rows, every other one with a part that may be erased, and a decision, which has no times."""
    runs = [
        Row(f"fees/a{position % 3}/2024-10-04", position, "VolumeRecorded", bytes([position % 256]) * size, position)
        for position in range(first, first + count)
    ]
    runs = [row._replace(time_min_ns=1, time_max_ns=row.position, time_max_so_far_ns=2**62) for row in runs]
    runs[::2] = [row._replace(part=Opening(bytes([row.position % 256]) * 16, b"C-1")) for row in runs[::2]]
    return [*runs, Row("source/engine", first, "SourceAdvanced", b"", first + count)]


def commit_of(stored: Sequence[Row], last_sequence: int = 1, **more: Any) -> Commit:
    advanced = SourceAdvanced(last_sequence, last_sequence, 1, 0, ())
    last = stored[-1]
    decision = Recorded(last.position, last.stream, last.version, Envelope(1, 1, 1), advanced)
    return Commit(last.position, LogRows(stored), [decision], **more)


def found(connection: psycopg.Connection[Any], recorder: LedgerRecorder) -> dict[str, list[Any]]:
    """All rows of the log and its indexes, each table in the order of its columns."""
    schema = recorder.datastore.schema
    return {
        name: connection.execute(
            SQL("SELECT * FROM {} ORDER BY {}").format(Identifier(schema, name), SQL("5" if name == "events" else "1"))
        ).fetchall()
        for name in NOTHING
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_a_commit_stores_rows_of_every_kind_and_tells_of_it(
    shape: str, writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    count, size = SHAPES[shape]
    stored = rows(1, count, size)
    texts = [ErasableText(b"salt", "a reason"), ErasableText(b"\0", "another 'with quotes'")]
    requests = [RequestRow("r-1", b"\1" * 32, 1), RequestRow("r-2", b"\2" * 32, 2)]
    other.execute(SQL("LISTEN {}").format(Identifier(recorder.channel_name)))
    commit = commit_of(stored, last_sequence=7, requests=requests, texts=texts)
    writer.commit(commit)
    assert found(other, recorder) == {
        "events": [row.columns for row in stored],
        "commits": [(count + 1, 1, commit.recorded_time_ns)],
        "erasable_parts": [(row.position, *row.part) for row in stored if row.part is not None],
        "requests": [("r-1", b"\1" * 32, 1), ("r-2", b"\2" * 32, 2)],
        "erasable_text": sorted((text.sha256, text.salt, text.text) for text in texts),
        "tracking": [("engine", 7)],
    }
    assert len(list(other.notifies(timeout=5, stop_after=1))) == 1
    assert writer.committed(commit)


@pytest.mark.parametrize("count", [1, ROWS_MAX + 1])
def test_a_commit_that_ends_with_a_run_is_found_by_the_bytes_that_this_had(count: int, writer: Writer) -> None:
    state = b"\x0a" + b"bytes that get shorter " * 9
    streams, times = ["fees/a/2024-10-04"] * count, [np.full(count, 1)] * 3
    for first, charged in ((1, False), (count + 1, True)):
        stored = LogRows()
        stored.extend(RunRows(streams, first, "VolumeRecorded", [state] * count, times, charged=charged))
        writer.commit(Commit(first, stored))
        assert writer.committed(Commit(first, stored))
        another = LogRows([stored[-1]._replace(state=state[:-1])])
        assert not writer.committed(Commit(first, another))


def test_commits_without_sources_requests_and_texts_follow_each_other(
    writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    for position in (1, 2, 3):
        writer.commit(Commit(2**62 + position, LogRows([Row("ledger", position, "WriterStarted", b"", position)])))
    assert found(other, recorder)["commits"] == [(place, place, 2**62 + place) for place in (1, 2, 3)]


@pytest.mark.parametrize("count", [1, ROWS_MAX + 1])
def test_of_a_stale_writers_commit_nothing_is_stored(
    count: int, writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    recorder.begin(other)
    recorder.append(other, LogRows([Row("stream/of-another", 1, "Topic", b"", 1)]))
    other.execute("COMMIT")
    before = found(other, recorder)
    with pytest.raises(WriterLost):
        writer.commit(commit_of(rows(1, count), requests=[RequestRow("r", b"", 1)], texts=[ErasableText(b"", "t")]))
    assert found(other, recorder) == before


@pytest.mark.parametrize("count", [1, ROWS_MAX + 1])
def test_a_source_that_had_come_that_far_stops_the_commit(
    count: int, writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    writer.commit(commit_of(rows(1), last_sequence=5))
    before = found(other, recorder)
    with pytest.raises(WriterLost):
        writer.commit(commit_of(rows(3, count), last_sequence=5))
    assert found(other, recorder) == before
    assert writer.take()
    writer.commit(commit_of(rows(3, count), last_sequence=6))
    assert found(other, recorder)["tracking"] == [("engine", 6)]


def test_a_commit_waits_for_its_turn_before_it_writes_anything(
    writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    """Or the one before could wait for what this one holds, and PostgreSQL would end either."""
    recorder.begin(other)
    lost: list[WriterLost] = []
    waiting = threading.Thread(target=_commit, args=(writer, commit_of(rows(1)), lost))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    other.execute("SET LOCAL lock_timeout = '2s'")
    other.execute(SQL("INSERT INTO {} VALUES ('engine', 1)").format(Identifier(recorder.datastore.schema, "tracking")))
    recorder.append(other, LogRows(rows(1)))
    other.execute("COMMIT")
    waiting.join(10)
    assert len(lost) == 1


def test_a_commit_whose_connection_is_killed_in_the_middle_is_not_in_the_log(
    writer: Writer, recorder: LedgerRecorder, other: psycopg.Connection[Any]
) -> None:
    recorder.begin(other)
    lost: list[WriterLost] = []
    commit = commit_of(rows(1))
    waiting = threading.Thread(target=_commit, args=(writer, commit, lost))
    waiting.start()
    waiting.join(0.3)
    other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fee-ledger writer'")
    waiting.join(10)
    other.execute("ROLLBACK")
    assert len(lost) == 1
    assert found(other, recorder) == NOTHING
    assert writer.take()
    assert not writer.committed(commit)
    writer.commit(commit)
    assert writer.committed(commit)


def _commit(writer: Writer, commit: Commit, lost: list[WriterLost]) -> None:
    try:
        writer.commit(commit)
    except WriterLost as error:
        lost.append(error)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_that_reads_slowly_is_waited_for(
    shape: str, dsn: str, recorder: LedgerRecorder, tmp_path: Path, other: psycopg.Connection[Any]
) -> None:
    """Far more than the socket buffers hold; where a pipeline of statements waited for ever."""
    count, size = SHAPES[shape]
    with slow_socket(dsn, tmp_path) as slow, closing(Writer(slow.dsn, recorder)) as writer:
        assert writer.take()
        slow.pause_s = 0.002
        requests = [RequestRow(f"{position}" * 100, b"\0" * 32, position) for position in range(1, 1_000)]
        writer.commit(commit_of(rows(1, count, size), requests=requests))
        assert found(other, recorder)["commits"] == [(count + 1, 1, count + 1)]


def test_a_commit_whose_answer_is_lost_is_found_in_the_log(
    dsn: str, recorder: LedgerRecorder, tmp_path: Path, other: psycopg.Connection[Any]
) -> None:
    commit = commit_of(rows(3), last_sequence=2)
    with slow_socket(dsn, tmp_path) as slow, closing(Writer(slow.dsn, recorder)) as writer:
        assert writer.take()
        writer.commit(commit_of(rows(1)))
        slow.loses_answers = True
        with pytest.raises(WriterLost):
            writer.commit(commit)
        slow.loses_answers = False
        while not writer.take():
            time.sleep(0.05)  # PostgreSQL notices a little later that the first session is gone
        assert writer.committed(commit)
    assert len(found(other, recorder)["events"]) == 4
