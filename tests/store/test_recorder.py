"""The library's own conformance cases, run against our recorder on the real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)

from ledger.store.postgres.database import open_datastore
from ledger.store.recorder import LedgerRecorder
from ledger.store.rows import LogRows, Row


class OnOurRecorder:
    """Gives the library's cases a recorder over a fresh schema, with text stream names."""

    @pytest.fixture(autouse=True)
    def _fresh(self, dsn: str, schema: str) -> Iterator[None]:
        self.dsn, self.schema = dsn, schema
        self.datastores: list[PostgresDatastore] = []
        yield
        for datastore in self.datastores:
            datastore.close()

    def create_recorder(self) -> LedgerRecorder:
        """The recorder under test."""
        datastore = open_datastore(self.dsn, self.schema, connections=14)
        self.datastores.append(datastore)
        recorder = LedgerRecorder(datastore)
        recorder.create_table()
        return recorder

    def new_originator_id(self) -> str:
        """A stream name."""
        return f"stream/{uuid4()}"


class TestApplicationRecorder(OnOurRecorder, ApplicationRecorderTestCase[LedgerRecorder]):
    """Inserts, selects, notifications, concurrency."""

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()
        recorded = LedgerRecorder(self.datastores[-1]).select_notifications(1, 3)
        assert [each.topic for each in recorded] == ["topic1", "topic2", "topic3"]


class TestTrackingRecorder(OnOurRecorder, TrackingRecorderTestCase):
    """How far a follower has come."""


class TestProcessRecorder(OnOurRecorder, ProcessRecorderTestCase):
    """Events and tracking in one transaction."""


class TestNonInterleaving(OnOurRecorder, NonInterleavingNotificationIDsBaseCase):
    """Positions of one insert lie together, in the order of the commits."""


@pytest.fixture
def recorder(dsn: str, schema: str) -> Iterator[LedgerRecorder]:
    with closing(open_datastore(dsn, schema, connections=4)) as datastore:
        recorder = LedgerRecorder(datastore)
        recorder.create_table()
        yield recorder


def event(version: int, state: bytes = b"state") -> StoredEvent:
    return StoredEvent("stream/a", version, "Topic", state)


def test_a_statement_far_larger_than_a_socket_buffer_is_stored(recorder: LedgerRecorder) -> None:
    states = [bytes([number]) * 5_000_000 for number in range(4)]
    assert recorder.insert_events([event(number, state) for number, state in enumerate(states)]) == [1, 2, 3, 4]
    assert [stored.state for stored in recorder.select_events("stream/a")] == states


def test_a_taken_version_refuses_the_whole_insert_and_leaves_no_gap(recorder: LedgerRecorder) -> None:
    assert recorder.insert_events([event(1)]) == [1]
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(2), event(1)])
    assert recorder.insert_events([event(2)]) == [2]


def test_a_stale_writer_cannot_take_a_position_twice(dsn: str, recorder: LedgerRecorder) -> None:
    with psycopg.connect(dsn, autocommit=True) as stale:
        recorder.insert_events([event(1)])
        recorder.begin(stale)
        with pytest.raises(psycopg.IntegrityError):
            recorder.append(stale, LogRows([Row("stream/b", 1, "Topic", b"", 1)]))


def test_a_reader_never_sees_a_position_before_those_below_it(dsn: str, recorder: LedgerRecorder) -> None:
    """A second writer waits for the first one's commit, so that followers never pass over a gap."""
    with psycopg.connect(dsn, autocommit=True) as first:
        recorder.begin(first)
        recorder.append(first, LogRows([Row("stream/a", 1, "Topic", b"", 1)]))
        second = threading.Thread(target=recorder.insert_events, args=([StoredEvent("stream/b", 1, "Topic", b"")],))
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert recorder.max_notification_id() is None
        first.execute("COMMIT")
        second.join(10)
    assert [found.id for found in recorder.select_notifications(1, 10)] == [1, 2]


def test_ordering_the_log_does_not_wait_behind_a_table_lock(dsn: str, recorder: LedgerRecorder) -> None:
    """VACUUM and ANALYZE hold SHARE UPDATE EXCLUSIVE, which a LOCK TABLE IN EXCLUSIVE MODE would wait for."""
    with psycopg.connect(dsn) as vacuum:
        vacuum.execute(f"LOCK TABLE {recorder.datastore.schema}.events IN SHARE UPDATE EXCLUSIVE MODE")  # type: ignore[arg-type]
        assert recorder.insert_events([event(1)]) == [1]
