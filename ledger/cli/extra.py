"""The remedy that a command names where the packages of an extra are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.cli.errors import UnusableError

# By the packages that they bring. Of those of `service` not one alone is installed, so the first that is missed tells.
_EXTRAS: Final = {
    "opentelemetry": "traces",
    **dict.fromkeys(("duckdb", "ijson", "jinja2", "markupsafe"), "tools"),
    **dict.fromkeys(
        ("eventsourcing", "grpc_health", "grpc_reflection", "numpy", "packaging", "prometheus_client", "psycopg",
         "psycopg_pool", "shtab", "tqdm", "tzdata", "zstandard"), "service"
    ),
}  # fmt: skip


def extra_of(error: ModuleNotFoundError) -> str | None:
    """Return the extra that has a package which is missing; None for any other module."""
    return _EXTRAS.get((error.name or "").partition(".")[0])


@contextmanager
def needs_extra() -> Iterator[None]:
    """Raise UnusableError with the remedy if the block imports a package of an extra, and there is none."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        raise UnusableError(f"this needs the extra {extra}: pip install 'fee-ledger[{extra}]'") from error
