"""The connection string of a PostgreSQL of one's own: where it is said, and which parts of it are told.

Every user of a machine sees the command lines of all, so the environment is the place for it, and libpq's own files
the place for its password. What libpq says of a string that it cannot read has parts of it: nobody is told those.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

VARIABLE: Final = "FEE_LEDGER_DSN"  # of the environment: in place of --dsn

_QUOTED: Final = re.compile(r"\".*\"", re.DOTALL)  # the parts that libpq repeats
_PORTS: Final = re.compile(r"[0-9,]*")


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


def exposed(dsn: str, place: str = "") -> str:
    """Return a line that warns of a password on the command line of this process, or at a place in a file; or ""."""
    if not (place or any(dsn in argument for argument in sys.argv)) or "password" not in parameters(dsn):
        return ""
    readers = f"whoever reads {place} reads" if place else "every user of this machine can read"
    seen = "the password in it" if place else "the password in --dsn"
    return f"warning: {readers} {seen}: say it in {VARIABLE}, PGPASSWORD, a PGPASSFILE, a PGSERVICE or a dsn_file"


def shown(dsn: str) -> str:
    """Return it as it may be told, without what is secret."""
    found = parameters(dsn)
    secrets = {name: "***" for name in found if "password" in name or "secret" in name}
    return make_conninfo(**found | secrets) if secrets else dsn
