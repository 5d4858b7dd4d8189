"""New tables take the place of the live ones: readers see the old ones, then the new ones, never some of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from psycopg import Connection
from psycopg.errors import DependentObjectsStillExist, LockNotAvailable, QueryCanceled
from psycopg.sql import SQL, Composed, Identifier

# Readers queue behind a lock that is waited for, so the wait is short; and much shorter than PostgreSQL waits before it
# looks for deadlocks, so that it is this side that gives way, never a reader.
_LOCK_MS_MAX: Final = 200

_GRANTS: Final = """
SELECT format('GRANT %%s ON %%s TO %%s%%s', privilege_type, object,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM (
    SELECT format('TABLE %%I.%%I', %(new)s::text, relname) AS object, relowner AS owner, (aclexplode(relacl)).*
    FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(old)s)
        AND relname IN (SELECT relname FROM pg_class
            WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(new)s))
    UNION ALL
    SELECT format('SCHEMA %%I', %(new)s::text), nspowner, (aclexplode(nspacl)).*
    FROM pg_namespace WHERE nspname = %(old)s
) AS granted WHERE grantee <> owner
"""
_RELATIONS: Final = """
SELECT relname, relkind = 'v' FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND relkind IN ('r', 'v') ORDER BY relkind DESC
"""


def try_switch(connection: Connection[Any], live: str, new: str, old: str, catch_up: Callable[[], None]) -> bool:
    """Stop what follows the log, have `catch_up` move the new tables on, and rename the schemas: in one transaction.

    False, and nothing is done, if somebody reads the live tables and does not end: try again.
    """
    try:
        with connection.transaction():
            relations = _relations(connection, live)
            if ("position", False) in relations:
                # The runner waits for this, readers do not.
                connection.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(Identifier(live, "position")))
            catch_up()
            if relations:
                _copy_grants(connection, live, new)
                _take_from_readers(connection, live, [name for name, _ in relations])
                _rename(connection, live, old)
            connection.execute(SQL("DROP TABLE {}").format(Identifier(new, "rebuild")))
            _rename(connection, new, live)
    except (LockNotAvailable, QueryCanceled):
        return False
    return True


def drop_tables(connection: Connection[Any], schema: str, names: list[str]) -> str:
    """Drop the named tables of a schema with their views, and the schema; or say in a line what still needs them."""
    try:
        with connection.transaction():
            for name, is_view in _relations(connection, schema):
                if name in names:
                    kind = SQL("VIEW" if is_view else "TABLE")
                    connection.execute(SQL("DROP {} {}").format(kind, Identifier(schema, name)))
            connection.execute(SQL("DROP SCHEMA IF EXISTS {}").format(Identifier(schema)))
    except DependentObjectsStillExist as error:
        return " ".join((error.diag.message_detail or str(error)).split())
    return ""


def relation_names(connection: Connection[Any], schema: str) -> list[str]:
    """Return tables and views of a schema."""
    return [name for name, _ in _relations(connection, schema)]


def _relations(connection: Connection[Any], schema: str) -> list[tuple[str, bool]]:
    """Return (name, whether it is a view), views first."""
    return connection.execute(_RELATIONS, (schema,)).fetchall()


def _copy_grants(connection: Connection[Any], live: str, new: str) -> None:
    """Let whoever may read the live tables read the new ones."""
    for (statement,) in connection.execute(_GRANTS, {"old": live, "new": new}).fetchall():
        connection.execute(statement)


def _take_from_readers(connection: Connection[Any], schema: str, names: list[str]) -> None:
    """Wait until no reader has a lock on any of them: so none reads some tables of the old ones and some of the new."""
    tables: list[Composed] = [SQL("{}").format(Identifier(schema, name)) for name in names]
    connection.execute(SQL("SET LOCAL statement_timeout = {}").format(_LOCK_MS_MAX))
    connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(SQL(", ").join(tables)))
    connection.execute("SET LOCAL statement_timeout = 0")


def _rename(connection: Connection[Any], name: str, to: str) -> None:
    connection.execute(SQL("ALTER SCHEMA {} RENAME TO {}").format(Identifier(name), Identifier(to)))
