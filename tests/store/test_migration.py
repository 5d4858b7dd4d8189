"""A ledger that is brought up to a later release: as its owner, in one transaction, and said in its log."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

import grpc
import psycopg
import pytest
from google.protobuf.message import Message

from ledger.domain.events import POSITION_MAX, MigrationApplied, MigrationFile, Recorded, WriterStarted
from ledger.store.log import Log
from ledger.store.migration import migrate
from ledger.store.postgres import migrate as files
from ledger.store.postgres.database import open_datastore
from tests.conftest import NOON_NS, Ledger
from tests.kept.kept import load
from tests.projections.audited import audit
from tests.samples import batch, fill, symbol
from tests.store.postgres.guarding import psql_sends
from tests.waiting import wait_for

LATER = "9999_later.sql"
ADDED = [
    "0003_guard.sql",
    "0004_indexes_of_lists.sql",
    "0005_account_snapshots.sql",
    "0006_days_first.sql",
    "0007_erasable_parts.sql",
    "0008_dictionaries.sql",
]  # since 0.1.0

_KEYS = """
SELECT pg_get_indexdef(indexrelid), contype::text FROM pg_index LEFT JOIN pg_constraint ON conindid = indexrelid
WHERE indrelid = %s::regclass
"""


@pytest.fixture
def apply_later(dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Migrates the ledger to a release that has one more file."""

    def apply(text: str) -> list[str]:
        known = files._files()
        monkeypatch.setattr(files, "_files", lambda: {**known, LATER: text})
        with psycopg.connect(dsn, autocommit=True) as connection:
            return migrate(connection, schema, clock_ns=lambda: NOON_NS)

    return apply


def migrated(log: Log) -> list[Recorded]:
    return [recorded for recorded in log.ledger() if isinstance(recorded.event, MigrationApplied)]


def test_a_new_ledger_has_nothing_to_say_of_its_tables(ledger: Ledger) -> None:
    assert migrated(ledger.log) == []


@pytest.mark.parametrize(("release", "added"), [("0.1.0", ADDED), ("0.2.0", ADDED[1:])])
def test_the_log_of_an_older_release_says_what_it_was_before_and_after(
    dsn: str, schema: str, release: str, added: list[str]
) -> None:
    last_ns = load(dsn, release, schema)
    told: list[tuple[str, int, int]] = []
    with psycopg.connect(dsn, autocommit=True) as connection, open_datastore(dsn, schema, connections=1) as datastore:
        log = Log(datastore)
        before, stored = log.head(), log.stored("", 0, POSITION_MAX, POSITION_MAX)
        applied = migrate(connection, schema, clock_ns=lambda: 1, show=lambda *each: told.append(each))
        assert migrate(connection, schema) == []
        assert log.stored("", 0, before.position, POSITION_MAX) == stored
        *_, recorded = migrated(log)
        assert isinstance(recorded.event, MigrationApplied)
        assert [file.name for file in recorded.event.files] == applied == added
        assert recorded.event.files[0].sha256 == files.migrations()[added[0]]
        assert (recorded.position, recorded.event.until_position) == (before.position + 1, before.position)
        assert (recorded.envelope.effective_time_ns, recorded.envelope.recorded_time_ns) == (1, last_ns + 1)
        assert log.head() == (before.position + 1, last_ns + 1)
        terms = [each.event.term for each in log.ledger() if isinstance(each.event, WriterStarted)]
        assert recorded.envelope.writer_term == max(terms)
    sent = psql_sends(
        dsn,
        "COPY (SELECT notification_id, originator_id, originator_version, topic, state"
        f" FROM {schema}.events WHERE notification_id <= {before.position} ORDER BY notification_id)"
        " TO STDOUT (FORMAT BINARY)",
    )
    digest = hashlib.sha256(sent).digest()
    assert (recorded.event.digest_before, recorded.event.digest_after) == (digest, digest)
    assert told[0] == told[-1] == ("events", 0, before.position)
    assert [each for each in told if each[0] != "events"] == [
        ("files of SQL", done, len(added)) for done in range(len(added))
    ]
    assert audit(dsn, schema)[0] == []


def test_what_is_changed_after_a_migration_is_found_by_its_digest(dsn: str, schema: str) -> None:
    load(dsn, "0.1.0", schema)
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrate(connection, schema)
        connection.execute(f"ALTER TABLE {schema}.events DISABLE TRIGGER refuse_change".encode())
        ((position,),) = connection.execute(
            f"UPDATE {schema}.events SET state = overlay(state PLACING %s FROM position(%s IN state))"
            " WHERE notification_id = (SELECT min(notification_id) FROM"
            f" {schema}.events WHERE position(%s IN state) > 0) RETURNING notification_id".encode(),
            (b"ops-9", b"ops-2", b"ops-2"),
        ).fetchall()
    found = audit(dsn, schema)[0]
    assert any(f"an event at positions 1 to {found[0].position - 1} was changed after it" in str(one) for one in found)
    assert position < found[0].position


def test_a_migration_may_change_what_is_recorded_and_its_digests_differ(
    ledger: Ledger, apply_later: Callable[[str], list[str]]
) -> None:
    ledger.commands.RegisterSymbol(symbol())
    apply_later("UPDATE {schema}.{events} SET topic = 'Later' WHERE originator_id = 'registers'")
    (recorded,) = migrated(ledger.log)
    assert isinstance(recorded.event, MigrationApplied)
    assert recorded.event.digest_before != recorded.event.digest_after
    assert recorded.event.files == (MigrationFile(LATER, files.migrations()[LATER]),)


def test_a_writer_that_runs_meanwhile_finds_its_position_taken_and_goes_on(
    ledger: Ledger, dsn: str, schema: str, apply_later: Callable[[str], list[str]]
) -> None:
    ledger.commands.RegisterSymbol(symbol())
    for number in range(3):
        before = ledger.log.head().position
        if number == 1:
            assert apply_later("CREATE TABLE {schema}.later (id int)") == [LATER]
            assert ledger.log.head().position == before + 1
        assert until_recorded(ledger, batch(fill(exec_id=f"E{number}"))) == 1
    (recorded,) = migrated(ledger.log)
    assert [each.event.term for each in ledger.log.ledger() if isinstance(each.event, WriterStarted)] == [1, 2]
    assert audit(dsn, schema)[0] == []
    assert recorded.envelope.writer_term == 1


def until_recorded(ledger: Ledger, request: Message) -> int:
    """Send a batch again until it is answered, as every client does; returns how many fills it recorded."""
    found: list[int] = []

    def answered() -> bool:
        with suppress(grpc.RpcError):
            found.append(ledger.fills.RecordFills(request, timeout=10).recorded)
        return bool(found)

    wait_for(answered, 30)
    return found[0]


@pytest.mark.parametrize("release", ["0.1.0", "0.2.0"])
def test_a_log_that_was_migrated_has_the_keys_of_a_new_one(dsn: str, schema: str, release: str) -> None:
    load(dsn, release, schema)
    new = f"{schema}_new"
    with psycopg.connect(dsn, autocommit=True) as connection:
        migrate(connection, schema)
        migrate(connection, new)
        keys = [
            {
                (definition.replace(each, "SCHEMA"), kind)
                for definition, kind in connection.execute(_KEYS, (f"{each}.events",)).fetchall()
            }
            for each in (schema, new)
        ]
        connection.execute(f"DROP SCHEMA {new} CASCADE".encode())
    assert keys[0] == keys[1]
    assert [kind for _, kind in keys[0] if kind] == ["p"]
