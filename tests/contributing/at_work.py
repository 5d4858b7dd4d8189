"""The toys at work, in the copy of the tree that has them: run there by tests/contributing/test_contributing.py."""

from __future__ import annotations

import grpc
import psycopg
from psycopg.sql import SQL, Identifier

from ledger.domain.events import AccountNoted
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import member_service_pb2 as pb
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.tables import read_schema
from tests.conftest import NOON_NS, Ledger, at, refusal
from tests.projections.audited import audit
from tests.properties.test_replay import test_every_event_of_a_random_history_is_decided_again_alike as replayed
from tests.samples import request_id
from tests.server.calls import await_tables
from tests.server.good_requests import GOOD, METHODS
from tests.tools.running import run
from tests.write_side import Writing


def note(code: str) -> pb.NoteAccountRequest:
    return pb.NoteAccountRequest(request_id=request_id(), account_id="alice", code=code, note_time=at(NOON_NS))


def test_the_command_records_its_event_once_and_an_audit_decides_it_again(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    answer = ledger.members.NoteAccount(request := note("CALLED"))
    assert ledger.log.at(answer.receipt.position).event == AccountNoted("CALLED", NOON_NS)
    assert ledger.members.NoteAccount(request).receipt.replayed
    assert audit(dsn, schema)[0] == []


def test_the_rule_is_asked_by_the_programme_in_force(ledger: Ledger) -> None:
    ran = run("programme", "show", "ledger/programmes/bitmart-api-vip-3.0.toml", "--json")
    assert '"flags.notes_forbidden": "none"' in ran.out
    assert ledger.members.NoteAccount(note("GOSSIP")).receipt.position


def test_the_query_answers_as_it_was_known_and_refuses_what_has_no_shape(ledger: Ledger) -> None:
    position = ledger.members.NoteAccount(note("CALLED")).receipt.position
    ledger.members.NoteAccount(note("WROTE"))
    asked = queries_pb.GetNotesRequest(account_id="alice")
    assert list(ledger.member_queries.GetNotes(asked).codes) == ["CALLED", "WROTE"]
    asked.at.known_at_position = position
    assert list(ledger.member_queries.GetNotes(asked).codes) == ["CALLED"]
    asked.account_id = ""
    assert refusal(ledger.member_queries.GetNotes, asked).code == grpc.StatusCode.INVALID_ARGUMENT


def test_the_subcommands_and_the_tool_call_it(ledger: Ledger) -> None:
    assert run("note", "alice", "CALLED", "--address", ledger.address).code == 0
    assert run("notes", "alice", "--address", ledger.address).out == "CALLED\n"
    told = run("count-notes", "alice", "--address", ledger.address)
    assert (told.code, told.out) == (1, "1 note\n")


def test_the_table_is_filled_and_checked(ledger: Ledger, dsn: str, schema: str) -> None:
    position = ledger.members.NoteAccount(note("CALLED")).receipt.position
    await_tables(ledger)
    with psycopg.connect(dsn, autocommit=True) as connection:
        table = Identifier(read_schema(schema), "notes")
        rows = connection.execute(SQL("SELECT account_id, code, position FROM {}").format(table)).fetchall()
        assert rows == [("alice", "CALLED", position)]
        check = Check(connection, schema)
        assert [one for one in check.findings(["notes"]) if isinstance(one, Finding)] == []
        assert check.rows["notes"] == 1


def test_every_rpc_has_a_good_request() -> None:
    assert sorted(METHODS) == sorted(GOOD)


def test_a_random_history_has_the_event(writing: Writing) -> None:
    replayed(writing, 1)
