"""`fee-ledger audit --resume`: what a file is believed, and what a kept one finds that the log alone does not tell."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.cli.errors import UnusableError
from ledger.domain.events import Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.streams import account_of
from ledger.tools.audit import resume
from ledger.tools.audit.resume import kept
from tests.projections.audited import Copy, rich_ledger
from tests.properties.test_replay import fee_off_by_one
from tests.tools import running
from tests.write_side import Writing


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Writing]:
    with rich_ledger(dsn, "audit_resume", steps=12) as writing:
        yield writing


@pytest.fixture(scope="module")
def log(rich: Writing) -> list[Recorded]:
    return rich.events()


@pytest.fixture(scope="module")
def half(log: list[Recorded]) -> int:
    """The end of a commit in the middle: fills and requests lie before it and after it."""
    pairs = itertools.pairwise(log)
    ends = [one.position for one, other in pairs if one.envelope.recorded_time_ns != other.envelope.recorded_time_ns]
    return next(end for end in ends if end > a_run(log).position + 10)


def a_run(log: list[Recorded]) -> Recorded:
    return next(one for one in log if isinstance(one.event, VolumeRecorded) and not one.event.columns.wide)


@pytest.fixture
def copy(dsn: str, rich: Writing) -> Copy:
    return Copy(dsn, "audit_resume")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "audit.state"


def audit(copy: Copy, state: Path, *arguments: object) -> tuple[int, list[str], str]:
    """(exit code, lines printed, told on stderr)."""
    where = ("--jobs", 1, "--dsn", copy.dsn, "--schema", copy.schema)
    ran = running.run("audit", "--resume", state, *arguments, *where)
    return ran.code, ran.out.splitlines(), ran.err


def forge(state: Path, **said: Any) -> None:
    """Have a file say something else, and its SHA-256 too."""
    found = {**json.loads(state.read_text())["found"], **said}
    state.write_text(json.dumps({"found": found, "sha256": resume._digest(found)}))


def test_a_finished_audit_leaves_its_file_and_the_next_one_decides_what_is_new(
    copy: Copy, log: list[Recorded], half: int, state: Path
) -> None:
    first, second, third = audit(copy, state, "--known-at", half), audit(copy, state), audit(copy, state)
    assert [each[0] for each in (first, second, third)] == [0, 0, 0]
    assert first[1][0].startswith(f"{half} events, ")
    assert second[1][0].startswith(f"{len(log)} events, ")
    assert third[1][0].partition(", in ")[0] == second[1][0].partition(", in ")[0]
    assert third[1][0].endswith("(0 fills/s)")


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"position": 10**30}, "no count or position is 1000000000"),
    ({"position": -1}, "no count or position is -1"),
    ({"position": True}, "no count or position is True"),
    ({"position": 1.0}, "no count or position is 1.0"),
    ({"known": 0}, "it has come further than it goes"),
    ({"digest": ""}, "or has no digest"),
    ({"events": None}, "no count or position is None"),
    ({"findings": {"count": 0, "listed": [{"position": 1}]}}, "it lists what is no finding"),
    ({"findings": {"count": 7, "listed": []}}, "another number of them than it counts"),
    ({"findings": 0}, "argument after **"),
    ({"more": 0}, "unexpected keyword argument"),
    ({"audit": []}, "it does not say of which audit it is"),
]


@pytest.mark.parametrize(("said", "why"), FORGED, ids=[str(said)[:40] for said, _ in FORGED])
def test_a_file_that_no_audit_can_have_written_is_refused_in_one_line(
    copy: Copy, half: int, state: Path, said: dict[str, Any], why: str
) -> None:
    audit(copy, state, "--known-at", half)
    forge(state, **said)
    code, lines, told = audit(copy, state)
    assert (code, lines, told.count("\n")) == (2, [], 1)
    assert told.startswith(f"fee-ledger: {state} cannot be gone on with (")
    assert why in told


@pytest.mark.parametrize(
    ("name", "value"),
    [("ledger_id", "another"), ("schema", "another"), ("accounts", ["alice"]), ("rules_version", 0), ("release", "0")],
)
def test_a_file_of_another_ledger_choice_or_release_is_refused_and_says_which(
    copy: Copy, half: int, state: Path, name: str, value: object
) -> None:
    audit(copy, state, "--known-at", half)
    forge(state, audit={**json.loads(state.read_text())["found"]["audit"], name: value})
    told = f"fee-ledger: {state} is of another audit ({name}): give the same options, or another --resume FILE\n"
    assert audit(copy, state) == (2, [], told)


def test_the_file_of_an_earlier_release_is_refused_in_one_line(copy: Copy, state: Path) -> None:
    before = {"audit": {}, "known": 9, "position": 9, "events": 9, "fills": 0, "findings": 0, "listed": []}
    state.write_text(json.dumps({"found": before, "sha256": resume._digest(before)}))
    code, lines, told = audit(copy, state)
    assert (code, lines, told.count("\n")) == (2, [], 1)


def test_a_file_that_has_come_further_than_what_is_asked_for_is_refused(copy: Copy, half: int, state: Path) -> None:
    audit(copy, state)
    code, lines, told = audit(copy, state, "--known-at", half)
    assert (code, lines) == (2, [])
    assert "has come to position" in told


def test_whatever_byte_of_a_file_is_changed_or_cut_off_it_is_refused_or_says_the_same(
    copy: Copy, half: int, state: Path
) -> None:
    audit(copy, state, "--known-at", half)
    was, asked = state.read_bytes(), json.loads(state.read_text())["found"]["audit"]
    found = kept(state, asked)
    changes = [was[:at] + bytes([was[at] ^ flip]) + was[at + 1 :] for at in range(len(was)) for flip in (1, 4, 32, 128)]
    refused = 0
    for content in (*changes, *(was[:end] for end in range(len(was)))):
        state.write_bytes(content)
        try:
            assert kept(state, asked) == found, content
        except UnusableError:
            refused += 1
    assert refused > len(changes)


LATER = "UPDATE LEDGER.commits SET recorded_time_ns = recorded_time_ns + 1000000000000"
GONE = "DELETE FROM LEDGER.requests WHERE position ="


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        (LATER, "as its commit says"),
        (f"{GONE} (SELECT max(position) FROM LEDGER.requests WHERE position < %(half)s)", " is nothing, expected "),
    ],
    ids=["commits", "requests"],
)
def test_an_edited_table_beside_what_was_decided_is_found_when_it_goes_on(
    copy: Copy, half: int, state: Path, edit: str, names: str
) -> None:
    audit(copy, state, "--known-at", half)
    copy.sql(edit, half=half)
    code, (first, *others), _ = audit(copy, state)
    assert (code, first) == (1, is_another_log(half, state))
    assert any(names in line for line in others)


def is_another_log(position: int, state: Path) -> str:
    return f"position {position}, log: positions 1 to {position} are not what an earlier run with {state} read"


def test_an_edited_event_that_was_decided_is_found_when_it_goes_on(
    copy: Copy, log: list[Recorded], half: int, state: Path
) -> None:
    audit(copy, state, "--known-at", half)
    edited = a_run(log)
    copy.edit(edited, fee_off_by_one)
    code, (first, *others), _ = audit(copy, state)
    assert (code, first) == (1, is_another_log(half, state))
    assert any(line.startswith(f"position {edited.position}, {edited.stream}: ") for line in others)


def test_an_audit_of_one_account_goes_on_and_knows_when_what_it_read_was_changed_and_no_more(
    copy: Copy, log: list[Recorded], half: int, state: Path
) -> None:
    edited = a_run(log)
    account_id = account_of(edited.stream)
    for known in (("--known-at", half), (), ()):
        code, (*_, last), _ = audit(copy, state, account_id, *known)
        assert code == 0
    whole = running.run("audit", account_id, "--jobs", 1, "--dsn", copy.dsn, "--schema", copy.schema)
    assert last.partition(", in ")[0] == whole.out.splitlines()[-1].partition(", in ")[0]
    other = next(one for one in log if isinstance(one.event, VolumeRecorded) and account_of(one.stream) != account_id)
    copy.edit(other, fee_off_by_one)
    assert audit(copy, state, account_id)[0] == 0
    copy.edit(edited, fee_off_by_one)
    code, (first, *others), _ = audit(copy, state, account_id)
    assert (code, first) == (1, is_another_log(log[-1].position, state))
    assert any(line.startswith(f"position {edited.position}, {edited.stream}: ") for line in others)


def test_a_file_with_a_forged_position_skips_nothing(copy: Copy, log: list[Recorded], half: int, state: Path) -> None:
    audit(copy, state, "--known-at", half)
    forge(state, position=log[-1].position, known=log[-1].position)
    later = [one for one in log if one.position > half and isinstance(one.event, VolumeRecorded)][-1]
    copy.edit(later, fee_off_by_one)
    code, lines, _ = audit(copy, state)
    assert code == 1
    assert any(line.startswith(f"position {later.position}, {later.stream}: ") for line in lines)


@pytest.mark.parametrize("killed", [False, True], ids=["finished", "killed before its end"])
def test_a_log_that_has_become_shorter_is_found_though_all_of_it_agrees(
    copy: Copy, log: list[Recorded], half: int, state: Path, killed: bool
) -> None:
    audit(copy, state, *(("--known-at", half) if killed else ()))
    end = log[-1].position
    if killed:
        forge(state, known=end)
    cut_consistently(copy, half)
    assert running.run("audit", "--jobs", 1, "--dsn", copy.dsn, "--schema", copy.schema).code == 0
    code, lines, _ = audit(copy, state)
    said = f"it ended at {end} or later in an earlier run with {state}, and ends at {half} now"
    assert (code, lines[0]) == (1, f"position {half + 1}, log: {said}")
    assert audit(copy, state)[0] == 1, "it is told until the file is removed"


def cut_consistently(copy: Copy, after: int) -> None:
    for table, column in (("events", "notification_id"), ("commits", "last_position"), ("requests", "position")):
        copy.sql(f"DELETE FROM LEDGER.{table} WHERE {column} > %(after)s", after=after)
    copy.sql("DELETE FROM LEDGER.tracking")
    for recorded in copy.advances(after):
        assert isinstance(recorded.event, SourceAdvanced)
        source, number = recorded.stream.removeprefix("source/"), recorded.event.last_sequence
        copy.sql("INSERT INTO LEDGER.tracking VALUES (%(source)s, %(number)s)", source=source, number=number)
