"""What earlier runs found: a file of JSON lines, one for each break that was open, by its stable id."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from ledger.cli.errors import UnusableError
from ledger.tools.reconcile.breaks import Terms
from ledger.tools.reconcile.database import Database

NEW, KNOWN, RESOLVED = "NEW", "KNOWN", "RESOLVED"
_COLUMNS: Final = (
    "id VARCHAR, kind VARCHAR, venue VARCHAR, account_id VARCHAR, day VARCHAR, exec_id VARCHAR, first_seen VARCHAR"
)


def compare(database: Database, terms: Terms, path: Path | None, today: str, scope: str) -> None:
    """Give each break its `status` and `first_seen`, and make the table `resolved` of those that were open and are not.

    A break of another period or scope was not looked for, so it is not resolved: it stays open (`elsewhere`).
    `scope` names what was compared. Raises UnusableError for a file that is no state.
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
        f"scope = '{scope}' AND epoch_ns(day::TIMESTAMP_NS) + 86400000000000 > {terms.from_ns}"
        f" AND epoch_ns(day::TIMESTAMP_NS) < {terms.until_ns}"
    )
    gone = "SELECT * FROM earlier ANTI JOIN breaks USING (id) WHERE"
    database.run(f"CREATE TABLE resolved AS {gone} {looked_for}")
    database.run(f"CREATE TABLE elsewhere AS {gone} NOT ({looked_for})")


def _read(database: Database, path: Path) -> None:
    named = str(path).replace("'", "''")
    columns = ", ".join(f"{part.split()[0]}: 'VARCHAR'" for part in f"{_COLUMNS}, scope VARCHAR".split(", "))
    try:
        database.run(
            f"INSERT INTO earlier SELECT * FROM read_json('{named}', format='newline_delimited', columns={{{columns}}})"
        )
        broken = database.one("SELECT count(*) FROM earlier WHERE id IS NULL OR TRY_CAST(day AS DATE) IS NULL")
    except duckdb.Error as error:
        raise UnusableError(f"--state {path}: {' '.join(str(error).split())[:200]}") from error
    if broken:
        raise UnusableError(f"--state {path}: is no file that --state has written")


def write(database: Database, path: Path, scope: str) -> None:
    """Write what is open now in place of what was; the old file stays until the new one is whole.

    Raises UnusableError for a file that cannot be written.
    """
    new = path.with_name(path.name + ".new")
    named = str(new).replace("'", "''")
    try:
        database.run(
            "COPY (SELECT id, kind, venue, account_id, day_text(day) AS day, exec_id, first_seen, "
            f"'{scope}' AS scope FROM breaks UNION ALL SELECT * FROM elsewhere ORDER BY id) TO '{named}' (FORMAT json)"
        )
        new.replace(path)
    except (duckdb.IOException, OSError) as error:
        raise UnusableError(f"{path} cannot be written: {' '.join(str(error).split())[:200]}") from error


def count_status(database: Database) -> dict[str, int]:
    """How many breaks are new, known, and resolved since."""
    found = dict.fromkeys((NEW, KNOWN, RESOLVED), 0)
    found |= dict(database.all("SELECT status, count(*) FROM breaks GROUP BY status"))
    found[RESOLVED] = database.one("SELECT count(*) FROM resolved")
    return found
