"""A ledger from a backup: made again as it was at its end, a position or a time, and served once that is finished."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from ledger.cli import Options, argument
from ledger.cli.arguments import known_at
from ledger.cli.errors import UnusableError
from ledger.cli.screens import many
from ledger.clock import ClockLeapError, WallClock, check_other_clock
from ledger.config import Config
from ledger.domain.instants import instant_text
from ledger.store.backup.parts import BackupError, DamagedError, Part, faults, read_parts
from ledger.store.backup.restore import finish, restore
from ledger.store.backup.until import Until, at_end, at_position, at_time
from ledger.store.postgres.database import DatabaseError, cannot_be_used, check_durable, connect, store_clock_ns
from ledger.store.postgres.embedded import ROLES, EmbeddedError, EmbeddedPostgres
from ledger.store.postgres.folders import default_folder, holds_ledger
from ledger.store.postgres.migrate import MigrationError
from ledger.store.postgres.roles import ensure_roles
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import knobs_of, store_arguments

_ERASED: Final = re.compile(r"(?:([0-9a-fA-F]{64})|([0-9]{1,18}))(\s.*)?")  # a SHA-256, or a position
_AGAIN: Final = "nothing was restored; run the same command again"
_FROM_NOTES: Final = """\
The ledger is made in a new --data folder, or by --dsn in a schema that holds none; that role owns
the ledger, or may create the schema. A ledger that is there is never touched. All parts are read
and compared with what was written before PostgreSQL is asked, and the log is looked at before
anybody sees it: all of it is there, or nothing.

Then there are two things to do before it is served, and `serve` refuses it until both are done:
  1. look at it: `fee-ledger audit` and `fee-ledger check`
  2. `fee-ledger restore finish`, which erases again what was erased after the backup

What was recorded after the position is lost, also if somebody was told that it is recorded. An
engine asks GetSourcePosition, as ever, and sends again what comes after that; one that goes on with
a later number is told which number is expected.

exit code 0: restored; 2: it was not, and one line says why; 130: interrupted"""
_FINISH_NOTES: Final = """\
What was erased between the last part of the backup and now is known to nobody here: name it in
FILE, a line each. A free text has the SHA-256 that the events of the ledger have (reason_sha256),
64 hex digits; a ticket, or the ids of clients' orders, have the position of their event. What comes
after a blank, and lines that begin with #, are yours. Say --nothing-erased if there is none. What a
part of the backup knows to be erased stays so anyway.

The log gets the event MigrationApplied, which names the last part with its SHA-256 and the digest
of all events: so an audit shows that and where the ledger was restored.

exit code 0: `serve` takes it; 2: it does not yet, and one line says why"""
_RESTORE: Final = TOOLS.verbs(
    "restore", "make a ledger from a backup, as of its end, a position or a time", "restore from backups/2026-w49"
)


@_RESTORE.add(
    "from",
    "make the ledger of a backup again, in a place that holds none",
    "restore from backups/2026-w49 --data /srv/restored",
    "restore from backups/2026-w49 --until 2026-12-01T09:30:00Z --data /srv/restored",
    "restore from backups/2026-w49 --until 4711 --dsn postgresql://ledger_owner@db/ledger",
    arguments=(
        argument("folder", metavar="FOLDER", type=Path, help="where the backup is"),
        argument("--until", type=known_at, metavar="POSITION|TIME",
                 help="the log up to the last commit then (default: all)"),
    ),
    parents=(store_arguments,),
    notes=_FROM_NOTES,
    interrupted=_AGAIN,
    to_the_end=True,
)  # fmt: skip
def _from(options: Options) -> int:
    config, progress = knobs_of(options), ProgressBar()
    try:
        with _one_line():
            parts = _whole(options.folder, progress)
            until = _until(parts, options.until)
            with _as_owner(config, options.command) as connection:
                restored = restore(connection, config.schema, parts, until, progress.show)
    finally:
        progress.clear()
    erased = f", and {many(restored.erased, 'text')} erased" if restored.erased else ""
    print(
        f"{restored.ledger_id} is restored up to position {until.position} of {parts[-1].manifest.until}, recorded at"
        f" {instant_text(until.recorded_time_ns)}{erased}, in {progress.seconds:.1f} s"
    )
    print("next: look at it with `fee-ledger audit`, then `fee-ledger restore finish`; until then `serve` refuses it")
    return 0


@_RESTORE.add(
    "finish",
    "erase again what was erased after the backup, and let the ledger be served",
    "restore finish --nothing-erased --data /srv/restored",
    "restore finish --erased erased.txt --dsn postgresql://ledger_owner@db/ledger",
    arguments=(
        argument("--erased", metavar="FILE", type=Path, help="what was erased, a line each: SHA-256 or position"),
        argument("--nothing-erased", action="store_true", help="nothing was erased since the backup"),
    ),
    parents=(store_arguments,),
    notes=_FINISH_NOTES,
    interrupted="nothing was changed; run the same command again",
)
def _finish(options: Options) -> int:
    if (options.erased is None) != options.nothing_erased:
        raise UnusableError("give --erased FILE with what was erased since the backup, or --nothing-erased")
    texts, positions = _erased(options.erased) if options.erased else ([], [])
    config, clock = knobs_of(options), WallClock()
    folder = config.data or default_folder()
    if not config.dsn and not holds_ledger(folder):
        raise UnusableError(f"there is no ledger in {folder}: give the --data or --dsn of the restore")
    progress = ProgressBar()
    try:
        with _one_line(), _as_owner(config, options.command) as connection:
            if config.dsn:
                check_other_clock(clock, store_clock_ns(connection))  # what it appends has a time
            finished = finish(connection, config.schema, texts, positions, clock.now_ns(), progress.show)
    finally:
        progress.clear()
    print(f"{many(finished.erased, 'text')} erased again; the restore is recorded at position {finished.position}")
    print("`fee-ledger serve` takes the ledger now, and makes the tables of the read side")
    return 0


def _whole(folder: Path, progress: ProgressBar) -> list[Part]:
    """Return the parts of a backup, all of whose files are what was written. Raises BackupError."""
    parts = read_parts(folder)
    for fault in faults(parts, progress.show):
        raise DamagedError(fault)
    return parts


def _until(parts: list[Part], asked: dict[str, int] | None) -> Until:
    if asked is None:
        return at_end(parts)
    if (position := asked.get("known_at_position")) is not None:
        return at_position(parts, position)
    return at_time(parts, asked["known_at_time"])


def _erased(file: Path) -> tuple[list[bytes], list[int]]:
    """Return (the SHA-256 of texts, the positions) that begin the lines of a file. Raises UnusableError."""
    texts, positions = list[bytes](), list[int]()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        said = _ERASED.fullmatch(line)
        if said is None:
            raise UnusableError(
                f"{file}, line {number}: a line begins with the SHA-256 of a text, 64 hex digits, a position, or #"
            )
        if said[1]:
            texts.append(bytes.fromhex(said[1]))
        else:
            positions.append(int(said[2]))
    return texts, positions


@contextmanager
def _one_line() -> Iterator[None]:
    """Tell what makes the work within impossible in one line."""
    try:
        yield
    except (BackupError, MigrationError, DatabaseError, ClockLeapError, EmbeddedError) as error:
        raise UnusableError(str(error)) from error
    except (psycopg.Error, PersistenceError) as error:
        remedy = "give the --dsn of the role of the owner" if isinstance(error, InsufficientPrivilege) else _AGAIN
        raise UnusableError(f"{cannot_be_used(error)}; {remedy}") from error


@contextmanager
def _as_owner(config: Config, command: str) -> Iterator[Connection[Any]]:
    """Give a connection that may act for the ledger's owner; nobody else has the embedded PostgreSQL meanwhile."""
    with ExitStack() as stack:
        dsn = config.dsn
        if not dsn:
            postgres = EmbeddedPostgres(config.data or default_folder())
            postgres.start(f"`fee-ledger {command}` with pid {os.getpid()}")
            stack.callback(postgres.stop)
            dsn = postgres.superuser_dsn
        connection = stack.enter_context(connect(dsn, "restore"))
        check_durable(connection)
        if not config.dsn:
            ensure_roles(connection, config.schema, ROLES)
        yield connection
