"""Files that tools write: looked at before the work begins, and in their place only once they are whole.

A file is written beside its place, brought to the disk and moved there: whoever reads it sees the old one or the new
one, whatever stops the tool. One that a person asked for has the mode of the one that it replaces, or that of any new
file; what a tool keeps for its next run is its own (`ledger/private`).
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import private
from ledger.cli.errors import UnusableError
from ledger.whole import put_in_place


def output(text: str) -> Path:
    """Return where a file is to be written, as an argument says it; refuse a place where none can be."""
    path = Path(text)
    try:
        if not path.parent.is_dir() or path.is_dir():
            why = "is a folder" if path.is_dir() else f"lies in no folder there is: {path.parent}"
            raise argparse.ArgumentTypeError(f"{text!a} {why}")
        with scratch(path.resolve(), ".try") as probe, _place(path, probe).open("a"):
            pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!a} cannot be written: {error.strerror}") from error
    return path


def differ(*paths: Path | None) -> None:
    """Raise UnusableError if two files of one run are the same."""
    try:
        places = [path.resolve() for path in paths if path]
    except ValueError as error:
        raise UnusableError("a name has a NUL: there is no such file") from error
    if len(set(places)) < len(places):
        raise UnusableError("two files of this run are to be the same one")


@contextmanager
def scratch(path: Path, ending: str) -> Iterator[Path]:
    """Yield a name beside `path`, for a file that is gone after the block."""
    part = path.with_name(f".{path.name}.{os.getpid()}{ending}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def beside(path: Path, *, own: bool = False) -> Iterator[Path]:
    """Yield where to write what is to be at `path`: it is moved there if the block ends well. Raises OSError.

    `own` says that it is for the tool alone.
    """
    target = path.resolve()
    with scratch(target, ".part") as part:
        place = _place(path, part)
        if place is part:
            _make(part, target, own=own)
        yield place
        if place is part:
            put_in_place(part, target)


def write_whole(path: Path, text: str, *, own: bool = False) -> None:
    """Put a text in its place; `own` as `beside` has it. Raises UnusableError."""
    try:
        with beside(path, own=own) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnusableError(f"{path} cannot be written: {error.strerror}") from error


def _make(part: Path, target: Path, *, own: bool) -> None:
    """Make an empty file with the mode that the target is to have, before anything is in it."""
    part.unlink(missing_ok=True)  # of a tool that was killed, and had the same process id
    if own:
        private.write(part, "")
        return
    part.touch(exist_ok=False)
    if target.exists():
        part.chmod(stat.S_IMODE(target.stat().st_mode))


def _place(path: Path, part: Path) -> Path:
    """Return where to write: a device or a pipe, such as /dev/null, is never replaced."""
    return path if path.exists() and not path.is_file() else part
