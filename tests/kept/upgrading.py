"""The upgrade of a ledger as a process of its own, which kills itself after a step: a statement that it has sent.

Its steps are those of a whole upgrade: a superuser gives the ledger its roles, the owner migrates it, and the service
makes new tables of the read side.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.sql import Composable

from ledger.store.log import Log
from ledger.store.migration import migrate
from ledger.store.postgres.database import connect, open_datastore
from ledger.store.postgres.roles import Roles, ensure_roles
from projections.tables.upgrade import Upgrade

SCHEMA: Final = "ledger"
_QUOTES: Final = re.compile(r"\$\w*\$")  # $$ or $name$, around a body


def upgrade(superuser: str, service: str, roles: Roles, kill_after: int, now_ns: int) -> None:
    """Do all of it, or as many steps as that, and then die by SIGKILL."""
    die_after(kill_after)
    with connect(superuser, "start") as connection:
        ensure_roles(connection, SCHEMA, roles)
        migrate(connection, SCHEMA, clock_ns=lambda: now_ns)
    with connect(service, "projections") as connection, open_datastore(service, SCHEMA, connections=2) as datastore:
        tables = Upgrade(Log(datastore), SCHEMA, threading.Event())
        while tables.position(connection) is None:
            pass


def die_after(steps: int) -> None:
    """Count what every session of this process sends, and end the process by SIGKILL after so many."""
    left = iter(range(steps, -1, -1))

    def step() -> None:
        if next(left, 0) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    execute, leave = psycopg.Cursor.execute, psycopg.Transaction.__exit__

    def counted(cursor: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        result = cursor
        for one in [query] if any(arguments) else _statements(query):
            result = execute(cursor, one, *arguments, **more)
            step()
        return result

    def left_block(transaction: Any, *error: Any) -> Any:
        result = leave(transaction, *error)
        step()
        return result

    copy = psycopg.Cursor.copy

    def copied(cursor: Any, *arguments: Any, **more: Any) -> Any:
        block = copy(cursor, *arguments, **more)
        step()
        return block

    psycopg.Cursor.execute = counted  # type: ignore[method-assign]
    psycopg.Cursor.copy = copied  # type: ignore[method-assign]
    psycopg.Transaction.__exit__ = left_block  # type: ignore[method-assign]


def _statements(query: Any) -> Iterator[Any]:
    """Yield the statements of a file one by one; those of a function's body stay together."""
    text = query.as_string() if isinstance(query, Composable) else query
    text = text.decode() if isinstance(text, bytes) else text
    if ";\n" not in text:
        yield query
        return
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and len(_QUOTES.findall(statement)) % 2 == 0:
            yield statement.encode()
            statement = ""
    if any(line.strip() and not line.startswith("--") for line in statement.splitlines()):
        yield statement.encode()
