"""Adds a part to a backup: what a log got since the last part, in one snapshot, while the ledger is written or not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from ledger import private
from ledger.domain.instants import instant_text
from ledger.store.backup.copied import RowsWriter, dictionaries_of, rows
from ledger.store.backup.parts import (
    MANIFEST,
    TABLES,
    BackupError,
    Content,
    Manifest,
    Part,
    file_of,
    is_part,
    part_name,
    parts_in,
)
from ledger.store.digest import Show
from ledger.store.log import Log
from ledger.store.postgres.migrate import DICTIONARIES, ERASABLE, EVENTS, is_there, stored_migrations
from ledger.store.postgres.processes import locked_file
from ledger.store.reads import OneConnection
from ledger.store.rows import COLUMNS
from ledger.whole import put_in_place

_LOCK: Final = "lock"
_UNFINISHED: Final = re.compile("[0-9]{6,9}\\.new")
_NOT_STRANGE: Final = (_LOCK, "lost+found")  # the second one is there where a disk begins
_LATER_TABLES: Final = {"erasable": ERASABLE, "dictionaries": DICTIONARIES}  # than the first release
_ROWS_PER_STEP: Final = 1_000
_SNAPSHOT: Final = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_STRETCH: Final = "FROM {schema}.erasable_parts WHERE position > %(after)s AND position <= %(until)s"
_SELECTS: Final = {
    "events": f"SELECT {', '.join(COLUMNS)} FROM {{events}}"
    " WHERE notification_id > %(after)s AND notification_id <= %(until)s ORDER BY notification_id",
    "commits": "SELECT last_position, first_position, recorded_time_ns FROM {schema}.commits"
    " WHERE last_position > %(after)s AND last_position <= %(until)s ORDER BY last_position",
    "requests": "SELECT request_id, sha256, position FROM {schema}.requests"
    " WHERE position > %(after)s AND position <= %(until)s ORDER BY position, request_id",
    "erasable": f"SELECT position, nonce, content {_STRETCH} ORDER BY position",
    "dictionaries": "SELECT version, sha256, content FROM {schema}.dictionaries"
    " WHERE version <> ALL(%(dictionaries)s) ORDER BY version",
    "texts": "SELECT sha256, salt, text FROM {schema}.erasable_text WHERE sha256 = ANY(%(texts)s) ORDER BY sha256",
}


_COUNT_ERASABLE: Final = f"SELECT count(*) {_STRETCH}"
_ERASABLE_POSITIONS: Final = f"SELECT position {_STRETCH}"


class BackedUp(NamedTuple):
    """The end of a run: the last part, and whether this run wrote it; otherwise there was nothing new."""

    part: Part
    is_new: bool


def back_up(connection: Connection[Any], schema: str, folder: Path, now_ns: Callable[[], int], show: Show) -> BackedUp:
    """Add a part with all that the log has and the backup in the folder has not. Raises BackupError, or OSError.

    The folder is made if there is none. Whatever ends this, the parts before stay as they are.
    """
    with _alone(folder) as parts, connection.transaction():
        connection.execute(_SNAPSHOT)
        taken_ns = now_ns()
        log = Log(OneConnection(schema, connection))
        head, last = log.head(), parts[-1].manifest if parts else None
        ledger_id = _ledger_id(log, schema)
        if last is not None:
            _check_same(log, last, ledger_id, folder)
        dictionaries = [version for part in parts for version in dictionaries_of(part)]
        tables = _tables(connection, schema, dictionaries)
        texts = _Texts(connection, schema, parts)
        erased = [*texts.erased, *map(str, _erased_positions(connection, schema, parts))]
        if last is not None and last.until == head.position and not erased:
            return BackedUp(parts[-1], False)
        after, number = (last.until, last.number + 1) if last else (0, 1)
        stretch = {"after": after, "until": head.position, "texts": texts.new, "dictionaries": dictionaries}
        with _new_part(folder, number) as new:
            copied = _Copying(connection, schema, stretch, show)
            files = {table: copied.to(new, table) for table in tables}
            if files["events"].rows != head.position - after:
                raise BackupError(
                    f"positions are missing in {after + 1} to {head.position}: `fee-ledger audit` names them"
                )
            migrations = {name: sha256.hex() for name, sha256 in stored_migrations(connection, schema).items()}
            manifest = Manifest(
                ledger_id, number, after, head.position, head.recorded_time_ns, taken_ns, version("fee-ledger"),
                migrations, last.sha256 if last else "", files, tuple(erased),
            )  # fmt: skip
            private.write(new / MANIFEST, manifest.text())
        return BackedUp(Part(folder / part_name(number), manifest), True)


@contextmanager
def _alone(folder: Path) -> Iterator[list[Part]]:
    """Give the parts of a backup to which nobody else adds one until the block ends."""
    if not folder.exists():
        private.make_folder(folder)
    strange = [path.name for path in folder.iterdir() if not _is_known(path.name)]
    if strange and not any(is_part(path.name) for path in folder.iterdir()):
        raise BackupError(f"{folder} holds {min(strange)}, and no backup: give a backup a folder of its own")
    lock = locked_file(folder / _LOCK)
    if lock is None:
        raise BackupError(f"another backup is being written to {folder}: wait for it, or end it")
    with lock:
        for path in folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                _remove(path)
        yield parts_in(folder)


def _is_known(name: str) -> bool:
    return name in _NOT_STRANGE or _UNFINISHED.fullmatch(name) is not None


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


@contextmanager
def _new_part(folder: Path, number: int) -> Iterator[Path]:
    """Give a folder to be filled; it gets its name if the block ends well, and is removed if not."""
    new = folder / f"{part_name(number)}.new"
    try:
        private.make_folder(new)
        yield new
        put_in_place(new, folder / part_name(number))
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _ledger_id(log: Log, schema: str) -> str:
    if found := log.ledger_id():
        return found
    raise BackupError(f"the ledger in the schema {schema} has not begun: there is nothing to back up")


def _check_same(log: Log, last: Manifest, ledger_id: str, folder: Path) -> None:
    """Raise BackupError unless the log goes on where the backup ends."""
    if ledger_id != last.ledger_id:
        raise BackupError(
            f"{folder} is a backup of the ledger {last.ledger_id}, and this is {ledger_id}: name another folder"
        )
    if log.head_at_position(last.until) != (last.until, last.recorded_time_ns):
        raise BackupError(
            f"{folder} ends with position {last.until}, recorded at {instant_text(last.recorded_time_ns)}, and the"
            f" ledger has no such commit: it was restored from before. Begin a backup in another folder"
        )


class _Texts:
    """The hashes of free texts that the ledger has and the backup has not, and of those that have been erased."""

    def __init__(self, connection: Connection[Any], schema: str, parts: Sequence[Part]) -> None:
        kept = {row.fields[0] or b"" for part in parts for row in rows(part, "texts")}
        kept -= {sha256 for part in parts for sha256 in part.manifest.erased_texts}
        select = SQL("SELECT sha256 FROM {}.erasable_text").format(Identifier(schema))
        with connection.cursor("texts", binary=True) as cursor:
            found = {bytes(sha256) for (sha256,) in cursor.execute(select)}
        self.new = list(found - kept)
        self.erased = sorted(sha256.hex() for sha256 in kept - found)


def _tables(connection: Connection[Any], schema: str, dictionaries: Sequence[int]) -> list[str]:
    """Return the tables that a part has files of; `dictionaries` are those that the backup has."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        lacks = {name for name, table in _LATER_TABLES.items() if not is_there(cursor, schema, table)}
        if "dictionaries" not in lacks:
            count = SQL("SELECT count(*) FROM {} WHERE version <> ALL(%s)").format(Identifier(schema, DICTIONARIES))
            if cursor.execute(count, (list(dictionaries),)).fetchone() == (0,):
                lacks.add("dictionaries")
    return [name for name in TABLES if name not in lacks]


def _erased_positions(connection: Connection[Any], schema: str, parts: Sequence[Part]) -> list[int]:
    """Return the positions of events of which the backup has an erasable part and the ledger has not any more.

    A file is read only where the ledger has fewer of its rows than are left by what was known to be erased before.
    """
    known = {position for part in parts for position in part.manifest.erased_positions}
    names = {"schema": Identifier(schema)}
    found: list[int] = []
    for part in parts:
        said = part.manifest
        if "erasable" not in said.tables:
            continue
        stretch = {"after": said.after, "until": said.until}
        (count,) = connection.execute(SQL(_COUNT_ERASABLE).format(**names), stretch).fetchone() or (0,)
        if count + sum(said.after < position <= said.until for position in known) == said.files["erasable"].rows:
            continue
        left = connection.execute(SQL(_ERASABLE_POSITIONS).format(**names), stretch)
        not_new = known.union(position for (position,) in left)
        found += [row.number(0) for row in rows(part, "erasable") if row.number(0) not in not_new]
    return found


class _Copying:
    """Copies rows of the tables to files, and tells how far it is."""

    def __init__(self, connection: Connection[Any], schema: str, stretch: Mapping[str, Any], show: Show) -> None:
        self._connection, self._stretch, self._show = connection, stretch, show
        self._names = {"schema": Identifier(schema), "events": Identifier(schema, EVENTS)}

    def to(self, folder: Path, table: str) -> Content:
        """Write the file of a table into the folder of a part."""
        file = RowsWriter(file_of(folder, table))
        try:
            with self._connection.cursor() as cursor:
                with cursor.copy(self._copy(table), self._stretch) as copy:
                    for done, sent in enumerate(copy):
                        file.write(sent)
                        if done % _ROWS_PER_STEP == 0:
                            self._show(table, done, self._expected(table))
                file.close()
                return file.content(cursor.rowcount)
        except BaseException:
            file.drop()
            raise

    def _copy(self, table: str) -> Composed:
        return SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(SQL(_SELECTS[table]).format(**self._names))

    def _expected(self, table: str) -> int:
        if table == "texts":
            return len(self._stretch["texts"])
        return int(self._stretch["until"] - self._stretch["after"]) if table == "events" else 0
