"""A digest of rows is that of one COPY, however many stretches they are taken in."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import psycopg
import pytest
from psycopg.sql import SQL, Composed

from ledger.store.digest import RunningDigest

# Rows of which some are wider than what one message of a COPY holds, and some are empty.
ROWS = "SELECT n::int8, repeat('x', (n * n * 997)::int4), NULL::text FROM generate_series({}, {}) AS n"


def stretch() -> Composed:
    return Composed([SQL(ROWS.format("%(after)s::int8 + 1", "%(until)s::int8"))])


@pytest.mark.parametrize("cuts", [(0, 30), (0, 1, 30), (0, 0, 7, 7, 8, 29, 30, 30)])
def test_the_digest_of_stretches_is_that_of_the_whole(dsn: str, cuts: tuple[int, ...]) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY ({ROWS.format(1, 30)}) TO STDOUT (FORMAT BINARY)".encode()) as copy:
            expected = hashlib.sha256(b"".join(map(bytes, copy))).digest()
        digest, found = RunningDigest(stretch()), b""
        for after, until in pairwise(cuts):
            found = digest.take(connection, {"after": after, "until": until})
        assert found == expected


def test_another_row_gives_another_digest(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        found = {RunningDigest(stretch()).take(connection, {"after": 0, "until": until}) for until in (0, 1, 2)}
    assert len(found) == 3
