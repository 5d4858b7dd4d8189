"""The toys at work, in the copy of the tree that has them: run there by tests/contributing/test_contributing.py."""

from __future__ import annotations

import json

import grpc
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.client import Client
from ledger.domain.events import AccountNoted
from ledger.v1 import member_query_service_pb2 as queries_pb
from ledger.v1 import member_service_pb2 as pb
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.tables import read_schema
from tests.cli.helps import examples, parsers
from tests.conftest import NOON_NS, Ledger, at, refusal
from tests.projections.audited import audit
from tests.properties.test_replay import test_every_event_of_a_random_history_is_decided_again_alike as replayed
from tests.samples import request_id
from tests.server.bad_rows import ALL_ROWS
from tests.server.calls import await_tables
from tests.server.test_bad_input import (
    test_a_bad_value_is_refused_with_its_reason_and_field_and_leaves_no_trace as refused_as_expected,
)
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
    told = run("note-account", "alice", "--code", "CALLED", "--note-time", "2024-10-04", "--address", ledger.address)
    assert told.out.startswith("alice: noted time 2024-10-04 00:00:00\nrecorded at position")
    assert json.loads(run("get-notes", "alice", "--address", ledger.address).out)["codes"] == ["CALLED"]
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


def test_the_help_says_what_the_contract_says_and_its_examples_are_accepted(ledger: Ledger) -> None:
    helps = dict(parsers())
    assert "Note something about an account.\n" in helps["note-account",].format_help()
    assert "what is noted, for example CALLED\n" in helps["note-account",].format_help()
    for path in (("note-account",), ("get-notes",)):
        (example,) = examples(helps[path])
        assert run(*example, "--address", ledger.address).code == 0


def test_the_client_has_methods_with_their_fields_and_comments(ledger: Ledger) -> None:
    with Client(ledger.address) as client:
        client.note_account("alice", code="CALLED", note_time=NOON_NS)
        assert client.get_notes("alice").codes == ["CALLED"]
    assert "code: What is noted, for example CALLED." in (Client.note_account.__doc__ or "")
    with pytest.raises(TypeError, match="code"):
        Client.note_account(client, "alice")  # type: ignore[call-arg]


def test_each_bad_value_of_a_field_is_refused(ledger: Ledger) -> None:
    rows = [row for row in ALL_ROWS if row.method in {"NoteAccount", "GetNotes"}]
    assert {row.path for row in rows} >= {"request_id", "account_id", "code", "note_time", "at.as_of"}
    for row in rows:
        refused_as_expected(ledger, row)


def test_a_random_history_has_the_event(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed(writing, 1, monkeypatch)
    assert AccountNoted in {type(recorded.event) for recorded in writing.events()}
