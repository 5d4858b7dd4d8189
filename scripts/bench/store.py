"""A throw-away PostgreSQL for one run of the benchmarks, and what is measured of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
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
        with psycopg.connect(make_conninfo(self.dsn, user="postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def bytes_on_disk(self, schema: str) -> int:
        """Size of all tables of a schema with their indexes and TOAST."""
        self.checkpoint()
        ((size,),) = self.rows(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
            [schema],
        )
        return int(size)

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
