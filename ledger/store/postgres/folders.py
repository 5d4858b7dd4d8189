"""The folder of an embedded ledger if nobody names one: one for each user, wherever a command runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

_OF_ROOT: Final = Path("/var/lib/ledger")


def default_folder() -> Path:
    """Return the data folder of this user: /var/lib/ledger for root, otherwise one below $XDG_DATA_HOME.

    Root's lies where the unprivileged user that runs PostgreSQL for root can reach it.
    """
    if os.geteuid() == 0:
        return _OF_ROOT
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "share") / "fee-ledger"


def holds_ledger(folder: Path) -> bool:
    """Return True if a database was ever made in a data folder."""
    return (folder / "data").is_dir()


def earlier_folder() -> Path | None:
    """Return the folder that release 0.1.0 took if it was started here, if a ledger lies in it; otherwise None."""
    here = Path.cwd()
    earlier = _OF_ROOT / digest(here.resolve()) if os.geteuid() == 0 else here / ".ledger"
    return earlier if holds_ledger(earlier) else None


def digest(path: Path) -> str:
    """Return a short name for a path, of 16 hex digits."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
