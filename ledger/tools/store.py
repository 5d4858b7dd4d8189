"""Where a tool that reads the log itself finds it: in the folder of an embedded PostgreSQL, or by a DSN."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.errors import InsufficientPrivilege
from psycopg.rows import tuple_row

from ledger.cli import Options
from ledger.cli.arguments import Parser
from ledger.cli.errors import UnusableError, tell
from ledger.config import KNOBS, Config
from ledger.knobs.flags import add_flags
from ledger.knobs.settings import settings_of
from ledger.store.dictionaries import dictionary_name, faulty_dictionaries
from ledger.store.postgres.database import cannot_be_used, connect
from ledger.store.postgres.embedded import EmbeddedError, reading
from ledger.store.postgres.folders import default_folder
from ledger.store.postgres.migrate import EVENTS, MigrationError

_KNOBS: Final = ("data", "dsn", "dsn_file", "schema")


def store_arguments(names: Collection[str] = _KNOBS) -> Parser:
    """Return what every tool takes that reads the log itself, as `fee-ledger serve` has it."""
    parser = Parser(add_help=False)
    add_flags(parser, [KNOBS[name] for name in names])
    return parser


def own_store_arguments() -> Parser:
    """Return what a tool takes that is for a PostgreSQL of one's own."""
    return store_arguments(("dsn", "dsn_file", "schema"))


def schema_argument() -> Parser:
    """Return what a tool takes that only has to know the schema."""
    return store_arguments(("schema",))


def knobs_of(options: Options) -> Config:
    """Return what is set for a tool, and warn of a password that others can read. Raises KnobError."""
    settings = settings_of(options, _KNOBS)
    tell(0, *(f"fee-ledger: {line}" for line in settings.remarks))
    return settings.config


@contextmanager
def open_store(options: Options, remedy: str = "") -> Iterator[str]:
    """Yield the connection string of the ledger's PostgreSQL, which stays up until the block ends.

    Raises UnusableError if there is no ledger, or if PostgreSQL fails within the block; then it ends with `remedy`.
    """
    config = knobs_of(options)
    options.schema = config.schema  # which environment or file may say, too
    try:
        with postgres(config, options.command) as dsn:
            with connect(dsn, "start") as connection:
                lacks = lacks_ledger(connection, config.schema) or _lacks_dictionary(connection, config)
            if lacks:
                raise UnusableError(lacks)
            yield dsn
    except (EmbeddedError, MigrationError) as error:
        raise UnusableError(str(error)) from error
    except (psycopg.Error, PersistenceError) as error:
        fault = cannot_be_used(error)
        if isinstance(error, InsufficientPrivilege) or isinstance(error.__cause__, InsufficientPrivilege):
            remedy = "give the --dsn of the role of the service"
        raise UnusableError("; ".join(filter(None, (fault, remedy)))) from error


def postgres(config: Config, command: str) -> AbstractContextManager[str]:
    """Return a block in which a PostgreSQL runs; it gives the connection string."""
    if config.dsn:
        return nullcontext(config.dsn)
    return reading(config.data or default_folder(), f"`fee-ledger {command}` with pid {os.getpid()}")


def lacks_ledger(connection: psycopg.Connection[Any], schema: str) -> str:
    """Return the remedy where a schema holds no ledger; empty: it holds one."""
    found = connection.execute("SELECT to_regclass(%s)::text", (f"{schema}.{EVENTS}",)).fetchone()
    return (
        f"there is no ledger in the schema {schema}: start one there, or name another --schema"
        if found == (None,)
        else ""
    )


def _lacks_dictionary(connection: psycopg.Connection[Any], config: Config) -> str:
    """Return the remedy where the log misses a dictionary, or has it damaged. Raises MigrationError."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        lacks = ", ".join(map(dictionary_name, faulty_dictionaries(cursor, config.schema)))
    command = f"database migrate --dsn OWNER_DSN --schema {config.schema}" if config.dsn else "serve"
    said = f"the schema {config.schema} lacks {lacks}, or has it damaged: `fee-ledger {command}` puts it back"
    return said if lacks else ""
