"""Ids that customers choose: kept as they came, or as a hash, and never a reason to refuse a fill."""

from __future__ import annotations

import hashlib
from typing import Final

import pytest

from ledger.v1.fill_service_pb2 import FillColumns, RecordFillsRequest
from tests.conftest import Ledger
from tests.samples import batch, fill, history
from tests.server.columns import columns_of
from tests.server.good_requests import a_new
from tests.server.test_resends import FORMS, Send, told

NAMES: Final = ("trade_id", "order_id", "cl_ord_id")
AS_THEY_CAME: Final = [
    *(
        "my order #7",
        "a/b",
        "~",
        "x" * 65,
        "x" * 256,
        "\u00e9t\u00e9",
        "\u00e9" * 128,
        "\u65e5\u672c\u8a9e",
        "\U0001f680",
    ),
    *(
        "007",
        "7",
        "0",
        "+7",
        "7.0",
        " 7 ",
        "\u0667",
        "\uff17",
        "9" * 18,
        "9" * 19,
        "9" * 20,
        "sha256:",
        "=cmd|' /C calc'!A0",
    ),
]
AS_HASHES: Final = [
    "x" * 257,
    "x" * 10_000,
    "\u00e9" * 129,
    "a\nb",
    "a\tb",
    "a\x7f",
    "a\x00b",
    "\x85",
    "a\u202eb",
    "a\u2028b",
]


def kept(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def send(request: pytest.FixtureRequest) -> Send:
    found: Send = request.param
    return found


@pytest.mark.parametrize("numbered", [True, False], ids=["of a source", "without one"])
def test_a_text_is_kept_as_it_came_or_as_its_hash(shared: Ledger, send: Send, numbered: bool) -> None:
    account, texts = a_new("texts"), [*AS_THEY_CAME, *AS_HASHES]
    if not numbered and send is FORMS["a stream"]:
        return  # a stream is of a source
    fills = [fill(account_id=account, **dict.fromkeys(NAMES, text)) for text in texts]
    source = {"source": account, "first_sequence": 1} if numbered else {}
    request = batch(*fills, **source)
    assert told(send(shared, request)) == (len(texts), 0, [])
    expected = [*AS_THEY_CAME, *map(kept, AS_HASHES)]
    lines = history(shared, account)
    for name in NAMES:
        assert [getattr(line, name) for line in lines] == expected
    for form in FORMS.values():  # whichever way they come again
        if numbered or form is not FORMS["a stream"]:
            assert told(form(shared, request)) == (0, len(texts), [])


@pytest.mark.parametrize(("first", "second"), [("007", "7"), ("7", "\u0667"), ("a" * 257, "a" * 258), ("a", "a ")])
def test_other_texts_make_another_fill(shared: Ledger, send: Send, first: str, second: str) -> None:
    for name in NAMES:
        account = a_new("texts")
        one, other = (fill(account_id=account, exec_id="E", **{name: text}) for text in (first, second))
        send(shared, batch(one, source=account, first_sequence=1))
        assert told(send(shared, batch(other, source=account, first_sequence=1))) == (0, 0, [0])


def test_bytes_that_are_no_text_are_kept_as_their_hash(shared: Ledger) -> None:
    account = a_new("bytes")
    one = fill(account_id=account, exec_id="E", cl_ord_id="xx")
    columns = FillColumns()
    columns.CopyFrom(columns_of([one]))
    columns.cl_ord_id = b"\xff\xfe"
    for recorded, replayed in ((1, 0), (0, 1)):
        answer = shared.fills.RecordFills(RecordFillsRequest(columns=columns))
        assert (answer.recorded, answer.replayed) == (recorded, replayed)
    (line,) = history(shared, account)
    assert line.cl_ord_id == f"sha256:{hashlib.sha256(columns.cl_ord_id).hexdigest()}"


def test_exec_ids_keep_their_rule(shared: Ledger) -> None:
    answer = shared.fills.RecordFills(
        batch(fill(exec_id="a b"), fill(owner_id="a b"), source=a_new("rule"), first_sequence=1)
    )
    assert [found.field for found in answer.refusals] == ["exec_id", "owner_id"]
