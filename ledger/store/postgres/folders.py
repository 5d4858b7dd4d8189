"""Where data and knobs lie if nobody says: one place for each user, wherever a command runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

_OF_ROOT: Final = Path("/var/lib/ledger")
_CONFIG_OF_ROOT: Final = Path("/etc/fee-ledger/config.toml")


def default_folder() -> Path:
    """Return the data folder of this user: /var/lib/ledger for root, otherwise one below $XDG_DATA_HOME.

    Root's lies where the unprivileged user that runs PostgreSQL for root can reach it.
    """
    if os.geteuid() == 0:
        return _OF_ROOT
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "share") / "fee-ledger"


def default_config() -> Path | None:
    """Return where the file of knobs of this user lies if nobody says; None for a user without a home.

    Root has /etc/fee-ledger/config.toml, others fee-ledger/config.toml below $XDG_CONFIG_HOME.
    """
    if os.geteuid() == 0:
        return _CONFIG_OF_ROOT
    home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:
        return (home if home.is_absolute() else Path.home() / ".config") / "fee-ledger" / "config.toml"
    except RuntimeError:  # as in a container, under a number that is no user
        return None


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
