"""The tables of the read side: how far they are, their version, and whether somebody makes them anew."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from ledger.domain.instants import SECOND_NS
from ledger.store.log import Head
from ledger.tools.doctor.finding import Finding, note, ok, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import MINUTE_NS, listed, span
from projections.tables.rebuild import rebuild_lock_name
from projections.tables.switch import relation_names
from projections.tables.tables import TABLES_VERSION, TablesPosition, next_schema, read_schema, standing_statement
from projections.tables.upgrade import NEEDED

_LATE_NS: Final = MINUTE_NS
_ROWS: Final = """
SELECT coalesce(sum(greatest(reltuples, 0)), 0)::int8 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname = %s
"""


def lag(site: Site) -> Iterator[Finding]:
    """Compare the position of the tables with that of the log."""
    head, tables = site.head, tables_are(site)
    if not tables.version:
        says = "there are no tables of the read side"
        if site.writer is None:
            yield note(f"{says} yet: the service makes them", _follow(site))
        else:
            yield warning(f"{says}, though somebody serves{_held(site)}", _follow(site))
        return
    if (ahead := tables.position - site.head.position) > 0:  # as it is now: they may have moved on with the log
        yield warning(f"the tables are {ahead:,} positions ahead of the log: it was restored without them, and they are"
                      " made anew when somebody serves", site.fee_ledger("rebuild"), lag_positions=-ahead)  # fmt: skip
    elif tables.position >= head.position:
        yield ok(f"the tables are at position {tables.position}, as the log is", lag_positions=0)
    else:
        yield _behind(site, head, tables)


def _behind(site: Site, head: Head, tables: TablesPosition) -> Finding:
    """Say for how long the tables have lacked what the log has."""
    behind = head.position - tables.position
    lacks_ns = site.log.head_at_position(tables.position + 1).recorded_time_ns
    late_ns = max(site.clock.now_ns() - lacks_ns, 0)
    says = f"the tables are {behind:,} positions behind the log, and lack commits since {span(late_ns)}"
    figures = {"lag_positions": behind, "lag_s": late_ns // SECOND_NS}
    if site.writer is None:
        return note(f"{says}: nobody serves now, who would take them in", _follow(site), **figures)
    if late_ns > _LATE_NS:
        return warning(f"{says}{_held(site)}", _follow(site), **figures)
    return ok(says, **figures)


def version(site: Site) -> Iterator[Finding]:
    """Compare the version of the tables with that of this release."""
    tables, read = tables_are(site), read_schema(site.schema)
    says = f"the tables in {read} are of version {tables.version}"
    if not tables.version:
        yield ok("there are no tables of the read side yet")
    elif tables.version > TABLES_VERSION:
        yield warning(f"{says}, and this release makes {TABLES_VERSION}: it leaves them alone, and they stand still",
                      site.fee_ledger("rebuild"), tables_version=tables.version)  # fmt: skip
    elif lacks := sorted(NEEDED - set(relation_names(site.connection, read))):
        yield warning(f"{says}, and lack {listed(lacks)}", site.fee_ledger("rebuild"), missing=", ".join(lacks))
    elif tables.version < TABLES_VERSION:
        yield warning(f"{says}, and this release makes {TABLES_VERSION}: it makes them anew when it serves",
                      site.fee_ledger("rebuild"), tables_version=tables.version)  # fmt: skip
    else:
        yield ok(f"{says}, that of this release", tables_version=tables.version)


def rebuild(site: Site) -> Iterator[Finding]:
    """Look whether new tables are made, or were left half made."""
    after = next_schema(site.schema)
    (half_made,) = site.row("SELECT to_regclass(%s) IS NOT NULL", f"{after}.rebuild")
    by = site.holder(rebuild_lock_name(site.schema))
    if by is not None:
        yield note(f"the tables are made anew now, by the session {by.pid} of {by.role}")
    elif half_made:
        yield warning(f"a rebuild was ended before it was done, and left {after}: the next one goes on with it",
                      site.fee_ledger("rebuild"))  # fmt: skip
    else:
        yield ok("nobody makes the tables anew")


def tables_are(site: Site) -> TablesPosition:
    """Return how far the tables are, whichever release made them; (0, 0): there are none."""
    (exists,) = site.row("SELECT to_regclass(%s) IS NOT NULL", f"{read_schema(site.schema)}.position")
    if not exists:
        return TablesPosition(0, 0)
    found = site.log.query(standing_statement(site.schema), {})
    return TablesPosition(*found[0]) if found else TablesPosition(0, 0)


def rows_to_make(site: Site) -> int:
    """Return roughly how many rows the tables have, as PostgreSQL counted them last."""
    (rows,) = site.row(_ROWS, read_schema(site.schema))
    return int(rows)


def _held(site: Site) -> str:
    """Say who has the turn to move them, and does not."""
    by = site.holder(f"{read_schema(site.schema)}:runner")
    return f", though the session {by.pid} of {by.role} is to move them" if by else ": nobody moves them"


def _follow(site: Site) -> str:
    if site.folder is not None:
        return site.fee_ledger("serve")
    return f"python -m projections --dsn {quote(site.dsn_as(site.connection.info.user))} --schema {site.schema}"
