"""The PostgreSQL of a pair of services: torture's own, on a TCP port of addresses that nobody else uses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Literal

from ledger.store.postgres.embedded import EmbeddedPostgres
from scripts.torture.processes import Processes

_OWNER: Final = "torture"
_SETTINGS: Final = {"max_connections": "100", "max_wal_size": "96MB", "min_wal_size": "32MB"}  # a disk may be small


class Database:
    """Starts when the block begins, and is stopped when it ends, whatever was done to it meanwhile."""

    def __init__(self, folder: Path, hosts: Sequence[str] = ()) -> None:
        """`hosts` are addresses of this machine that it listens on, beside one of the loopback network."""
        chance = random.SystemRandom()
        own = f"127.{chance.randrange(1, 250)}.{chance.randrange(250)}.{chance.randrange(1, 250)}"
        self._hosts = (own, *hosts)
        self._folder = folder
        self._server = EmbeddedPostgres(folder)
        self.processes = Processes(folder)

    def __enter__(self) -> Self:
        try:
            dsn = self._server.start(_OWNER)
            with psycopg.connect(make_conninfo(dsn, user="postgres", dbname="postgres"), autocommit=True) as admin:
                for name, value in {**_SETTINGS, "listen_addresses": ",".join(self._hosts)}.items():
                    admin.execute(SQL(f"ALTER SYSTEM SET {name} = {{}}").format(Literal(value)))
            with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 127.0.0.0/8 scram-sha-256\nhost all all 10.0.0.0/8 scram-sha-256\n")
            self._server.stop()
            self.dsn = make_conninfo(self._server.start(_OWNER), host=self._hosts[0])
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def ensure_running(self) -> None:
        """Start it again if it has died; return when it accepts connections."""
        self._server.ensure_running()
