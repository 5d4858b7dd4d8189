"""A throw-away PostgreSQL for one run of the benchmarks, and what is measured of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from ledger.store.postgres.embedded import EmbeddedPostgres
from projections.tables.tables import read_schema

_MUST_BE_ON: Final = ("fsync", "synchronous_commit", "full_page_writes")
_TOLD: Final = ("server_version", *_MUST_BE_ON, "shared_buffers", "max_wal_size", "wal_compression", "data_checksums")


class Failed(Exception):
    """The run is worth nothing: one line that says why."""


def check(holds: bool, what: str) -> None:
    """A figure is printed only if what it rests on is true. Raises Failed."""
    if not holds:
        raise Failed(what)


LogLines = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Store:
    """The server under test. `dsn` is that of the ledger's role, which is no superuser."""

    dsn: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the ledger's role; each statement commits."""
        return psycopg.connect(self.dsn, autocommit=True)

    def rows(self, text: str, parameters: Sequence[object] = ()) -> LogLines:
        """The answer to a question, asked as the ledger asks."""
        with self.connect() as connection:
            return connection.execute(text.encode(), parameters).fetchall()

    def settings(self) -> dict[str, str]:
        """Settings of the server as the ledger's role sees them. Raises Failed if a commit would not be durable."""
        found: dict[str, str] = dict(
            self.rows("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [list(_TOLD)])
        )
        for name in _MUST_BE_ON:
            check(found[name] == "on", f"PostgreSQL runs with {name} = {found[name]}: its figures would mean nothing")
        return {name: found[name] for name in _TOLD}

    def checkpoint(self) -> None:
        """Write all that is dirty, so that each run begins alike."""
        with self._superuser() as connection:
            connection.execute("CHECKPOINT")

    def _superuser(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(make_conninfo(self.dsn, user="postgres"), autocommit=True)

    def bytes_on_disk(self, schema: str) -> int:
        """Size of all tables of a ledger, those of its read side too, with their indexes and TOAST."""
        self.checkpoint()
        ((size,),) = self.rows(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = ANY(%s)",
            [[schema, read_schema(schema)]],
        )
        return int(size)

    def wal_bytes(self) -> int:
        """How much WAL was ever written."""
        ((written,),) = self.rows("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        return int(written)

    @contextmanager
    def fresh_schema(self, name: str) -> Iterator[str]:
        """A schema that nothing is in, for one round."""
        with self.connect() as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        try:
            yield name
        finally:
            with self.connect() as connection:
                for each in (name, read_schema(name)):
                    connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(each)))

    def has(self, database: str) -> bool:
        """Return whether there is a database of this name beside that of the store."""
        return self.rows("SELECT count(*) FROM pg_database WHERE datname = %s", [database]) == [(1,)]

    def beside(self, database: str) -> Store:
        """Return the store that a database of this name is, on the same server."""
        return Store(make_conninfo(self.dsn, dbname=database))

    def made_once(self, database: str, make: Callable[[Store], None]) -> Store:
        """Return a database that a round begins with, which is made when it is asked for first."""
        if not self.has(database):
            with self.copied(database, keep=True) as made:
                make(made)
        return self.beside(database)

    @contextmanager
    def copied(self, name: str, *, of: str = "template1", keep: bool = False) -> Iterator[Store]:
        """Give a copy of a database that nobody uses, until the block ends, or for good where it ended well."""
        owner = conninfo_to_dict(self.dsn)["user"]
        create = SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        with self._superuser() as connection:
            connection.execute(create.format(*map(Identifier, (name, str(owner), of))))
        try:
            yield self.beside(name)
        except BaseException:
            keep = False
            raise
        finally:
            if not keep:
                self.drop(name)

    def drop(self, database: str) -> None:
        """Drop a database beside that of the store."""
        with self._superuser() as connection:
            connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))


@contextmanager
def throw_away_store() -> Iterator[Store]:
    """An embedded PostgreSQL in a new folder; both are gone afterwards, however the run ends."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-bench-"))
    postgres = EmbeddedPostgres(folder)
    try:
        yield Store(postgres.start("a benchmark"))
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
