"""A small ledger in which every table has rows."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from projections.tables.tables import create_tables
from tests.projections.rich import write_history
from tests.projections.site import Site
from tests.write_side import Writing


@pytest.fixture
def site(writing: Writing, dsn: str) -> Iterator[Site]:
    """Its live tables are at the head of the log."""
    write_history(writing)
    with psycopg.connect(dsn, autocommit=True) as connection:
        create_tables(connection, writing.config.schema)
        site = Site(writing, dsn, connection)
        site.advance()
        yield site
