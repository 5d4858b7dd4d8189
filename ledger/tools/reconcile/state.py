"""The breaks of earlier runs: a file of JSON lines, one for each break that was open, by its stable id."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import duckdb

from ledger.cli.errors import UnusableError
from ledger.domain.instants import DAY_NS
from ledger.tools.duck import sql
from ledger.tools.duck.database import Database
from ledger.tools.files import beside
from ledger.tools.reconcile.kinds import FIELDS
from ledger.tools.reconcile.terms import Terms

NEW, KNOWN, RESOLVED = "NEW", "KNOWN", "RESOLVED"
_COLUMNS: Final = (
    "id VARCHAR, kind VARCHAR, venue VARCHAR, account_id VARCHAR, day VARCHAR, exec_id VARCHAR, first_seen VARCHAR"
)


def compare(database: Database, terms: Terms, path: Path | None, today: str, scope: str) -> None:
    """Give each break its `status` and `first_seen`, and make the table `resolved` of those that were open and are not.

    A break of another period or scope was not looked for, nor was one of a field that is left out, or that the engine
    does not say of the fill any more: it is not resolved, it stays open (`elsewhere`). `scope` names what was compared.
    Raises UnusableError for a file that is no state.
    """
    database.run(f"CREATE TABLE earlier ({_COLUMNS}, scope VARCHAR)")
    if path and path.exists() and path.stat().st_size:
        _read(database, path)
    database.run("ALTER TABLE breaks ADD COLUMN first_seen VARCHAR")
    database.run("ALTER TABLE breaks ADD COLUMN status VARCHAR")
    database.run(f"UPDATE breaks SET first_seen = '{today}', status = '{NEW}'")
    database.run(
        f"UPDATE breaks SET first_seen = earlier.first_seen, status = '{KNOWN}'"
        " FROM earlier WHERE earlier.id = breaks.id"
    )
    looked_for = (
        f"coalesce(scope = {sql.text(scope)} AND epoch_ns(day::TIMESTAMP_NS) + {DAY_NS} > {terms.from_ns}"
        f" AND epoch_ns(day::TIMESTAMP_NS) < {terms.until_ns} AND kind IN ({_listed(terms.looked_for())})"
        " AND id NOT IN (SELECT id FROM unsaid), false)"
    )
    database.run(f"CREATE TABLE unsaid AS {_unsaid()}")
    gone = "SELECT * FROM earlier ANTI JOIN breaks USING (id) WHERE"
    database.run(f"CREATE TABLE resolved AS {gone} {looked_for}")
    database.run(f"CREATE TABLE elsewhere AS {gone} NOT ({looked_for})")


def _unsaid() -> str:
    """Return the SELECT of earlier breaks of a field that the engine now leaves empty: nobody compared it."""
    is_null = {kind: f"engine.{field.column} IS NULL" for field in FIELDS.values() for kind in field.kinds}
    cases = " ".join(f"WHEN '{kind}' THEN {condition}" for kind, condition in is_null.items())
    return (
        "SELECT earlier.id FROM earlier JOIN engine ON engine.venue = earlier.venue"
        " AND engine.account_id = earlier.account_id AND engine.exec_id = earlier.exec_id"
        f" AND day_text(engine.day) = earlier.day WHERE CASE earlier.kind {cases} ELSE false END"
    )


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


def _read(database: Database, path: Path) -> None:
    columns = ", ".join(f"{part.split()[0]}: 'VARCHAR'" for part in f"{_COLUMNS}, scope VARCHAR".split(", "))
    copy = database.room()
    try:
        shutil.copyfile(path, copy)
        database.run(
            f"INSERT INTO earlier SELECT * FROM read_json({sql.text(copy)}, format='newline_delimited',"
            f" columns={{{columns}}})"
        )
        broken = database.one("SELECT count(*) FROM earlier WHERE id IS NULL OR TRY_CAST(day AS DATE) IS NULL")
    except (duckdb.Error, OSError) as error:
        raise UnusableError(f"--state {path}: {' '.join(str(error).split())[:200]}") from error
    if broken:
        raise UnusableError(f"--state {path}: is no file that --state has written")


def write(database: Database, path: Path, scope: str) -> None:
    """Write what is open now in place of what was; the old file stays until the new one is whole.

    Raises UnusableError for a file that cannot be written.
    """
    copy = database.room()
    try:
        database.run(
            "COPY (SELECT id, kind, venue, account_id, day_text(day) AS day, exec_id, first_seen, "
            f"{sql.text(scope)} AS scope FROM breaks UNION ALL SELECT * FROM elsewhere ORDER BY id)"
            f" TO {sql.text(copy)} (FORMAT json)"
        )
        with beside(path, own=True) as part:
            shutil.copyfile(copy, part)
    except (duckdb.IOException, OSError) as error:
        raise UnusableError(f"{path} cannot be written: {' '.join(str(error).split())[:200]}") from error


def count_status(database: Database) -> dict[str, int]:
    """How many breaks are new, known, and resolved since."""
    found = dict.fromkeys((NEW, KNOWN, RESOLVED), 0)
    found |= dict(database.all("SELECT status, count(*) FROM breaks GROUP BY status"))
    found[RESOLVED] = database.one("SELECT count(*) FROM resolved")
    return found
