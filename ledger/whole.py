"""Puts what was written beside its place there: whoever looks finds the old one or the new one, whole."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def put_in_place(new: Path, place: Path) -> None:
    """Move a file or a folder to its place, where it replaces a file: on the disk before, and by its name after."""
    if new.is_dir():
        os.sync()
    else:
        _bring_to_disk(new)
    os.replace(new, place)
    with suppress(PermissionError):  # a folder may be for writing alone
        _bring_to_disk(place.parent)


def _bring_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
