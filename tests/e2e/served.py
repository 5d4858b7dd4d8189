"""A service as a process of its own, to be killed: the one that scripts.torture kills."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripts.torture.served import WAIT_S_MAX, Served
from tests.data_folders import empty_database, reachable_folder

__all__ = ["WAIT_S_MAX", "Served", "started"]


@contextmanager
def started(**settings: Any) -> Iterator[Served]:
    """Start a service in a new folder, with an embedded PostgreSQL unless `dsn` is one of the settings of Config.

    When the block ends, it is stopped and its folder removed.
    """
    folder = reachable_folder() if settings.get("dsn") else empty_database()
    service = Served(folder, **settings)
    try:
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)
