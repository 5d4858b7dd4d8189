"""Data folders for tests: copies of one that was started and stopped once, which is quicker than to make each anew."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ledger.store.postgres.embedded import EmbeddedPostgres


def reachable_folder() -> Path:
    """A new folder that PostgreSQL's unprivileged user can reach when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    if os.geteuid() == 0:
        folder.chmod(0o755)
    return folder


def copy_of(stopped: Path, folder: Path) -> Path:
    """Fill a folder with what is in that of a stopped server, and return it."""
    for path in stopped.iterdir():
        how = "-al" if path.name.startswith("postgresql-") else "-a"  # programs are never written: links do
        subprocess.run(["cp", how, path, folder], check=True)
    return folder


def empty_database() -> Path:
    """A new folder that PostgreSQL's user can reach, with a database in it that holds nothing."""
    return copy_of(_stopped(), reachable_folder())


@functools.cache
def _stopped() -> Path:
    folder = reachable_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with EmbeddedPostgres(folder):
        return folder
