"""The connection string of a PostgreSQL of one's own: where it is said, and which parts of it are told.

Every user of a machine sees the command lines of all, so the environment is the place for it, and libpq's own files
the place for its password. What libpq says of a string that it cannot read has parts of it: nobody is told those.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

VARIABLE: Final = "FEE_LEDGER_DSN"  # of the environment: in place of --dsn
HELP: Final = f"(default: ${VARIABLE}; a password is for PGPASSWORD, PGPASSFILE, PGSERVICE or ~/.pgpass)"

_QUOTED: Final = re.compile(r"\".*\"", re.DOTALL)  # the parts that libpq repeats
_PORTS: Final = re.compile(r"[0-9,]*")


def chosen(dsn: str, data: Path | None) -> str:
    """Return the string of --dsn, or else, unless there is a --data, that of the environment; "": there is none."""
    return dsn or ("" if data else os.environ.get(VARIABLE, ""))


def parameters(dsn: str) -> dict[str, str]:
    """Return what it says by libpq's names. Raises psycopg.ProgrammingError, which tells none of it."""
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    except psycopg.ProgrammingError as error:
        why = _QUOTED.sub('"..."', " ".join(str(error).split()))
        raise psycopg.ProgrammingError(f"the connection string cannot be read: {why}") from None
    if "://" in dsn and _is_cut(found):
        raise psycopg.ProgrammingError(
            "the connection string cannot be read: in a URI write %40 for @, %2F for /, %3A for :, %3F for ?, %23 for #"
        )
    return found


def _is_cut(found: Mapping[str, str]) -> bool:
    """Return whether one of / @ ? # ended the password of a URI: the rest of it is taken for host, port or database."""
    return "@" in found.get("host", "") + found.get("dbname", "") or not _PORTS.fullmatch(found.get("port", ""))


def exposed(dsn: str) -> str:
    """Return a line that warns of a password on the command line of this process; "" if there is none."""
    if not any(dsn in argument for argument in sys.argv) or "password" not in parameters(dsn):
        return ""
    return (
        f"warning: every user of this machine can read the password in --dsn: say it in {VARIABLE}, PGPASSWORD, a"
        " PGPASSFILE or a PGSERVICE"
    )
