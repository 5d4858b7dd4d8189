"""A password in a text that people are told is masked, and nothing else is."""

from __future__ import annotations

import pytest

from ledger.masked import masked


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://me:secret@db/ledger", "postgresql://me:***@db/ledger"),
        ("postgres://me:a@b:c/d@db/ledger", "postgres://me:***@db/ledger"),
        ("https://me:secret@collector:4318/v1/traces", "https://me:***@collector:4318/v1/traces"),
        ("host=db password=secret user=me", "host=db password=*** user=me"),
        (r"password = 'a \' b' user=me", "password = *** user=me"),
        (r"host=db password=a\ b,c'd}e\"f&g user=me", "host=db password=*** user=me"),
        ("host=db&password=secret&sslpassword=other", "host=db&password=***&sslpassword=***"),
        ("{'password': 'secret', 'user': 'me'}", "{'password': ***, 'user': 'me'}"),
        ("STATEMENT:  CREATE ROLE ledger LOGIN PASSWORD 'secret'", "STATEMENT:  CREATE ROLE ledger LOGIN PASSWORD ***"),
    ],
)
def test_a_password_is_masked(text: str, told: str) -> None:
    assert masked(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@db:5432/ledger",
        'FATAL:  password authentication failed for user "me"',
        "No such file or directory: '/srv/ledger/password' (is there room, and may we write there?)",
        "/srv/ledger/password: it cannot be read",
        "http://127.0.0.1:4318/v1/traces of me@db",
        "alice traded at 10:30 with a@b",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert masked(text) == text
