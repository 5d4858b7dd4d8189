"""What customers chose lies beside the log: no byte of it is in an event, it can be erased, and all else stays.

Fills of many accounts go in by COPY, few in one statement; both have ids of clients' orders. Commands have tickets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.domain.events import VolumeRecorded
from ledger.store.leaf import Opening, Part
from ledger.store.writer import ROWS_MAX
from ledger.v1 import events_pb2
from ledger.v1.control_service_pb2 import ListSoloActionsRequest
from ledger.v1.fill_pb2 import Fill, FillRef
from ledger.v1.query_service_pb2 import GetFillRequest, ListEventsRequest, ListEventsResponse, StoredEvent
from projections.answers import events as answers_events
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.tables import read_schema
from tests.conftest import Ledger
from tests.projections.audited import audit
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import await_tables, head, send
from tests.server.orders import register
from tests.unguarded import unguard

TICKET: Final = "ticket-of-a-zebra"
ORDER: Final = "order-of-a-zebra"
DAY: Final = "2024-10-04"
MANY: Final = ROWS_MAX + 2
PARTS: Final = 3 + MANY // 2  # of alice's registration, her link to an owner and her run; and of every other run
SOURCE: Final = "engine-1"
FILLS: Final = [
    fill(account_id="alice", exec_id="E1", cl_ord_id=f"{ORDER}-1"),
    fill(account_id="alice", exec_id="E2"),
    fill(account_id="bob", exec_id="E1"),
]
MANY_FILLS: Final = [
    fill(account_id=f"a{n}", exec_id="E1", cl_ord_id=f"{ORDER}-{n}" if n % 2 else "") for n in range(MANY)
]


@pytest.fixture
def planted(ledger: Ledger) -> Ledger:
    """A ledger with tickets and ids of clients' orders, of some fills in each commit."""
    send(ledger, symbol())
    send(ledger, register("alice", "acme", authority={"actor": "ops-1", "ticket": TICKET}))
    assert ledger.fills.RecordFills(batch(*FILLS)).recorded == len(FILLS)
    numbered = batch(*MANY_FILLS, source=SOURCE, first_sequence=1)
    assert ledger.fills.RecordFills(numbered).recorded == MANY
    return ledger


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def run(connection: psycopg.Connection[Any], schema: str, text: str, **values: Any) -> list[tuple[Any, ...]]:
    cursor = connection.execute(text.replace("LEDGER", schema).encode(), values)
    return cursor.fetchall() if cursor.description else []


def holding(connection: psycopg.Connection[Any], schema: str, planted: str) -> set[str]:
    """The tables of the log and of the read side in which a text lies, in bytes or as text."""
    tables = run(connection, schema, "SELECT table_schema::text, table_name::text FROM information_schema.tables"
                 " WHERE table_schema = ANY(%(schemas)s)", schemas=[schema, read_schema(schema)])  # fmt: skip
    statement = SQL(
        "SELECT count(*) FROM {} AS t WHERE position(%(text)s IN t::text) + position(%(hex)s IN t::text) > 0"
    )
    said = {"text": planted, "hex": planted.encode().hex()}
    counts = {name: connection.execute(statement.format(Identifier(*name)), said).fetchone() for name in tables}
    return {name for (_, name), count in counts.items() if count and count[0]}


def erase_all(connection: psycopg.Connection[Any], schema: str) -> int:
    return len(run(connection, schema, "DELETE FROM LEDGER.erasable_parts RETURNING position"))


def findings(dsn: str, schema: str) -> list[str]:
    """What an audit and a check find."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        checked = [one for one in Check(connection, schema).findings() if isinstance(one, Finding)]
    return [*map(str, audit(dsn, schema)[0]), *map(str, checked)]


def stored(ledger: Ledger) -> list[StoredEvent]:
    return list(ledger.queries.ListEvents(ListEventsRequest(page_size=1_000)).events)


def ids(ledger: Ledger, account_id: str) -> list[str]:
    return [line.cl_ord_id for line in history(ledger, account_id)]


def test_no_byte_of_them_is_in_an_event_or_in_any_other_table(
    planted: Ledger, schema: str, connection: psycopg.Connection[Any]
) -> None:
    await_tables(planted)
    for text in (TICKET, ORDER):
        assert holding(connection, schema, text) == {"erasable_parts"}
    parts = run(connection, schema, "SELECT position, nonce, content FROM LEDGER.erasable_parts ORDER BY position")
    named = {row.position: planted.log.at(row.position).envelope.erasable_sha256 for row in stored(planted)}
    hashes = {position: Opening(*part).sha256(Part.ERASABLE) for position, *part in parts}
    assert hashes == {position: said for position, said in named.items() if said}
    assert len(parts) == PARTS
    assert len({nonce for _, nonce, _ in parts}) == len(parts)


def test_a_page_of_events_is_no_larger_for_what_may_be_erased(planted: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for commit in range(4):
        long = [f"E{commit}-{n}" for n in range(100)]
        planted.fills.RecordFills(
            batch(*(fill(account_id="carol", exec_id=e, cl_ord_id=e.ljust(64, "-")) for e in long))
        )
    whole, limit = stored(planted), 20_000
    monkeypatch.setattr(answers_events, "_PAGE_BYTES_MAX", limit)
    pages, token = list[ListEventsResponse](), ""
    while not pages or token:
        pages.append(planted.queries.ListEvents(ListEventsRequest(page_size=1_000, page_token=token)))
        token = pages[-1].next_page_token
    assert [each for page in pages for each in page.events] == whole
    assert all(len(page.events) == 1 or sum(each.ByteSize() for each in page.events) <= limit for page in pages)
    assert len(pages) < len(whole)


def test_all_reads_show_them_until_they_are_erased_and_answer_without_them_after_that(
    planted: Ledger, dsn: str, schema: str, connection: psycopg.Connection[Any]
) -> None:
    ref = GetFillRequest(fill_ref=FillRef(account_id="alice", day=DAY, exec_id="E1"))
    assert (ids(planted, "alice"), ids(planted, "bob")) == ([f"{ORDER}-1", ""], [""])
    assert (ids(planted, "a7"), ids(planted, "a8")) == ([f"{ORDER}-7"], [""])
    assert send(planted, ref).line.cl_ord_id == f"{ORDER}-1"
    (alone,) = (each for each in send(planted, ListSoloActionsRequest()).actions if each.stream == "account/alice")
    assert alone.ticket == TICKET
    before, at_head = stored(planted), state(planted)
    whole = {each.position: getattr(events_pb2, each.topic).FromString(each.state + each.erasable) for each in before}
    assert whole[alone.position].envelope.ticket == TICKET
    (run_of_a7,) = (whole[each.position] for each in before if each.stream == f"fees/a7/{DAY}")
    assert run_of_a7.cl_ord_ids.rstrip(b"\0") == f"{ORDER}-7".encode()

    assert erase_all(connection, schema) == PARTS
    assert (ids(planted, "alice"), ids(planted, "a7")) == (["", ""], [""])
    assert send(planted, ref).line.fee_amount == "0.0125"
    assert not send(planted, ref).line.cl_ord_id
    (alone,) = (each for each in send(planted, ListSoloActionsRequest()).actions if each.stream == "account/alice")
    assert not alone.ticket
    for each in before:
        each.ClearField("erasable")
    assert stored(planted) == before, "no event has changed, and its hash stays"
    assert state(planted) == at_head
    await_tables(planted)
    assert findings(dsn, schema) == []


def test_a_fill_that_is_sent_again_is_compared_with_its_id_unless_that_is_erased(
    planted: Ledger, schema: str, connection: psycopg.Connection[Any]
) -> None:
    def answers(**changes: Any) -> tuple[int, int]:
        """(replays by name, replays by number) of two fills that are sent again."""
        named, numbered = Fill(), Fill()
        for again, first in ((named, FILLS[0]), (numbered, MANY_FILLS[7])):
            again.CopyFrom(first)
            again.MergeFrom(Fill(**changes))
        by_name = planted.fills.RecordFills(batch(named))
        by_number = planted.fills.RecordFills(batch(numbered, source=SOURCE, first_sequence=8))
        return by_name.replayed, by_number.replayed

    assert (answers(), answers(cl_ord_id="another")) == ((1, 1), (0, 0))
    position = head(planted)
    erase_all(connection, schema)
    assert (answers(), answers(cl_ord_id="another"), answers(last_px="0.75")) == ((1, 1), (1, 1), (0, 0))
    lines = [row for row in planted.log.streams([f"fees/a7/{DAY}"], position) if isinstance(row.event, VolumeRecorded)]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE LEDGER.erasable_parts SET content = set_byte(content, 9, 7) WHERE position = %(position)s", "DIFFERS"),
        ("UPDATE LEDGER.erasable_parts SET nonce = set_byte(nonce, 15, 7) WHERE position = %(position)s", "DIFFERS"),
        ("UPDATE LEDGER.erasable_parts SET nonce = '' WHERE position = %(position)s", "DIFFERS"),
        ("UPDATE LEDGER.erasable_parts SET position = 1 WHERE position = %(position)s", "EXTRA"),
        ("UPDATE LEDGER.erasable_parts SET position = 100000 WHERE position = %(position)s", "EXTRA"),
    ],
)
def test_what_is_not_as_its_event_says_is_found(
    planted: Ledger, dsn: str, schema: str, connection: psycopg.Connection[Any], change: str, code: str
) -> None:
    (alone,) = (each for each in send(planted, ListSoloActionsRequest()).actions if each.stream == "account/alice")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="what is recorded stays as it is"):
        run(connection, schema, change, position=alone.position)
    unguard(connection, schema)
    run(connection, schema, change, position=alone.position)
    await_tables(planted)
    found = findings(dsn, schema)
    in_check = [one for one in found if f"kind='{code}'" in one and "table='erasable_parts'" in one]
    assert len(in_check) == 1, found
    in_audit = [
        one for one in found if one.startswith(f"position {alone.position}, account/alice: SHA-256 of its erasable")
    ]
    assert len(in_audit) == (code == "DIFFERS"), found
    assert len(found) == len(in_check) + len(in_audit)
