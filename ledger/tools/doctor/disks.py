"""Room on the disks: of the data, and of what tools put aside; and what a day takes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from psycopg import Error

from ledger.domain.instants import DAY_NS
from ledger.store.postgres.embedded import FREE_BYTES_MIN
from ledger.tools.doctor.finding import Finding, fault, note, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import HOUR_NS, size

_LITTLE: Final = 1024 * 1024 * 1024
_DAYS_FEW: Final = 7
_DAYS_SOME: Final = 30
_SIZE: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN (%s, %s)
"""


def of_data(site: Site) -> Iterator[Finding]:
    """Look at the room for the data, by what the last day took."""
    day_bytes = _day_bytes(site)
    folders = _data_folders(site)
    if isinstance(folders, Finding):
        yield folders
        return
    for folder in folders:
        free = _free(folder)
        days = free // day_bytes if day_bytes else None
        figures = {"free_bytes": free, **({} if days is None else {"left_days": days})}
        says = f"{size(free)} are free in {folder}{'' if days is None else f', enough for {days:,} days'}"
        remedy = f"df -h {quote(str(folder))}  # make room there, or move the folder to a larger disk"
        if free < FREE_BYTES_MIN:
            yield fault(f"{says}: the ledger writes no more", remedy, **figures)
        elif free < _LITTLE or (days is not None and days < _DAYS_FEW):
            yield warning(says, remedy, **figures)
        elif days is not None and days < _DAYS_SOME:
            yield note(says, remedy, **figures)
        else:
            yield ok(says, **figures)


def pace(site: Site) -> Iterator[Finding]:
    """Say what a day takes, at the pace of the last one."""
    total, day_bytes = _total_bytes(site), _day_bytes(site)
    if day_bytes is None:
        yield ok(f"log and tables take {size(total)}; too little is recorded yet to say what a day takes",
                 total_bytes=total)  # fmt: skip
    else:
        yield ok(f"log and tables take {size(total)}, and a day {size(day_bytes)} at the pace of the last one",
                 total_bytes=total, day_bytes=day_bytes)  # fmt: skip


def of_temporary(_: Site) -> Iterator[Finding]:
    """Look at the room for what `reconcile`, `import` and `history` put aside."""
    folder = Path(tempfile.gettempdir())
    free = _free(folder)
    says = f"{size(free)} are free in {folder}, where tools put aside what does not fit into memory"
    if free < _LITTLE:
        yield warning(says, "export TMPDIR=FOLDER  # one on a larger disk", free_bytes=free)
    else:
        yield ok(says, free_bytes=free)


def _data_folders(site: Site) -> list[Path] | Finding:
    """Return a folder of each disk that data is on, or why they cannot be looked at."""
    if site.folder is not None:
        data = site.folder / "data"
        return _on_other_disks(data) if data.is_dir() else unseen(f"there is no {data}")
    if site.lacks_store:
        return unseen(site.lacks_store)
    try:
        (named,) = site.row("SELECT current_setting('data_directory')")
    except Error:
        return unseen("PostgreSQL tells this role no data folder: look at its disk there, df -h")
    folder = Path(named)
    if not site.connection.info.host.startswith("/") or not os.access(folder, os.X_OK):
        return unseen(f"the disk of PostgreSQL is not one that this user sees: look there, df -h {folder}")
    return _on_other_disks(folder)


def _on_other_disks(data: Path) -> list[Path]:
    wal = (data / "pg_wal").resolve()
    return [data] if data.stat().st_dev == wal.stat().st_dev else [data, wal]


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _total_bytes(site: Site) -> int:
    (total,) = site.row(_SIZE, site.schema, f"{site.schema}_read")
    return int(total)


def _day_bytes(site: Site) -> int | None:
    """Return what a day takes, by the positions of the last one and what a position took so far; None: not yet known.

    Files of the WAL are used again, so they do not add up.
    """
    if site.lacks_log:
        return None
    head, now_ns = site.head, site.clock.now_ns()
    if not head.position:
        return None
    began_ns = site.log.at(1).envelope.recorded_time_ns
    since_ns = max(now_ns - DAY_NS, began_ns)
    if now_ns - since_ns < HOUR_NS:
        return None
    positions = head.position - site.log.head_at_time(since_ns).position
    return _total_bytes(site) * positions // head.position * DAY_NS // (now_ns - since_ns)
