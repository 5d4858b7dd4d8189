"""`fee-ledger backup`: parts that are whole or not there, and every way in which they can be something else."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.store.backup.parts import MANIFEST, TABLES, Manifest, file_of, read_parts
from tests.tools import running
from tests.tools.backed_up import BackedUp, backed_up, sql

NAMES = [MANIFEST, *(file_of(Path(), table).name for table in TABLES)]


@pytest.fixture(scope="module")
def made(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> BackedUp:
    """A ledger with a backup."""
    return backed_up(dsn, "to_back_up", tmp_path_factory.mktemp("backups") / "backup")


@pytest.fixture
def copy(made: BackedUp, tmp_path: Path) -> Path:
    """A copy of its backup."""
    return shutil.copytree(made.folder, tmp_path / "copy")


def test_parts_follow_each_other_and_are_listed(made: BackedUp) -> None:
    ran = running.run("backup", "list", made.folder)
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()[1:]]
    assert lines[0] == ["part", "from", "until", "recorded", "taken", "texts", "erased", "MB"]
    starts = [1, *(end + 1 for end in made.ends)]
    assert [line[:3] for line in lines[1:]] == [
        [f"{number:06}", str(start), str(end)]
        for number, (start, end) in enumerate(zip(starts, made.ends, strict=False), 1)
    ]
    assert [line[5] for line in lines[1:]] == ["3", "2", "0"]
    ran = running.run("backup", "verify", made.folder)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("3 parts of ledger-")
    assert ran.out.endswith(f", positions 1 to {made.ends[-1]}: 0 faults\n")


def test_nobody_else_can_read_it(made: BackedUp) -> None:
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in (made.folder, *made.folder.rglob("*"))}
    assert modes == {0o600, 0o700}
    assert [path.name for path in made.folder.rglob("*") if path.is_file() and path.lstat().st_mode & 0o100] == []


def test_where_nothing_came_nothing_is_written(made: BackedUp) -> None:
    before = sorted(made.folder.rglob("*"))
    ran = made.back_up()
    assert (ran.code, ran.out.split(":")[0]) == (0, f"nothing new since position {made.ends[-1]}")
    assert sorted(made.folder.rglob("*")) == before


def refused(made: BackedUp, folder: Path) -> str:
    """How `restore` and `backup to` refuse a backup, in one line and before anything is made."""
    schema, ran = made.restore(folder=folder)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert sql(made.dsn, schema, "SELECT FROM pg_namespace WHERE nspname = %(schema)s", schema=schema) == []
    return ran.err


def damaged(folder: Path) -> str:
    """What `verify` finds."""
    ran = running.run("backup", "verify", folder)
    assert (ran.code, ran.err) == (1, ""), ran
    return ran.out


def file_in(copy: Path, part: str, name: str) -> Path:
    """A file of a part, or of the first one: dictionaries are in that alone."""
    file = copy / part / name
    return file if file.exists() else copy / "000001" / name


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_that_flipped_is_found(made: BackedUp, copy: Path, name: str) -> None:
    file = file_in(copy, "000002", name)
    whole = file.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 7, 1)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert file.parent.name in damaged(copy)
    assert file.parent.name in refused(made, copy)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [None, 0, 20], ids=["is missing", "is empty", "ends early"])
def test_half_a_backup_is_none(made: BackedUp, copy: Path, name: str, size: int | None) -> None:
    file = file_in(copy, "000003", name)
    if size is None:
        file.unlink()
    else:
        os.truncate(file, size)
    assert file.parent.name in damaged(copy)
    assert file.parent.name in refused(made, copy)


def test_what_comes_before_a_part_that_is_lost_is_restored_without_it_and_those_after_it(
    made: BackedUp, copy: Path
) -> None:
    (copy / "000002" / MANIFEST).unlink()
    assert "use another copy; or move it and all later parts elsewhere, and restore what" in refused(made, copy)
    for name in ("000002", "000003"):
        (copy / name).rename(copy.parent / f"elsewhere {name}")
    _, ran = made.restore(folder=copy)
    assert (ran.code, f" is restored up to position {made.ends[0]} of {made.ends[0]}," in ran.out) == (0, True)


def other(change: Callable[[Manifest], Manifest]) -> Callable[[Path], None]:
    """Write another manifest of the last part, with the digest that it would have."""

    def write(folder: Path) -> None:
        part = read_parts(folder)[-1]
        (part.folder / MANIFEST).write_text(change(part.manifest).text())

    return write


def as_link(name: str) -> Callable[[Path], None]:
    """Put a link to the same thing in the place of something."""

    def link(folder: Path) -> None:
        (folder / name).rename(folder / "elsewhere")
        (folder / name).symlink_to(folder / "elsewhere")

    return link


def as_pipe(folder: Path) -> None:
    texts = folder / "000003" / "texts.copy.gz"
    texts.unlink()
    os.mkfifo(texts)


def swapped(folder: Path) -> None:
    (folder / "000002").rename(folder / "two")
    (folder / "000003").rename(folder / "000002")
    (folder / "two").rename(folder / "000003")


WRONG: list[tuple[str, Callable[[Path], Any], str]] = [
    ("a middle part is missing", lambda folder: shutil.rmtree(folder / "000002"), "the part 000002 of the backup"),
    ("the first part is missing", lambda folder: shutil.rmtree(folder / "000001"), "the part 000001 of the backup"),
    ("two parts are swapped", swapped, "000002 does not go on where the part before it ends"),
    ("a part is a link", as_link("000003"), "000003 is no folder"),
    ("a file is a link", as_link("000003/texts.copy.gz"), "texts.copy.gz is a link"),
    ("a manifest is a link", as_link("000003/manifest.json"), "manifest.json is a link"),
    ("a file is a pipe", as_pipe, "is no file"),
    ("a part is a file", lambda folder: (folder / "000004").touch(), "000004 is no folder"),
    ("a part is empty", lambda folder: (folder / "000004").mkdir(), "manifest.json is missing: the part is not whole"),
    ("a manifest is a list", lambda folder: (folder / "000003" / MANIFEST).write_text("[1]"), "is no manifest"),
    ("a manifest is deep", lambda folder: (folder / "000003" / MANIFEST).write_text("[" * 200_000), "is no manifest"),
    ("another ledger follows", other(lambda last: replace(last, ledger_id="another")), "does not go on"),
    ("its positions overlap", other(lambda last: replace(last, after=last.after - 1)), "does not go on"),
    ("it goes backwards", other(lambda last: replace(last, until=last.after - 1)), "does not go on"),
    ("it is from another part", other(lambda last: replace(last, before="0" * 64)), "does not go on"),
]  # fmt: skip


@pytest.mark.parametrize(("break_", "told"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_parts_that_do_not_follow_each_other_are_none(
    made: BackedUp, copy: Path, break_: Callable[[Path], Any], told: str
) -> None:
    break_(copy)
    assert told in damaged(copy)
    assert told in refused(made, copy)
    ran = made.back_up(copy)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err


NEWER: list[tuple[str, Callable[[Path], Any], str]] = [
    ("a later format",
     lambda folder: (folder / "000003" / MANIFEST).write_text('{"format": 2, "release": "9.1", "other": ["words"]}'),
     "was written by a newer release (9.1): use that release"),
    ("a later release", other(lambda last: replace(last, release="99.0")), "was written by a newer release (99.0)"),
    ("later tables", other(lambda last: replace(last, migrations={**last.migrations, "9999_later.sql": "00" * 32})),
     "was made by a newer release (it has 9999_later.sql): upgrade the ledger"),
    ("other tables", other(lambda last: replace(last, migrations={**last.migrations, "0001_log.sql": "00" * 32})),
     "was made by another 0001_log.sql"),
]  # fmt: skip


@pytest.mark.parametrize(("break_", "told"), [row[1:] for row in NEWER], ids=[row[0] for row in NEWER])
def test_a_backup_of_a_newer_release_is_refused(
    made: BackedUp, copy: Path, break_: Callable[[Path], Any], told: str
) -> None:
    break_(copy)
    assert told in refused(made, copy)


def test_rows_that_are_not_what_the_manifest_says_are_refused_by_the_tables(made: BackedUp, copy: Path) -> None:
    """Somebody who makes files and digests agree still cannot leave out an event."""
    (first, *_, last) = read_parts(copy)
    shutil.copy(first.file("commits"), last.file("commits"))
    said = {**last.manifest.files, "commits": first.manifest.files["commits"]}
    (last.folder / MANIFEST).write_text(replace(last.manifest, files=said).text())
    assert running.run("backup", "verify", copy).code == 0
    schema, ran = made.restore(folder=copy)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "commits.copy.gz has rows that the tables do not take" in ran.err
    assert sql(made.dsn, schema, "SELECT to_regclass('LEDGER.events')") == [(None,)]
    schema, ran = made.restore("--until", made.ends[1], folder=copy)
    assert ran.code == 0, "what comes before it is not touched by that"


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Have this process act as a user who may read nothing."""
    if os.geteuid():
        pytest.skip("only root can act as another user")
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_folder_that_cannot_be_read_is_told(made: BackedUp, as_nobody: None) -> None:
    for verb in ("list", "verify"):
        ran = running.run("backup", verb, made.folder)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "Permission denied" in ran.err


@pytest.mark.parametrize("verb", ["list", "verify", "restore"])
def test_where_there_is_no_backup_one_line_says_so(made: BackedUp, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, told in (("none", "No such file"), ("file", "Not a directory"), ("empty", "there is no backup in")):
        folder = tmp_path / name
        ran = made.restore(folder=folder)[1] if verb == "restore" else running.run("backup", verb, folder)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert told in ran.err


def test_it_begins_in_a_folder_of_its_own(made: BackedUp, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    ran = made.back_up(tmp_path)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"{tmp_path} holds notes, and no backup: give a backup a folder of its own" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    for folder, told in ((tmp_path / "no" / "where", "No such file"), (tmp_path / "notes", "Not a directory")):
        ran = made.back_up(folder)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert told in ran.err
    (tmp_path / "own").mkdir(0o755)
    assert made.back_up(tmp_path / "own").code == 0
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o755, "a folder that is there keeps its mode"
