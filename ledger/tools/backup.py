"""Backups of a log, while it is written or not: parts in a folder, each with what came since the part before."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.cli import Options, argument
from ledger.cli.errors import UnusableError
from ledger.cli.screens import many, table
from ledger.clock import WallClock
from ledger.domain.instants import SECOND_NS, instant_text
from ledger.store.backup.backup import back_up
from ledger.store.backup.parts import BackupError, DamagedError, Part, faults, read_parts
from ledger.store.postgres.database import connect
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import open_store, store_arguments

_FOLDER: Final = argument("folder", metavar="FOLDER", type=Path, help="where the backup is")
_WHOLE: Final = "the parts that were written before are whole; run the same command again"
_NOTES: Final = """\
The first run writes all of the log, each later one what came since, in a part of its own: so run it
as often as you can bear to lose. Every commit in it is a point that `restore from --until` goes
back to. The service may run meanwhile, or not. Where nothing came, nothing is written.

A part is complete or not there: it gets its name once it is on the disk. What a run that was killed
has left, the next one removes. Begin a new folder now and then, for example each week, and keep
the old ones as long as you keep backups: that is also how long they keep what is erased.

It has events, commits, requests and free texts: all that a ledger cannot make again. It has no
passwords and no roles, and no tables of the read side. Files are 0600 and not encrypted.

exit code 0: the backup has all that was recorded when the run began; 2: it has not, and one line
says why; 130: interrupted"""
_BACKUP: Final = TOOLS.verbs(
    "backup", "write backups of the log, list them, and look whether they are whole", "backup to backups/2026-w49"
)


@_BACKUP.add(
    "to",
    "add to a backup what the log has got since, or begin one",
    "backup to backups/2026-w49",
    "backup to backups/2026-w49 --dsn postgresql://ledger_service@db/ledger",
    arguments=(argument("folder", metavar="FOLDER", type=Path,
                        help="where the backup is, or is to begin; a new folder is made"),),
    parents=(store_arguments,),
    notes=_NOTES,
    interrupted=_WHOLE,
    to_the_end=True,
)  # fmt: skip
def _to(options: Options) -> int:
    progress = ProgressBar()
    try:
        with open_store(options) as dsn, connect(dsn, "backup") as connection:
            done = back_up(connection, options.schema, options.folder, WallClock().now_ns, progress.show)
    except BackupError as error:
        raise UnusableError(str(error)) from error
    except OSError as error:
        why = f"{error.filename or options.folder} cannot be used: {error.strerror or repr(error)}"
        raise UnusableError(f"{why}; {_WHOLE}") from error
    finally:
        progress.clear()
    said = done.part.manifest
    if not done.is_new:
        print(f"nothing new since position {said.until}: the backup in {options.folder} has all of {said.ledger_id}")
        return 0
    erased = f", {many(len(said.erased), 'text')} erased since" if said.erased else ""
    print(
        f"{said.ledger_id}: positions {said.after + 1} to {said.until} are in {done.part.folder}"
        f" ({_megabytes(done.part)} MB{erased}, {progress.seconds:.1f} s)"
    )
    return 0


@_BACKUP.add(
    "list",
    "list the parts of a backup",
    "backup list backups/2026-w49",
    arguments=(_FOLDER,),
    notes="`recorded` is the time of the last commit of a part, `taken` when the part was written: to each\n"
    "time up to that can be restored. Both are cut to the second; a position is exact.\n\n"
    "exit code 0: its parts follow each other; 2: they do not, or there is no backup. Whether their\n"
    "files are whole, `fee-ledger backup verify` says",
)  # fmt: skip
def _list(options: Options) -> int:
    parts = _parts(options)
    rows = [
        (
            part.folder.name,
            f"{part.manifest.after + 1}",
            f"{part.manifest.until}",
            _second(part.manifest.recorded_time_ns),
            _second(part.manifest.taken_time_ns),
            f"{part.manifest.files['texts'].rows:,}",
            f"{len(part.manifest.erased):,}",
            _megabytes(part),
        )
        for part in parts
    ]
    print(f"ledger {parts[0].manifest.ledger_id}")
    print("\n".join(table(("part", ".from", ".until", "recorded", "taken", ".texts", ".erased", ".MB"), rows)))
    return 0


@_BACKUP.add(
    "verify",
    "read a backup, and name each file that is missing or not what was written",
    "backup verify backups/2026-w49",
    arguments=(_FOLDER,),
    notes="It asks no ledger and no PostgreSQL. That what is whole can be restored, only a restore shows:\n"
    "make one now and then, into a folder of its own.\n\n"
    "exit code 0: all of it is whole; 1: it is not, a line each; 2: there is no backup, or it cannot be\n"
    "read; 130: interrupted",
    interrupted="nothing was changed",
    to_the_end=True,
)
def _verify(options: Options) -> int:
    progress, found = ProgressBar(), 0
    try:
        parts = read_parts(options.folder)
        for fault in faults(parts, progress.show):
            progress.clear()
            print(fault, flush=True)
            found += 1
    except DamagedError as error:
        print(error)
        return 1
    except BackupError as error:
        raise UnusableError(str(error)) from error
    finally:
        progress.clear()
    last = parts[-1].manifest
    print(f"{many(len(parts), 'part')} of {last.ledger_id}, positions 1 to {last.until}: {many(found, 'fault')}")
    return 1 if found else 0


def _megabytes(part: Part) -> str:
    """Return how much the files of a part take, for example "1.3"."""
    size = sum(content.size_bytes for content in part.manifest.files.values())
    return f"{size / 1e6:,.1f}"


def _second(at_ns: int) -> str:
    return instant_text(at_ns // SECOND_NS * SECOND_NS)


def _parts(options: Options) -> list[Part]:
    try:
        return read_parts(options.folder)
    except BackupError as error:
        raise UnusableError(str(error)) from error
