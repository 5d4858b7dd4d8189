"""Each error of PostgreSQL is told to callers as what it is, by its SQLSTATE, and never as INTERNAL."""

from __future__ import annotations

import errno

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError
from psycopg import errors

from ledger.store.postgres.embedded import EmbeddedError
from ledger.store.writer import WriterLost
from ledger.wire.store_faults import KINDS, is_rolled_back, kind_of, refusal_of

UNREACHABLE = "PostgreSQL cannot be reached: resend later"


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (errors.DiskFull("could not extend file"), "STORE_FULL", "the disk of PostgreSQL is full: resend later"),
        (errors.TooManyConnections(), "STORE_UNAVAILABLE", "PostgreSQL has no connection left: resend later"),
        (errors.OutOfMemory(), "STORE_UNAVAILABLE", "PostgreSQL lacks resources: resend later"),
        (errors.AdminShutdown(), "STORE_UNAVAILABLE", "PostgreSQL starts or stops: resend later"),
        (errors.CrashShutdown(), "STORE_UNAVAILABLE", "PostgreSQL starts or stops: resend later"),
        (errors.CannotConnectNow(), "STORE_UNAVAILABLE", "PostgreSQL starts or stops: resend later"),
        (
            errors.ReadOnlySqlTransaction(),
            "STORE_UNAVAILABLE",
            "PostgreSQL takes no writes, as a replica does: resend later",
        ),
        (errors.LockNotAvailable(), "STORE_UNAVAILABLE", "PostgreSQL was busy for too long: resend later"),
        (errors.QueryCanceled(), "STORE_UNAVAILABLE", "PostgreSQL was busy for too long: resend later"),
        (
            errors.InsufficientPrivilege(),
            "STORE_UNAVAILABLE",
            "PostgreSQL does not permit what the ledger needs: resend later",
        ),
        (
            errors.InvalidPassword(),
            "STORE_UNAVAILABLE",
            "PostgreSQL refuses the login of the ledger: resend later",
        ),
        (psycopg.OperationalError("server closed the connection"), "STORE_UNAVAILABLE", UNREACHABLE),
        (psycopg.OperationalError("FATAL: could not write: No space left on device"), "STORE_FULL", None),
        (OSError(errno.ENOSPC, "No space left on device"), "STORE_FULL", None),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "STORE_FULL", None),
        (OSError(errno.EACCES, "Permission denied"), "STORE_UNAVAILABLE", UNREACHABLE),
        (EmbeddedError("PostgreSQL does not start: PANIC: No space left on device"), "STORE_FULL", None),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
@pytest.mark.parametrize("wrapping", [None, PersistenceError("reading"), WriterLost("writing")])
def test_each_error_is_told_as_what_it_is_whoever_wraps_it(
    error: Exception, reason: str, detail: str | None, wrapping: Exception | None
) -> None:
    refusal = refusal_of(error if wrapping is None else raised_from(wrapping, error))
    assert refusal.reason.name == reason
    assert detail is None or refusal.detail == detail


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.DiskFull(), "full"),
        (OSError(errno.ENOSPC, "x"), "full"),
        (errors.ReadOnlySqlTransaction(), "read_only"),
        (errors.InvalidPassword(), "login"),
        (errors.InsufficientPrivilege(), "permission"),
        (errors.TooManyConnections(), "connections"),
        (errors.OutOfMemory(), "resources"),
        (errors.QueryCanceled(), "busy"),
        (errors.AdminShutdown(), "stopping"),
        (psycopg.OperationalError("connection refused"), "unreachable"),
    ],
)
def test_each_error_has_a_kind_that_metrics_name(error: Exception, kind: str) -> None:
    assert kind_of(raised_from(WriterLost("lost"), error)) == kind
    assert kind in KINDS


def test_only_what_postgresql_itself_refused_is_known_to_be_rolled_back() -> None:
    for refused in (
        errors.DiskFull,
        errors.ReadOnlySqlTransaction,
        errors.InsufficientPrivilege,
        errors.LockNotAvailable,
    ):
        assert is_rolled_back(raised_from(WriterLost("a commit"), refused()))
    assert not is_rolled_back(raised_from(WriterLost("a commit"), errors.AdminShutdown()))
    assert not is_rolled_back(raised_from(WriterLost("a commit"), psycopg.OperationalError("closed")))
    assert not is_rolled_back(raised_from(EmbeddedError("no room"), OSError(errno.ENOSPC, "no room")))
