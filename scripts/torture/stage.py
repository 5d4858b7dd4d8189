"""The stage of a fault: a PostgreSQL of its own and two services over it, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.torture.database import Database
from scripts.torture.disk import Disk
from scripts.torture.network import Network
from scripts.torture.pair import Pair

SCHEMA: Final = "ledger"


@dataclass(frozen=True)
class Stage:
    """Two services, their PostgreSQL, and its disk if it has one of its own."""

    folder: Path
    database: Database
    pair: Pair
    disk: Disk | None
    silent_s_max: float  # then a standby ends the session of a writer


@contextmanager
def stage(*, networks: bool, disk: bool, silent_ms_max: int) -> Iterator[Stage]:
    """Yield a stage until the block ends; `networks` and `disk` need root."""
    with temporary_folder() as folder, ExitStack() as stack:
        own = folder / "postgres"
        own.mkdir()
        services = folder / "services"  # their logs do not lie on the disk that is filled up
        services.mkdir()
        disk_ = stack.enter_context(Disk(own)) if disk else None
        nets = [stack.enter_context(Network()) for _ in range(2)] if networks else []
        database = stack.enter_context(Database(own, [net.outer for net in nets]))
        settings = {"schema": SCHEMA, "projections": False, "drain_ms": 0, "writer_silent_ms_max": silent_ms_max}
        pair = stack.enter_context(Pair(database.dsn, services, networks=nets, **settings))
        yield Stage(folder, database, pair, disk_, silent_ms_max / 1000)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder that PostgreSQL's unprivileged user can reach; it is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-torture-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
