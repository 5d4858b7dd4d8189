"""The dictionary of a log lies in it: missed where it is gone, put back by its owner, and seen by nobody who reads."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from ledger.domain.events import POSITION_MAX
from ledger.store import rows
from ledger.store.codec.compression import SHA256S, dictionary, plain
from ledger.store.cut import cut_of
from ledger.store.dictionaries import faulty_dictionaries
from ledger.store.log import Log
from ledger.store.migration import migrate, missing_migrations
from ledger.store.postgres.database import open_datastore
from ledger.store.postgres.migrate import MigrationError
from projections.check import Check
from projections.check.findings import Finding
from projections.check.log_tables import LOG_TABLES
from tests.conftest import serving
from tests.domain.worked import fills
from tests.projections.audited import audit
from tests.store.leaf_vectors import SECRET
from tests.tools.running import run
from tests.unguarded import unguard
from tests.write_side import Writing, opened, record

DAY = "fees/alice/2024-10-04"
DAMAGES = {
    "missing": "DELETE FROM LEDGER.dictionaries",
    "damaged": "UPDATE LEDGER.dictionaries SET content = set_byte(content, 99, get_byte(content, 99) # 1)",
    "said to be another": "UPDATE LEDGER.dictionaries SET sha256 = sha256(content || content)",
}


def sql(dsn: str, schema: str, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """What an owner can do who means harm."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        unguard(connection, schema)
        cursor = connection.execute(text.replace("LEDGER", schema).encode(), values)
        return cursor.fetchall() if cursor.description else []


def lacks(dsn: str, schema: str) -> list[str]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return missing_migrations(connection, schema)


def traded(writing: Writing) -> None:
    """Two commits of several accounts, of short runs and of a long one."""
    writing.step(record(fills({"cl_ord_id": "C-1"}, {"account_id": "bob"}, {"account_id": "carol"})))
    many = [{"exec_id": f"M{number}", "trade_id": f"{number * 7}"} for number in range(300)]
    charged = {"exec_id": "X", "account_id": "bob", "charged_amount": "1", "charged_currency": "USDT"}
    writing.step(record(fills(*many)), record(fills(charged)))


def test_a_new_log_has_the_dictionary_of_this_release_and_its_runs_are_compressed_with_it(
    writing: Writing, dsn: str, schema: str
) -> None:
    traded(writing)
    found = sql(dsn, schema, "SELECT version, sha256, content FROM LEDGER.dictionaries")
    assert found == [(1, bytes.fromhex(SHA256S[1]), dictionary(1))]
    stored = sql(dsn, schema, "SELECT topic, state, notification_id FROM LEDGER.events ORDER BY notification_id")
    runs = [(state, position) for topic, state, position in stored if topic == "VolumeRecorded"]
    assert {state[:1] for state, _ in runs} == {b"\1"}
    assert {state[:1] for topic, state, _ in stored if topic != "VolumeRecorded"} == {b"\x0a"}
    assert [row.state for row in writing.log.stored("", 0, POSITION_MAX, 100)] == [plain(each[1]) for each in stored]
    assert any(len(plain(state)) > 6_000 for state, _ in runs), "one is long"


def test_what_others_read_is_the_same_with_and_without_compression(
    dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.urandom", bytes)  # the nonces of what may be erased
    found = []
    for name in (schema, f"{schema}_plain"):
        with opened(dsn, name) as writing:
            traded(writing)
            log = writing.log
            head = log.head().position
            found.append(
                (
                    [row for row in log.stored("", 0, head, 100) if row.topic == "VolumeRecorded"],
                    [list(cut_of(log, account, head, SECRET)) for account in ("alice", "bob", "carol")],
                    [log.fees_naming(account, 20_000, "E0", head) for account in ("alice", "bob")],
                    log.fees_naming("alice", 20_000, "M299", head),
                    list(log.charged(as_of_ns=2**62, until=head)),
                    log.day_totals_of(["alice", "bob"], head),
                    log.accounts_and_days({}, [DAY], print)[DAY].digests.tolist(),
                )
            )
        assert audit(dsn, name)[0] == []
        monkeypatch.setattr(rows, "compressed", lambda runs, **_: list(runs))
    assert found[0] == found[1]
    _, cuts, _, naming, charged, *_ = found[0]
    assert (len(naming), len(cuts[0])) == (1, 2)
    assert charged
    size = "SELECT sum(octet_length(state)) FROM LEDGER.events"
    assert sql(dsn, schema, size) < sql(dsn, f"{schema}_plain", size)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_dictionary_that_is_gone_or_damaged_is_refused_and_put_back_by_the_owner(
    writing: Writing, dsn: str, schema: str, how: str
) -> None:
    traded(writing)
    assert lacks(dsn, schema) == []
    sql(dsn, schema, DAMAGES[how])
    assert lacks(dsn, schema) == ["dictionary 1"]
    ran = run("audit", "--dsn", dsn, "--schema", schema)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"fee-ledger: the schema {schema} lacks dictionary 1, or has it damaged: `fee-ledger database migrate"
        f" --dsn OWNER_DSN --schema {schema}` puts it back\n"
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = [each for each in Check(connection, schema).findings(LOG_TABLES) if isinstance(each, Finding)]
    assert {each.table for each in found} == {"dictionaries"}
    head = writing.log.head()
    ran = run("database", "migrate", "--dsn", dsn, "--schema", schema)
    assert (ran.code, ran.out) == (0, "applied: dictionary 1\n")
    assert lacks(dsn, schema) == []
    assert writing.log.head() == head, "no event was changed, so none says so"
    assert run("database", "migrate", "--dsn", dsn, "--schema", schema).out == "nothing was missing\n"


def test_the_service_puts_back_what_is_missing_of_a_log_that_is_its_own(dsn: str, schema: str) -> None:
    with opened(dsn, schema):
        sql(dsn, schema, DAMAGES["missing"])
    with serving(dsn, schema):
        assert lacks(dsn, schema) == []


def test_a_dictionary_that_this_release_has_not_is_learned_unless_it_is_damaged(dsn: str, schema: str) -> None:
    with opened(dsn, schema), psycopg.connect(dsn, autocommit=True) as connection:
        put = "INSERT INTO LEDGER.dictionaries VALUES (8, sha256(%s), %s)"
        sql(dsn, schema, put, dictionary(1), dictionary(1))
        with connection.cursor() as cursor:
            assert faulty_dictionaries(cursor, schema) == []
        (run_,) = rows.compressed([b"\x0a" + b"any bytes " * 20], charged=False)
        assert plain(b"\x08" + run_[1:]) == plain(run_)
        sql(dsn, schema, "UPDATE LEDGER.dictionaries SET content = '\\x00' WHERE version = 8")
        with connection.cursor() as cursor, pytest.raises(MigrationError, match=r"dictionary 8 .* restore the table"):
            faulty_dictionaries(cursor, schema)
        ran = run("check", "--dsn", dsn, "--schema", schema)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        with pytest.raises(MigrationError):
            migrate(connection, schema)


def test_a_byte_that_flips_in_a_stored_run_is_found_by_check_and_by_audit(
    writing: Writing, dsn: str, schema: str
) -> None:
    traded(writing)
    ((position, size),) = sql(
        dsn,
        schema,
        "SELECT notification_id, octet_length(state) FROM LEDGER.events"
        " WHERE topic = 'VolumeRecorded' AND originator_id ^@ 'fees/carol/'",
    )
    flip = "UPDATE LEDGER.events SET state = set_byte(state, %s, get_byte(state, %s) # 255) WHERE notification_id = %s"
    for place in (0, 1, 20, size - 1):
        sql(dsn, schema, flip, place, place, position)
        (found,) = audit(dsn, schema, accounts=frozenset(["carol"]))[0]
        assert (found.position, "it cannot be read" in str(found)) == (position, True)
        with psycopg.connect(dsn, autocommit=True) as connection, open_datastore(dsn, schema, connections=1) as store:
            named = [each for each in Check(connection, schema).findings(("events",)) if isinstance(each, Finding)]
            assert [each.table for each in named] == ["events"]
            assert str(position) in str(named[0])
            with pytest.raises(Exception, match=r"damaged|not at hand|DecodeError|Error parsing"):
                Log(store).stored("", position - 1, position, 1)
        sql(dsn, schema, flip, place, place, position)
    assert audit(dsn, schema)[0] == []
