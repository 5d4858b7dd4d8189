"""The roles of a ledger: its owner, the service, and those who read it with SQL.

| role | may |
|---|---|
| owner | everything: the schema, its tables and the function of their triggers are its own; it migrates them |
| service | add to events, commits, requests and texts, move tracking; owns the tables of the read side |
| reader | SELECT from all but the texts, and from the tables of the read side |
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from psycopg import Connection, Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal

_READ_SCHEMAS: Final = ("{}_read", "{}_read_next", "{}_read_old")  # as projections.tables names them


_HAVE: Final = """
SELECT (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s), service, reader,
    has_database_privilege(service, current_database(), 'CREATE')
FROM {}
"""


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the three roles of a ledger."""

    owner: str = "ledger_owner"
    service: str = "ledger_service"
    reader: str = "ledger_reader"


def roles_sql(schema: str, roles: Roles) -> str:
    """Return the SQL that makes the roles of a ledger, and gives them what is there of it: one transaction.

    Whoever runs it may create roles, and change the database. It can be run again, also with other names.
    """
    names = [roles.owner, roles.service, roles.reader]
    parts = {
        "schema": Identifier(schema),
        "owner": Identifier(roles.owner),
        "service": Identifier(roles.service),
        "reader": Identifier(roles.reader),
        "schema_text": Literal(schema),
        "owner_text": Literal(roles.owner),
        "service_text": Literal(roles.service),
        "reader_text": Literal(roles.reader),
        "role_texts": SQL(", ").join(map(Literal, names)),
        "read_texts": SQL(", ").join(map(Literal, read_schemas(schema))),
        "grants": _grants(schema),
    }
    return SQL(_text("roles.sql")).format(**parts).as_string()


def read_schemas(schema: str) -> list[str]:
    """Return the names of the schemas that hold tables of a ledger's read side, or may: in use, new, and replaced."""
    return [name.format(schema) for name in _READ_SCHEMAS]


def _have_roles(connection: Connection[Any], schema: str, roles: Roles) -> bool:
    """Return True if a schema has these roles, and the database too, which a restored one has not."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        if not _are_named(cursor, schema):
            return False
        cursor.execute(SQL(_HAVE).format(Identifier(schema, "roles")), (schema,))
        return cursor.fetchall() == [(roles.owner, roles.service, roles.reader, True)]


def ensure_roles(connection: Connection[Any], schema: str, roles: Roles) -> None:
    """Give a ledger its roles, unless it has them, also one that release 0.1.0 made."""
    if not _have_roles(connection, schema, roles):
        connection.execute(roles_sql(schema, roles).encode())


def ensure_login(connection: Connection[Any], role: str, password: str) -> None:
    """Make a role, if there is none, and set its password; that itself is never sent, so no log can hold it."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
        connection.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
    connection.execute(SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(Identifier(role), verifier))


def grant_rights(cursor: Cursor[tuple[Any, ...]], schema: str) -> None:
    """Give service and reader what they may do with the tables that there are, if the ledger has such roles."""
    if _are_named(cursor, schema):
        cursor.execute(_grants(schema))


def _are_named(cursor: Cursor[tuple[Any, ...]], schema: str) -> bool:
    cursor.execute("SELECT to_regclass(format('%%I.roles', %s::text)) IS NOT NULL", (schema,))
    return cursor.fetchone() == (True,)


def _grants(schema: str) -> Composed:
    return SQL(_text("grants.sql")).format(schema=Identifier(schema), schema_text=Literal(schema))


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
