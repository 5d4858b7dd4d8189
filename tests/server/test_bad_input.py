"""Every field of every request with every kind of bad value that fits it, over gRPC.

In `bad_rows`, `FIELDS` says what each field is, and so which values of `bad_values` are bad for it; `ROWS` are faults
that lie between fields, or between a field and the ledger. The requests come from the descriptors of package ledger.v1:
a field, an RPC or a service that nobody gave a row fails `test_every_field_of_every_request_has_a_row`. Extend the
tables, not the tests.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.conftest import Ledger
from tests.samples import history
from tests.server.bad_rows import ALL_ROWS, FIELD_ROWS, FIELDS, NOTHING_IS_BAD, Row
from tests.server.calls import await_tables, calling, expected, head, refused, said, send
from tests.server.good_requests import METHODS, RPCS, begun, good, leaves


def test_every_field_of_every_request_has_a_row() -> None:
    assert len(METHODS) == len(RPCS), "two services have an RPC of the same name: tell them apart in the table"
    asked = {(name, path) for name, method in METHODS.items() for path in leaves(method.input_type)}
    covered = {(row.method, path) for row in ALL_ROWS for path in row.values}
    assert sorted(asked - covered - set(NOTHING_IS_BAD)) == []


def test_every_entry_of_the_table_is_a_field_of_a_request() -> None:
    asked = {(name, path) for name, method in METHODS.items() for path in leaves(method.input_type)}
    named = {(method, path) for method, fields in FIELDS.items() for path in fields}
    assert sorted((named | set(NOTHING_IS_BAD)) - asked) == []
    assert sorted(set(NOTHING_IS_BAD) & {(row.method, path) for row in FIELD_ROWS for path in row.values}) == []


def test_without_the_bad_value_every_request_of_the_table_is_answered(ledger: Ledger) -> None:
    await_tables(ledger)
    for name in METHODS:  # in the order of the contract: a trial is started before it is revoked
        values = begun(name, partial(send, ledger))
        await_tables(ledger)
        calling(ledger, name)(good(name, values))
    kinds = [(line.kind, line.fill_ref.venue) for line in history(ledger)]
    assert kinds == [("CREDIT", ""), ("CREDIT", ""), ("CREDIT_WITHDRAWN", ""), *[("FILL", "bitmart")] * 5]


@pytest.mark.parametrize("row", ALL_ROWS, ids=str)
def test_a_bad_value_is_refused_with_its_reason_and_field_and_leaves_no_trace(shared: Ledger, row: Row) -> None:
    before = head(shared)
    found = refused(shared, good(row.method, row.values))
    assert said(found) == expected(row.reason, row.field)
    assert head(shared) == before
