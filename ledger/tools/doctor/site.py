"""The installation that the doctor looks at: its knobs, its PostgreSQL, its log, and who runs it now."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from ledger.clock import WallClock
from ledger.config import KNOBS, Config
from ledger.domain.instants import CLOCK_LEAP_NS
from ledger.knobs.settings import Settings
from ledger.store.log import Head, Log
from ledger.store.postgres.database import cannot_be_used, connect
from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.postgres.folders import default_folder
from ledger.store.reads import OneConnection
from ledger.tools.store import lacks_ledger, postgres

_LOCK_MS_MAX: Final = 2_000  # a table that somebody keeps locked is told, and not waited for
_STATEMENT_MS_MAX: Final = 60_000
_SERVICE: Final = re.compile(r"the service with pid (\d+) on (\S+)")  # as it says in service.lock
_HOLDER: Final = """
SELECT a.pid, a.usename::text FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
    AND l.database = a.datid AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0)
"""


class Session(NamedTuple):
    """A session of PostgreSQL, and the role that it logged in as."""

    pid: int
    role: str


class Service(NamedTuple):
    """The service that runs on an embedded PostgreSQL, as it says itself."""

    pid: int
    address: str


class Named(NamedTuple):
    """The names of the roles of a ledger; `service` and `reader` are empty where it has none of its own."""

    owner: str
    service: str
    reader: str


@dataclass(frozen=True)
class Site:
    """An installation. Where its PostgreSQL or its log cannot be looked at, `lacks_store` or `lacks_log` says why."""

    settings: Settings
    address: str  # of the service, as an option says it; "": as it says itself, or the knob `listen`
    silent_minutes: int
    clock: WallClock = field(default_factory=WallClock)
    folder: Path | None = None  # of the embedded PostgreSQL
    service: Service | None = None
    session: psycopg.Connection[tuple[Any, ...]] | None = None
    lacks_store: str = ""
    lacks_log: str = ""

    @property
    def config(self) -> Config:
        """The value of every knob."""
        return self.settings.config

    @property
    def schema(self) -> str:
        """The schema of the ledger."""
        return self.config.schema

    @property
    def connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The session in which all is read, for checks that need PostgreSQL."""
        assert self.session is not None
        return self.session

    @cached_property
    def log(self) -> Log:
        """The log, for checks that need one."""
        return Log(OneConnection(self.schema, self.connection))

    @property
    def head(self) -> Head:
        """The last commit."""
        return self.log.head()

    @property
    def now_ns(self) -> int:
        """The time of a question about the present: as reads of the service have it, never before the last commit.

        A commit that is over a minute ahead of the clock was recorded under a wrong one, and does not count.
        """
        clock_ns, recorded_ns = self.clock.now_ns(), self.head.recorded_time_ns
        return recorded_ns if 0 < recorded_ns - clock_ns <= CLOCK_LEAP_NS else clock_ns

    def row(self, statement: str, *parameters: object) -> tuple[Any, ...]:
        """Return the one row of a statement."""
        found = self.connection.execute(statement.encode(), parameters).fetchone()
        assert found is not None
        return found

    def holder(self, what: str) -> Session | None:
        """Return the session that has an advisory lock of the ledger, for example `<schema>:writer`; None: nobody."""
        found = self.connection.execute(_HOLDER, (what,)).fetchone()
        return Session(*found) if found else None

    @property
    def writer(self) -> Session | None:
        """The session that has the pen; None: nobody writes now."""
        return self.holder(f"{self.schema}:writer")

    @cached_property
    def roles(self) -> Named:
        """The roles of the ledger, as its table names them."""
        (owner,) = self.row("SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = %s", self.schema)
        if self.row("SELECT to_regclass(format('%%I.roles', %s::text)) IS NULL", self.schema) == (True,):
            return Named(owner, "", "")
        named = SQL("SELECT service::text, reader::text FROM {}").format(Identifier(self.schema, "roles"))
        found = self.connection.execute(named).fetchone()
        return Named(owner, *found) if found else Named(owner, "", "")

    # --- commands, as a remedy has them

    def dsn_as(self, role: str) -> str:
        """Return the connection string of another role of the same database, without a password."""
        info = self.connection.info
        return make_conninfo("", host=info.host, port=info.port, dbname=info.dbname, user=role)

    def psql(self, role: str, *statements: str) -> str:
        """Return a command that has PostgreSQL do something as a role; as `postgres`, where the embedded one runs.

        Without statements it reads them from a pipe.
        """
        commands = "".join(f" -c {shlex.quote(statement)}" for statement in statements)
        if self.folder is None:
            return f"psql {shlex.quote(self.dsn_as(role))}{commands}"
        password = f"PGPASSWORD=$(cat {shlex.quote(str(self.folder / 'password'))})"
        return f"{password} psql {shlex.quote(self.dsn_as('postgres'))}{commands}"

    def fee_ledger(self, command: str) -> str:
        """Return a command that looks at the same ledger itself, for example `fee-ledger rebuild --data FOLDER`."""
        place = f"--data {shlex.quote(str(self.folder))}" if self.folder else f"--dsn {shlex.quote(self._own_dsn)}"
        schema = "" if self.schema == KNOBS["schema"].default else f" --schema {self.schema}"
        return f"fee-ledger {command} {place}{schema}"

    @property
    def _own_dsn(self) -> str:
        return self.dsn_as(self.connection.info.user)

    def asks(self, command: str) -> str:
        """Return a command that asks the service, for example `fee-ledger evaluate --address HOST:PORT`."""
        return f"fee-ledger {command} --address {self.service_address}"

    @property
    def service_address(self) -> str:
        """Where the service is, or would be."""
        return self.address or (self.service.address if self.service else self.config.listen)


@contextmanager
def opened(settings: Settings, address: str, silent_minutes: int) -> Iterator[Site]:
    """Give what can be looked at, until the block ends. What cannot be is said by the site, and raises nothing."""
    config = settings.config
    folder = None if config.dsn else (config.data or default_folder()).resolve()
    with ExitStack() as stack:
        session, service, why, lacks_log = None, None, "", ""
        try:
            dsn = stack.enter_context(postgres(config, "doctor"))
            service = _service(folder)
            session = stack.enter_context(_session(dsn))
            lacks_log = lacks_ledger(session, config.schema)
        except EmbeddedError as error:
            why = str(error)
        except psycopg.Error as error:
            why = cannot_be_used(error)
        yield Site(
            settings,
            address,
            silent_minutes,
            folder=folder,
            service=service,
            session=session,
            lacks_store=why,
            lacks_log=why or lacks_log,
        )


@contextmanager
def _session(dsn: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Give a session that cannot write, and waits for nobody for long."""
    with connect(dsn, "doctor") as connection:
        connection.execute(
            "SELECT set_config('default_transaction_read_only', 'on', false), set_config('lock_timeout', %s, false),"
            " set_config('statement_timeout', %s, false)",
            (str(_LOCK_MS_MAX), str(_STATEMENT_MS_MAX)),
        )
        yield connection


def _service(folder: Path | None) -> Service | None:
    found = _SERVICE.search((folder / "service.lock").read_text(errors="replace")) if folder else None
    return Service(int(found[1]), found[2]) if found else None
