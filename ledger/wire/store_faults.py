"""Errors of the store as refusals: the one place that reads SQLSTATEs, and the errors of a full disk.

A store error is an exception of psycopg, or one that was raised from such a one (`__cause__`), for example
PersistenceError of the eventsourcing library, WriterLost or EmbeddedError.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Final

import psycopg
from psycopg.errors import AdminShutdown

from ledger.domain.refusal import Reason, Refusal

STORE_FULL: Final = Refusal(Reason.STORE_FULL, "", "the disk of PostgreSQL is full: resend later")

_UNREACHABLE: Final = "PostgreSQL cannot be reached: resend later"
# By SQLSTATE, or by its class: the first two characters (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_DETAILS: Final[Mapping[str, str]] = {
    "25006": "PostgreSQL takes no writes, as a replica does: resend later",
    "28": "PostgreSQL refuses the login of the ledger: resend later",
    "42501": "PostgreSQL does not permit what the ledger needs: resend later",
    "53300": "PostgreSQL has no connection left: resend later",
    "53": "PostgreSQL lacks resources: resend later",
    "55P03": "PostgreSQL was busy for too long: resend later",
    "57014": "PostgreSQL was busy for too long: resend later",
    "57P": "PostgreSQL starts or stops: resend later",
}
_KINDS: Final[Mapping[str, str]] = {  # as metrics name them
    "25006": "read_only",
    "28": "login",
    "42501": "permission",
    "53300": "connections",
    "53": "resources",
    "55P03": "busy",
    "57014": "busy",
    "57P": "stopping",
}
_FULL: Final = "full"
_GONE: Final = "unreachable"
DAMAGED: Final = "damaged"  # bytes came back that were not stored
KINDS: Final = tuple(sorted({*_KINDS.values(), _FULL, _GONE, DAMAGED}))
_DISK_FULL: Final = "53100"
_ROLLED_BACK: Final = frozenset({_DISK_FULL, "25006", "42501", "55P03"})  # none of them comes once a commit has begun
_NO_SPACE: Final = "No space left on device"  # PostgreSQL's last words, and those of a server that refuses a session


def refusal_of(error: BaseException) -> Refusal:
    """Return what callers are told where the store failed: STORE_FULL or STORE_UNAVAILABLE."""
    if any(_is_full(each) for each in _causes(error)):
        return STORE_FULL
    return Refusal(Reason.STORE_UNAVAILABLE, "", _by_state(error, _DETAILS) or _UNREACHABLE)


def kind_of(error: BaseException) -> str:
    """Return the kind of a failure of the store: one of KINDS."""
    if any(_is_full(each) for each in _causes(error)):
        return _FULL
    return _by_state(error, _KINDS) or _GONE


def _by_state(error: BaseException, table: Mapping[str, str]) -> str:
    """Return what a table by SQLSTATE, or by the beginning of one, has of an error; empty: nothing."""
    states = [each.sqlstate for each in _causes(error) if isinstance(each, psycopg.Error) and each.sqlstate]
    return next((table[state[:size]] for state in states for size in (5, 3, 2) if state[:size] in table), "")


def is_rolled_back(error: BaseException) -> bool:
    """Return whether PostgreSQL itself refused a statement, which so has left nothing behind."""
    return any(isinstance(each, psycopg.Error) and each.sqlstate in _ROLLED_BACK for each in _causes(error))


def is_session_lost(error: BaseException) -> bool:
    """Return whether a session is gone: somebody had PostgreSQL end it, or the connection broke, which says no more."""
    return any(isinstance(each, psycopg.OperationalError) and _says_gone(each) for each in _causes(error))


def _says_gone(error: psycopg.OperationalError) -> bool:
    return error.sqlstate is None or isinstance(error, AdminShutdown)


def _is_full(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate == _DISK_FULL
    if isinstance(error, OSError) and error.errno:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return _NO_SPACE in str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
