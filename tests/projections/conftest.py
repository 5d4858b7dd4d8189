"""A small ledger in which every table has rows, and one with a rich life, for audits."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ledger.domain.events import Recorded
from projections.tables.tables import create_tables
from tests.projections.audited import Copy, rich_ledger
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


@pytest.fixture(scope="module")
def rich(dsn: str, request: pytest.FixtureRequest) -> Iterator[Writing]:
    """A ledger with a rich life, which the tests of a file leave as it is."""
    with rich_ledger(dsn, request.module.__name__.rpartition(".")[2]) as writing:
        yield writing


@pytest.fixture(scope="module")
def log(rich: Writing) -> list[Recorded]:
    return rich.events()


@pytest.fixture
def copy(dsn: str, rich: Writing) -> Copy:
    """A copy of it, to be changed."""
    return Copy(dsn, rich.config.schema)
