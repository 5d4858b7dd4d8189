"""The remedy that a tool names where the packages of the extra `tools` are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.cli.errors import UnusableError

_PACKAGES: Final = ("duckdb", "ijson", "jinja2", "markupsafe")


@contextmanager
def needs_extra() -> Iterator[None]:
    """Raise UnusableError with the remedy if the block imports a package of the extra `tools`, and there is none."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise UnusableError("this needs the extra tools: pip install 'fee-ledger[tools]'") from error
