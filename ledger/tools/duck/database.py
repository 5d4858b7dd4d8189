"""The temporary duckdb file both sides lie in, and the exact numbers in it.

An amount is an integer at 36 decimals, as everywhere in the ledger, of the type BIGNUM, which is as long as it must be.
duckdb adds, subtracts, compares and sums those exactly; it multiplies them as floats, so nothing here multiplies them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from ledger.tools.duck import sql

SCALE: Final = 36
_POLL_S: Final = 1.0

_MACROS: Final = rf"""
CREATE MACRO is_number(t) AS regexp_full_match(t, '[+-]?([0-9]{{1,40}}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{{1,2}})?');

-- 1.25e-05 as 0.0000125; `m` is the number without sign and exponent, `e` the exponent
CREATE MACRO shifted(digits, point) AS
  CASE WHEN point <= 0 THEN '0.' || repeat('0', -point) || digits
       ELSE rpad(left(digits, point), point::INTEGER, '0') || '.' || substr(digits, point + 1) END;
CREATE MACRO unsigned_plain(m, e) AS
  shifted(split_part(m, '.', 1) || split_part(m, '.', 2), length(split_part(m, '.', 1)) + e);
CREATE MACRO plain(t) AS
  CASE WHEN contains(lower(t), 'e')
       THEN (CASE WHEN t LIKE '-%' THEN '-' ELSE '' END)
            || unsigned_plain(ltrim(split_part(lower(t), 'e', 1), '+-'),
                              TRY_CAST(split_part(lower(t), 'e', 2) AS BIGINT))
       ELSE ltrim(t, '+') END;

-- more than 36 decimals are no amount (NULL), zeros aside; left() of zeros is several times as fast as rpad()
CREATE MACRO decimals(t) AS CASE WHEN contains(t, '.') THEN length(t) - strpos(t, '.') ELSE 0 END;
CREATE MACRO whole_units(t) AS TRY_CAST(replace(t, '.', '') || left('{"0" * SCALE}', {SCALE} - decimals(t)) AS BIGNUM);
CREATE MACRO plain_amount(t) AS
  CASE WHEN decimals(t) <= {SCALE} THEN whole_units(t)
       WHEN decimals(rtrim(t, '0')) <= {SCALE} THEN whole_units(rtrim(t, '0')) END;
-- the lambda names plain(t): written into plain_amount it would stand there fourteen times, and take 50 ms to bind
CREATE MACRO amount(t) AS
  CASE WHEN is_number(t) THEN list_transform([plain(t)], lambda p: plain_amount(p))[1] END;
CREATE MACRO scaled(digits, decimals) AS
  CASE WHEN decimals <= {SCALE} THEN (digits || repeat('0', {SCALE} - decimals))::BIGNUM END;

CREATE MACRO unsigned_text(d) AS
  left(d, length(d) - {SCALE}) || rtrim('.' || rtrim(right(d, {SCALE}), '0'), '.');
CREATE MACRO amount_text(b) AS
  (CASE WHEN b < '0'::BIGNUM THEN '-' ELSE '' END)
  || unsigned_text(lpad(ltrim(b::VARCHAR, '-'), greatest(length(ltrim(b::VARCHAR, '-')), {SCALE + 1})::INTEGER, '0'));

-- price x quantity, NULL where 127 bits or 36 decimals do not hold it
CREATE MACRO significant(b) AS rtrim(b::VARCHAR, '0');
CREATE MACRO product(p, q) AS
  scaled(TRY(significant(p)::HUGEINT * significant(q)::HUGEINT)::VARCHAR,
         {2 * SCALE} - (length(p::VARCHAR) - length(significant(p))) - (length(q::VARCHAR) - length(significant(q))));

CREATE MACRO day_text(d) AS ('1970-01-01'::DATE + d::INTEGER)::VARCHAR;
CREATE MACRO instant_text(ns) AS
  strftime(make_timestamp_ns(ns), '%Y-%m-%dT%H:%M:%S')
  || rtrim('.' || rtrim(lpad((ns % 1000000000)::VARCHAR, 9, '0'), '0'), '.') || 'Z';
CREATE MACRO seconds_text(ns) AS amount_text(scaled(ns::VARCHAR, 9));
"""


def amount_literal(text: str) -> str:
    """A plain decimal of at most 36 decimals as an amount in SQL."""
    whole, _, rest = text.partition(".")
    return f"'{whole}{rest.ljust(SCALE, '0')}'::BIGNUM"


class Database:
    """A duckdb of one's own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        """`folder` is its own, and goes with it."""
        self._connection = connection
        self._folder = folder
        self._rooms = 0

    def room(self) -> Path:
        """A new name in the folder: no character of it means anything to duckdb, as a * of a foreign name does."""
        self._rooms += 1
        return self._folder / f"room-{self._rooms}"

    def entrance(self, path: Path) -> Path:
        """A name in the folder for one of the files that the database was opened for."""
        room = self.room()
        room.symlink_to(path.resolve())
        return room

    def run(self, statement: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Execute a statement; the answer, if it has one. Raises duckdb.Error, and KeyboardInterrupt for Ctrl-C."""
        try:
            return self._connection.execute(statement, parameters)
        except (RuntimeError, duckdb.InterruptException) as error:
            if "interrupt" in str(error).lower():
                raise KeyboardInterrupt from error
            raise

    def records(self, statement: str, parameters: list[Any] | None = None) -> Iterator[dict[str, Any]]:
        """Rows by the names of their columns, as they are taken; no other statement may run meanwhile."""
        answer = self.run(statement, parameters)
        names = [column[0] for column in answer.description or ()]
        while rows := answer.fetchmany(10_000):
            yield from (dict(zip(names, row, strict=True)) for row in rows)

    def all(self, statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of an answer."""
        return self.run(statement, parameters).fetchall()

    def one(self, statement: str, parameters: list[Any] | None = None) -> Any:
        """The value of an answer that is one."""
        return self.all(statement, parameters)[0][0]

    def insert(self, statement: str, columns: dict[str, Any]) -> None:
        """A statement that reads numpy columns under the name `columns`."""
        self._connection.register("columns", columns)
        self.run(statement)
        self._connection.unregister("columns")

    @contextmanager
    def watched(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Tells about once a second how many percent of the statement under way are done; 0 if that is not known."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_POLL_S):
                tell(max(0, round(self._connection.query_progress())))

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def open_database(work: Path | None, memory_mb: int, threads: int, files: Sequence[Path] = ()) -> Iterator[Database]:
    """A database in a folder of its own, which goes with the block; `memory_mb` bounds what duckdb itself takes.

    It reaches `files` and its folder, and nothing else, whatever a foreign file may make it do.
    """
    with tempfile.TemporaryDirectory(prefix="reconcile-", dir=work) as folder:
        settings: dict[str, str | bool | int | float | list[str]]
        settings = {"memory_limit": f"{memory_mb}MB", "threads": str(threads), "temp_directory": f"{folder}/spill"}
        connection = duckdb.connect(f"{folder}/both.duckdb", config=settings)
        try:
            connection.execute(_MACROS)
            lock(connection, folders=[Path(folder)], files=files)
            yield Database(connection, Path(folder))
        finally:
            connection.close()


def lock(connection: duckdb.DuckDBPyConnection, *, folders: Sequence[Path] = (), files: Sequence[Path] = ()) -> None:
    """Leave a connection these folders and files; no SQL can take more after that."""
    for setting, paths in (("allowed_directories", folders), ("allowed_paths", files)):
        connection.execute(f"SET {setting} = [{', '.join(sql.text(path.resolve()) for path in paths)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
