"""A PostgreSQL of the user's own, of any version, made of the folder of its programs: the ledger gets its DSN.

`LEDGER_POSTGRES=/usr/lib/postgresql/16/bin make test` runs the tests that ask for a `dsn`, and gives them one of it.
"""

from __future__ import annotations

import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.data_folders import reachable_folder

OWN_PROGRAMS = Path(os.environ["LEDGER_POSTGRES"]) if os.environ.get("LEDGER_POSTGRES") else None
_START_SECONDS_MAX = 60.0
_INITDB = ("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale")
_SETTINGS = ("-c", "listen_addresses=", "-c", "max_connections=50", "-c", "timezone=UTC")


@functools.cache
def version_of(programs: Path) -> str:
    """What the server says of itself, for example `postgres (PostgreSQL) 16.14`."""
    command = [programs / "postgres", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True, **_unprivileged()).stdout.strip()


@contextmanager
def own_server(programs: Path) -> Iterator[str]:
    """Run a server until the block ends. Gives the DSN of `ledger`, which owns the database of that name.

    The role `postgres` has the same password, as in the embedded one.
    """
    folder, password = reachable_folder(), secrets.token_hex(16)
    data, words = folder / "data", folder / "password"
    words.write_text(password)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, words):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    initdb = [programs / "initdb", *_INITDB, f"--pwfile={words}", "-D", data]
    subprocess.run(initdb, capture_output=True, check=True, cwd=folder, **_unprivileged())
    postgres = [programs / "postgres", "-D", data, "-k", folder, *_SETTINGS]
    server = subprocess.Popen(postgres, stderr=subprocess.DEVNULL, cwd=folder, **_unprivileged())
    try:
        given = make_conninfo(host=str(folder), port="5432", user="ledger", dbname="ledger", password=password)
        with _connected(make_conninfo(given, user="postgres", dbname="postgres"), server) as connection:
            connection.execute(f"CREATE ROLE ledger LOGIN PASSWORD '{password}'")
            connection.execute("CREATE DATABASE ledger OWNER ledger")
        yield given
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: it waits for no session
        server.wait(60)
        shutil.rmtree(folder)


def _connected(dsn: str, server: subprocess.Popen[bytes]) -> psycopg.Connection[Any]:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while True:
        try:
            return psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _unprivileged() -> dict[str, Any]:
    """What has a program run as `nobody` where the tests run as root, which PostgreSQL refuses."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
