"""Commits that stay: what PostgreSQL is told of it, and how long the disk takes for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from ledger import private
from ledger.tools.doctor.finding import Finding, fault, note, ok, unseen
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import span

_TIMES: Final = 100
_NS_MAX: Final = 2 * 10**9  # a slow disk is not asked a hundred times
_PAGE: Final = bytes(8192)  # as PostgreSQL writes its WAL
_SLOW_NS: Final = 20 * 10**6
_QUICK_NS: Final = 20 * 10**3
_SETTINGS: Final = "SELECT name, reset_val FROM pg_settings WHERE name = ANY(%s)"


def settings(site: Site) -> Iterator[Finding]:
    """Look at fsync, full_page_writes, synchronous_commit and checksums."""
    names = ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]
    found = dict(site.connection.execute(_SETTINGS, (names,)).fetchall())
    for name, loses in (("fsync", "commits"), ("full_page_writes", "pages that are half written")):
        if found[name] != "on":
            yield fault(
                f"PostgreSQL runs with {name} = {found[name]}: a crash loses {loses}, and no service starts",
                site.psql("postgres", f"ALTER SYSTEM SET {name} = on", "SELECT pg_reload_conf()"),
                **{name: found[name]},
            )
    if found["synchronous_commit"] == "off":
        yield note("PostgreSQL runs with synchronous_commit = off: the service sets it on for its own commits",
                   synchronous_commit="off")  # fmt: skip
    if found["data_checksums"] != "on":
        folder = quote(str(site.folder / "data")) if site.folder else "FOLDER"
        yield note("PostgreSQL runs without data_checksums: what a disk changes is not noticed",
                   f"pg_checksums --enable -D {folder}  # while it does not run",
                   data_checksums="off")  # fmt: skip
    if found["fsync"] == found["full_page_writes"] == "on":
        yield ok(
            f"PostgreSQL runs with fsync, full_page_writes on, synchronous_commit {found['synchronous_commit']}",
            **found,
        )


def measured(site: Site) -> Iterator[Finding]:
    """Write a page and bring it to the disk, again and again, in a file that is then gone."""
    if site.folder is None:
        yield unseen("the disk is that of your PostgreSQL: `pg_test_fsync` measures it there")
        return
    wal = (site.folder / "data" / "pg_wal").resolve()
    elsewhere = wal.is_dir() and wal.stat().st_dev != site.folder.stat().st_dev
    folder = wal.parent if elsewhere else site.folder
    try:
        took = sorted(_fsyncs_ns(folder))
    except OSError as error:
        yield unseen(f"nothing can be written in {folder}: {error.strerror}")
        return
    half, most = took[len(took) // 2], took[-1 - len(took) // 100]
    says = (
        f"an fsync of 8 kB in {folder} takes {span(half)} (p99 {span(most)}, of {len(took)}): at most about"
        f" {10**9 // max(half, 1):,} commits a second"
    )
    figures = {"fsync_p50_ns": half, "fsync_p99_ns": most, "commits_per_s": 10**9 // max(half, 1)}
    if half < _QUICK_NS:
        yield note(f"{says}; so quick is memory, or a disk that promises what it does not keep", "", **figures)
    elif half > _SLOW_NS:
        yield note(f"{says}; that is slow: each caller waits for one", "", **figures)
    else:
        yield ok(says, **figures)


def _fsyncs_ns(folder: Path) -> Iterator[int]:
    """Yield how long each took. The name begins as those of the ledger do, if a kill should leave the file."""
    probe = folder / f"data.fsync.{os.getpid()}"
    sync = getattr(os, "fdatasync", os.fsync)
    began_ns = time.monotonic_ns()
    try:
        with private.open_file(probe, "wb") as file:
            for _ in range(_TIMES):
                asked_ns = time.monotonic_ns()
                file.write(_PAGE)
                file.flush()
                sync(file.fileno())
                now_ns = time.monotonic_ns()
                yield now_ns - asked_ns
                if now_ns - began_ns > _NS_MAX:
                    return
    finally:
        probe.unlink(missing_ok=True)
