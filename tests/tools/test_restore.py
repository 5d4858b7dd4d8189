"""`fee-ledger restore`: the same ledger again, up to its end, a position or a time; and what it takes to serve it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger.domain.events import MigrationApplied, WriterStarted
from ledger.domain.instants import instant_text
from ledger.store.postgres.migrate import MigrationError
from tests.conftest import Clock, refusal, serving
from tests.samples import batch, fill
from tests.server.calls import await_tables, send
from tests.server.orders import register
from tests.tools import running
from tests.tools.backed_up import (
    LEASE_MS,
    SOURCE,
    TRACKED,
    BackedUp,
    backed_up,
    rows_of,
    source_position,
    sql,
    texts_of,
)

ALL_TEXTS = ["agreed on the phone", "alice called", "bob called", "last of part 2", "spam in part 2"]


@pytest.fixture(scope="module")
def made(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A ledger with a backup."""
    return backed_up(dsn, "to_restore", tmp_path_factory.mktemp("backups") / "backup")


@pytest.fixture(scope="module")
def whole(made: BackedUp) -> str:
    """The schema into which all of it is restored, and not finished."""
    schema, ran = made.restore()
    assert (ran.code, ran.err) == (0, "")
    return schema


def now() -> Clock:
    clock = Clock()
    clock.now_ns = time.time_ns()
    return clock


def assert_sound(made: BackedUp, schema: str) -> None:
    """Nothing is found by an audit, or in the tables of the log."""
    audited = made.run("audit", "--jobs", "1", schema=schema)
    assert (audited.code, audited.err) == (0, ""), audited
    tables = ("events", "commits", "requests", "tracking", "erasable_parts", "erasable_text", "migrations")
    checked = made.run("check", "--table", *tables, schema=schema)
    assert (checked.code, checked.err) == (0, ""), checked


def test_all_of_the_log_is_again_as_it_was(made: BackedUp, whole: str) -> None:
    until = made.ends[-1]
    assert rows_of(made.dsn, whole, until + 1) == rows_of(made.dsn, made.schema, until)
    assert sorted(texts_of(made.dsn, whole)) == ALL_TEXTS
    assert sql(made.dsn, whole, TRACKED) == sql(made.dsn, made.schema, TRACKED) == [(15,)]
    assert_sound(made, whole)


def test_it_is_served_only_once_it_is_finished(made: BackedUp, whole: str) -> None:
    told = "is being restored: `fee-ledger restore finish` ends that"
    with pytest.raises(MigrationError, match=told), serving(made.dsn, whole):
        pass
    migrated = made.run("database", "migrate", schema=whole)
    assert migrated.code == 2
    assert "is being restored" in migrated.err


def finished(made: BackedUp, *until: object) -> str:
    """Restore, finish, and return the schema."""
    schema, ran = made.restore(*until)
    assert (ran.code, ran.err) == (0, "")
    ran = made.run("restore", "finish", "--nothing-erased", schema=schema)
    assert (ran.code, ran.err) == (0, "")
    return schema


def test_a_restored_ledger_goes_on_and_knows_what_it_was_asked(made: BackedUp) -> None:
    schema = finished(made)
    with serving(made.dsn, schema, clock=now(), lease_ms=LEASE_MS) as ledger:
        for request, answer in made.asked:
            replay = send(ledger, request)
            assert replay.receipt.replayed
            replay.receipt.replayed = False
            assert replay == answer
        assert source_position(ledger) == 15
        events = ledger.log.ledger()
        terms = [each.event.term for each in events if isinstance(each.event, WriterStarted)]
        assert terms == [1, 2]
        (said,) = (each for each in events if isinstance(each.event, MigrationApplied))
        assert said.position == made.ends[-1] + 1
        assert isinstance(said.event, MigrationApplied)
        assert [file.name for file in said.event.files] == ["restored from part 000003"]
        assert said.event.digest_before == said.event.digest_after
        assert send(ledger, register("dave")).receipt.position > said.position
        await_tables(ledger)
    assert_sound(made, schema)
    checked = made.run("check", schema=schema)
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "0 findings")


def test_an_engine_that_is_ahead_of_the_restored_ledger_is_told_and_sends_again(made: BackedUp) -> None:
    schema = finished(made, "--until", made.ends[0])
    with serving(made.dsn, schema, clock=now(), lease_ms=LEASE_MS) as ledger:
        assert source_position(ledger) == 3
        ahead = batch(*(fill(account_id="a16", exec_id=f"E-{number}") for number in (16, 17)))
        ahead.source, ahead.first_sequence = SOURCE, 16
        told = refusal(ledger.fills.RecordFills, ahead)
        assert (told.reason, told.metadata["expected_sequence"]) == ("SEQUENCE_GAP", "4")
        again = batch(*(fill(account_id=f"a{number}", exec_id=f"E-{number}") for number in range(4, 18)))
        again.source, again.first_sequence = SOURCE, 4
        answer = ledger.fills.RecordFills(again)
        assert (answer.recorded, answer.replayed, answer.source_sequence) == (14, 0, 17)
    assert_sound(made, schema)


@pytest.mark.parametrize("within", range(4), ids=lambda part: f"position {part} of a part")
def test_a_position_is_gone_back_to_with_the_whole_commit_that_ended_last(made: BackedUp, within: int) -> None:
    asked = made.ends[0] + within
    ends = [last for (last,) in sql(made.dsn, made.schema, "SELECT last_position FROM LEDGER.commits")]
    until = max(end for end in ends if end <= asked)
    schema, ran = made.restore("--until", asked)
    assert (ran.code, ran.err) == (0, "")
    assert f"is restored up to position {until} of {made.ends[-1]}, recorded at 2024-10-04T12:00:00.0" in ran.out
    assert rows_of(made.dsn, schema, made.ends[-1]) == rows_of(made.dsn, made.schema, until)
    assert_sound(made, schema)


def test_what_came_after_the_position_leaves_no_text(made: BackedUp) -> None:
    (banned,) = sql(made.dsn, made.schema, "SELECT notification_id FROM LEDGER.events WHERE topic = 'AccountBanned'")
    schema, _ = made.restore("--until", banned[0])
    assert texts_of(made.dsn, schema) == ["agreed on the phone", "alice called", "bob called", "spam in part 2"]
    schema, _ = made.restore("--until", banned[0] - 1)
    assert texts_of(made.dsn, schema) == ["agreed on the phone", "alice called", "bob called"]


def test_a_time_is_gone_back_to(made: BackedUp) -> None:
    times = sql(made.dsn, made.schema, "SELECT last_position, recorded_time_ns FROM LEDGER.commits ORDER BY 1")
    for place in (len(times) // 2, len(times) - 2):
        position, recorded_ns = times[place]
        schema, ran = made.restore("--until", instant_text(recorded_ns))
        assert ran.code == 0
        assert sql(made.dsn, schema, "SELECT max(last_position) FROM LEDGER.commits") == [(position,)]


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("0", "no commit was over at position 0: the first one ends at position "),
        ("2009-01-03", "no commit was over at 2009-01-03T00:00:00Z: the first one ends at position "),
        ("99999", "the backup ends with position "),
        ("2199-01-01", "the backup was last added to at "),
    ],
)
def test_a_point_that_the_backup_does_not_have_is_refused_before_anything_is_made(
    made: BackedUp, until: str, told: str
) -> None:
    schema, ran = made.restore("--until", until)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err
    assert not exists(made, schema)


def exists(made: BackedUp, schema: str) -> bool:
    return sql(made.dsn, schema, "SELECT FROM pg_namespace WHERE nspname = %(schema)s", schema=schema) != []


def test_a_ledger_that_is_there_stays_as_it_is(made: BackedUp, whole: str, tmp_path: Path) -> None:
    before = rows_of(made.dsn, made.schema, made.ends[-1] + 9)
    ran = made.run("restore", "from", made.folder)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"the schema {made.schema} holds the ledger ledger-" in ran.err
    assert rows_of(made.dsn, made.schema, made.ends[-1] + 9) == before
    again = made.run("restore", "from", made.folder, schema=whole)
    assert again.code == 2
    assert "has a restored ledger already: `fee-ledger restore finish` is what is left" in again.err
    other = backed_up(made.dsn, "to_restore_other", tmp_path / "other")
    ran = other.run("restore", "from", made.folder)
    assert ran.code == 2
    assert "holds the ledger ledger-" in ran.err
    ran = other.back_up(made.folder)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"{made.folder} is a backup of the ledger ledger-" in ran.err


def test_tables_of_a_ledger_that_was_there_are_not_taken_for_those_of_the_restored_one(made: BackedUp) -> None:
    with serving(made.dsn, "to_restore_moved", lease_ms=LEASE_MS) as ledger:
        send(ledger, register("dora"))
        await_tables(ledger)
    sql(made.dsn, "to_restore_moved", "ALTER SCHEMA LEDGER RENAME TO LEDGER_broken")
    ran = made.run("restore", "from", made.folder, schema="to_restore_moved")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    remedy = 'DROP SCHEMA "to_restore_moved_read" CASCADE'
    assert f"tables of a ledger that was here before: {remedy}" in ran.err
    assert not exists(made, "to_restore_moved")
    sql(made.dsn, "to_restore_moved", remedy)
    assert made.run("restore", "from", made.folder, schema="to_restore_moved").code == 0


def test_a_ledger_that_was_restored_from_before_is_backed_up_in_another_folder(made: BackedUp, tmp_path: Path) -> None:
    schema = finished(made, "--until", made.ends[0])
    ran = made.run("backup", "to", made.folder, schema=schema)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "the ledger has no such commit: it was restored from before. Begin a backup in another folder" in ran.err
    assert made.run("backup", "to", tmp_path / "new", schema=schema).code == 0


def test_what_is_erased_stays_so_whatever_is_gone_back_to(dsn: str, tmp_path: Path) -> None:
    made = backed_up(dsn, "to_erase", tmp_path / "backup")
    hashes = dict(sql(dsn, made.schema, "SELECT text, encode(sha256, 'hex') FROM LEDGER.erasable_text"))
    left = positions_of(dsn, made.schema)
    sql(dsn, made.schema, "DELETE FROM LEDGER.erasable_text WHERE text = 'alice called'")
    sql(dsn, made.schema, "DELETE FROM LEDGER.erasable_parts WHERE position = %(first)s", first=left[0])
    ran = made.back_up()
    assert (ran.code, ", 2 texts erased since" in ran.out) == (0, True)
    assert made.back_up().out.startswith("nothing new since position ")
    schema, ran = made.restore("--until", made.ends[0])
    assert ", and 2 texts erased, in " in ran.out
    assert texts_of(dsn, schema) == ["agreed on the phone", "bob called"]
    of_first_part = [position for position in left[1:] if position <= made.ends[0]]
    assert positions_of(dsn, schema) == of_first_part

    erased = tmp_path / "erased.txt"
    erased.write_text(f"# asked for in T-12\n\n{hashes['bob called']}  bob\n{'0' * 64}\n{left[1]} bob\n{left[-1]}\n")
    ran = made.run("restore", "finish", "--erased", erased, schema=schema)
    assert (ran.code, ran.err, ran.out.splitlines()[0][:15]) == (0, "", "2 texts erased ")
    assert texts_of(dsn, schema) == ["agreed on the phone"]
    assert positions_of(dsn, schema) == of_first_part[1:]
    assert_sound(made, schema)
    again = made.run("restore", "finish", "--erased", erased, schema=schema)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert f"no restore into the schema {schema} is to be finished" in again.err


def positions_of(dsn: str, schema: str) -> list[int]:
    """The events that have an erasable part."""
    return [position for (position,) in sql(dsn, schema, "SELECT position FROM LEDGER.erasable_parts ORDER BY 1")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --erased FILE with what was erased since the backup, or --nothing-erased"),
        (("--nothing-erased", "--erased", "FILE"), "give --erased FILE with what was erased since the backup, or "),
        (
            ("--erased", "FILE"),
            "FILE, line 2: a line begins with the SHA-256 of a text, 64 hex digits, a position, or #",
        ),
        (("--erased", "/nowhere"), "/nowhere cannot be used: No such file or directory"),
    ],
)
def test_to_finish_takes_a_list_that_can_be_read_or_the_word_that_there_is_none(
    made: BackedUp, whole: str, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    file = tmp_path / "erased.txt"
    file.write_text(f"{'0' * 64}\nalice called\n")
    given = [argument.replace("FILE", str(file)) for argument in arguments]
    ran = made.run("restore", "finish", *given, schema=whole)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told.replace("FILE, ", f"{file}, ") in ran.err


def test_finishing_makes_no_ledger_where_there_is_none(tmp_path: Path) -> None:
    ran = running.run("restore", "finish", "--nothing-erased", "--data", tmp_path / "none")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "there is no ledger in " in ran.err
    assert not (tmp_path / "none").exists()
