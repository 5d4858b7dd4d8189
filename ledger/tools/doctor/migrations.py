"""The shape of the schema, and what an upgrade to this release would do to it: looked at, never done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Final

from psycopg.rows import tuple_row

from ledger.cli.screens import many
from ledger.domain.instants import SECOND_NS
from ledger.store.postgres.migrate import EVENTS, MigrationError, migrations, missing_files
from ledger.tools.doctor.finding import Finding, fault, note, ok
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.tables import rows_to_make, tables_are
from ledger.tools.doctor.words import listed, size, span
from projections.tables.tables import TABLES_VERSION

# A migration reads all events twice, to say what it found and what it left; 150 MB a second were measured.
_DIGESTED_BYTES_PER_S: Final = 100_000_000
_ROWS_PER_S: Final = 10_000  # of the read side, made anew and compared
_REWRITES: Final = re.compile(
    r"ALTER\s+COLUMN\s+\S+\s+(?:SET\s+DATA\s+)?TYPE\b|\bADD\s+COLUMN\b[^;]*\b(?:GENERATED|random|clock_timestamp)\b"
    r"|\bSET\s+(?:UN)?LOGGED\b|\bSET\s+ACCESS\s+METHOD\b|\bVACUUM\s+FULL\b|^\s*(?:CLUSTER|UPDATE)\s",
    re.IGNORECASE | re.MULTILINE,
)
_BYTES: Final = "SELECT pg_table_size(to_regclass(%s))::int8"


def applied(site: Site) -> Iterator[Finding]:
    """Compare the files that the schema was made by with those of this release."""
    try:
        lacks = _missing(site)
    except MigrationError as error:
        yield fault(str(error), "pip install --upgrade 'fee-ledger[service]'")
        return
    if lacks:
        yield fault(f"the schema {site.schema} lacks {listed(list(lacks))}: this release cannot serve it",
                    _migrate_command(site), missing=", ".join(lacks))  # fmt: skip
    else:
        yield ok(f"the schema {site.schema} has all {many(len(migrations()), 'migration')} of this release")


def upgrade(site: Site) -> Iterator[Finding]:
    """Say what the first start of this release, or a migration by its owner, would do."""
    try:
        lacks = _missing(site)
    except MigrationError:
        yield note("an upgrade to this release would be none: see migrations-applied")
        return
    if lacks:
        yield note(_migration_says(site, lacks), _migrate_command(site), missing=", ".join(lacks))
    tables = tables_are(site)
    if tables.version and tables.version < TABLES_VERSION:
        rows = rows_to_make(site)
        yield note(
            f"the tables are of version {tables.version}: `serve` makes {TABLES_VERSION} anew beside them while it"
            f" serves, of some {rows:,} rows, in roughly {span(_at_least(rows * SECOND_NS // _ROWS_PER_S))}",
            site.fee_ledger("rebuild"),
            rows=rows,
        )
    if not lacks and (not tables.version or tables.version >= TABLES_VERSION):
        yield ok("an upgrade to this release would change nothing: schema and tables are its own")


def rewrites(text: str) -> bool:
    """Return whether a file of SQL makes PostgreSQL write a table anew: then it takes as long as the table is large."""
    return bool(_REWRITES.search(re.sub("--.*", "", text)))


def _migrate_command(site: Site) -> str:
    """Return what applies migrations: for the embedded PostgreSQL the service does."""
    if site.folder is not None:
        return site.fee_ledger("serve")
    return f"fee-ledger database migrate --dsn {quote(site.dsn_as(site.roles.owner))} --schema {site.schema}"


def _migration_says(site: Site, lacks: Mapping[str, str]) -> str:
    (events,) = site.row(_BYTES, f"{site.schema}.{EVENTS}")
    anew = [name for name, text in lacks.items() if rewrites(text)]
    writes = f"{listed(anew)} writes tables anew" if anew else "none of them writes a table anew"
    took_ns = _at_least(2 * events * SECOND_NS // _DIGESTED_BYTES_PER_S)
    return (
        f"an upgrade would apply {listed(list(lacks))}: {writes}; it reads {size(events)} of events twice, roughly"
        f" {span(took_ns)} in which nobody records, and appends MigrationApplied"
    )


def _missing(site: Site) -> dict[str, str]:
    with site.connection.cursor(row_factory=tuple_row) as cursor:
        return missing_files(cursor, site.schema)


def _at_least(ns: int) -> int:
    return max(ns, 2 * SECOND_NS)
