"""A toy of each kind that CONTRIBUTING.md says how to add: the text that it puts into which file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Insert(NamedTuple):
    """A text that goes into a file after an anchor, which stands there once; without one it is a whole new file."""

    path: str
    text: str
    after: str = ""
    instead: str = ""  # what the text stands for, directly after the anchor

    def into(self, tree: Path) -> None:
        """Write the text into a copy of the tree."""
        path = tree / self.path
        if not self.after:
            assert not path.exists(), f"{self.path} exists"
            path.write_text(self.text)
            return
        anchor, content = self.after + self.instead, path.read_text()
        assert content.count(anchor) == 1, f"{self.path}: {anchor!r} stands there {content.count(anchor)} times"
        path.write_text(content.replace(anchor, self.after + self.text))


def at_end(tree: Path, path: str) -> str:
    """Return an anchor that is the end of a file."""
    lines = (tree / path).read_text().splitlines(keepends=True)
    for count in range(1, len(lines)):
        if (tree / path).read_text().count(end := "".join(lines[-count:])) == 1:
            return end
    raise AssertionError(f"{path} is empty")


def toys(tree: Path) -> Mapping[str, Sequence[Insert]]:
    """Return the toys by their headings in CONTRIBUTING.md, in the order in which they are added."""
    return {
        "Add an event": _event(tree),
        "Add a command": _command(tree),
        "Add a query": _query(tree),
        "Add a rule": _rule(tree),
        "Add a tool": _tool(),
        "Add a table": _table(tree),
    }


def _event(tree: Path) -> list[Insert]:
    return [
        Insert(
            "proto/ledger/v1/events.proto",
            """
// Stream account/<id>: somebody noted something about it.
message AccountNoted {
  // Carried by every event.
  Envelope envelope = 1;
  // What was noted.
  string code = 2 [(part) = PART_SHOWN];
  // When.
  int64 noted_time_ns = 3 [(part) = PART_SHOWN];
}
""",
            at_end(tree, "proto/ledger/v1/events.proto"),
        ),
        Insert(
            "ledger/domain/events.py",
            '''@dataclass(frozen=True, slots=True)
class AccountNoted:
    """Stream `account/<id>`: somebody noted something about it."""

    code: str
    noted_time_ns: int


@dataclass(frozen=True, slots=True)
class FeedbackReported:
''',
            "    window_until_ns: int\n\n\n",
            "@dataclass(frozen=True, slots=True)\nclass FeedbackReported:\n",
        ),
        Insert("ledger/domain/events.py", "    | AccountNoted\n", "    | BehaviourMetricRecorded\n"),
    ]


def _command(tree: Path) -> list[Insert]:
    return [
        Insert(
            "proto/ledger/v1/member_service.proto",
            """
  // Notes something about an account.
  rpc NoteAccount(NoteAccountRequest) returns (NoteAccountResponse);
""",
            "service MemberService {",
        ),
        Insert(
            "proto/ledger/v1/member_service.proto",
            """
// What NoteAccount takes.
message NoteAccountRequest {
  // Names this request for ever.
  string request_id = 1 [(google.api.field_behavior) = REQUIRED];
  // Who asks.
  Authority authority = 2 [(google.api.field_behavior) = OPTIONAL];
  // The account.
  string account_id = 3 [(google.api.field_behavior) = REQUIRED];
  // What is noted, for example CALLED.
  string code = 4 [(google.api.field_behavior) = REQUIRED];
  // When, not in the future; default: now.
  google.protobuf.Timestamp note_time = 5 [(google.api.field_behavior) = OPTIONAL];
  // Optional. Say what would be recorded, in receipt.preview, and record nothing (AIP-163); request_id stays free.
  bool validate_only = 15 [(google.api.field_behavior) = OPTIONAL];
}

// Answer to NoteAccount.
message NoteAccountResponse {
  // Proof of the record.
  Receipt receipt = 1;
  // When.
  google.protobuf.Timestamp noted_time = 2;
}
""",
            at_end(tree, "proto/ledger/v1/member_service.proto"),
        ),
        Insert(
            "ledger/domain/commands.py",
            '''@dataclass(frozen=True, slots=True)
class NoteAccount:
    """Note something about an account."""

    account_id: str
    code: str
    note_time_ns: int | None


MemberCommand: TypeAlias = (
    NoteAccount
    | ''',
            "    automatic: bool = False\n\n\n",
            "MemberCommand: TypeAlias = (\n    ",
        ),
        Insert(
            "ledger/domain/decide/membership.py",
            "    NoteAccount,\n",
            "import (\n    ApproveMatch,\n    AssignKeyAccountManager,\n    FlagAccount,\n    MemberCommand,\n",
        ),
        Insert("ledger/domain/decide/membership.py", "AccountNoted, ", "from ledger.domain.events import "),
        Insert(
            "ledger/domain/decide/membership.py",
            """        case NoteAccount():
            at_ns = given_or(command.note_time_ns, now_ns)
            return at_ns, AccountNoted(command.code, at_ns)
""",
            "    match command:\n",
        ),
        Insert(
            "ledger/wire/commands/members.py",
            '''

def note_account(shape: Shape, request: pb.NoteAccountRequest, latest_ns: int) -> commands.NoteAccount:
    """Read NoteAccount."""
    return commands.NoteAccount(
        account_id=shape(required_id, request.account_id, "account_id"),
        code=shape(required_id, request.code, "code"),
        note_time_ns=shape(optional_ns, request, "note_time", past_ns, latest_ns),
    )
''',
            "VENUES_MAX: Final = 20  # exchanges in one match\n",
        ),
    ]


def _query(tree: Path) -> list[Insert]:
    return [
        Insert(
            "proto/ledger/v1/member_query_service.proto",
            """
  // Tells what was noted about an account.
  rpc GetNotes(GetNotesRequest) returns (GetNotesResponse);
""",
            "service MemberQueryService {",
        ),
        Insert(
            "proto/ledger/v1/member_query_service.proto",
            """
// What GetNotes takes.
message GetNotesRequest {
  // The account.
  string account_id = 1 [(google.api.field_behavior) = REQUIRED];
  // The two clocks.
  ReadAt at = 2 [(google.api.field_behavior) = OPTIONAL];
}

// Answer to GetNotes.
message GetNotesResponse {
  // The clocks used.
  ReadBasis basis = 1;
  // The oldest first.
  repeated string codes = 2;
}
""",
            at_end(tree, "proto/ledger/v1/member_query_service.proto"),
        ),
        Insert(
            "projections/answers/notes.py",
            '''"""GetNotes: what was noted about an account."""

from __future__ import annotations

from ledger.domain.events import AccountNoted
from ledger.domain.streams import account_stream
from ledger.v1 import member_query_service_pb2 as pb
from ledger.wire.fields import Shape, required_id
from projections.as_of import Reader, check_times


def get_notes(reader: Reader, request: pb.GetNotesRequest) -> pb.GetNotesResponse:
    """Answer with the codes noted by as_of, as they were known."""
    with Shape() as shape:
        account_id = shape(required_id, request.account_id, "account_id")
        shape(check_times, request.at)
    instant = reader.view(request.at, account_id).instant
    events = (each.event for each in reader.log.streams([account_stream(account_id)], instant.known.position))
    noted = (event for event in events if isinstance(event, AccountNoted) and event.noted_time_ns <= instant.as_of_ns)
    return pb.GetNotesResponse(basis=instant.basis(reader.ledger_id), codes=[event.code for event in noted])
''',
        ),
        Insert(
            "projections/services.py",
            "from projections.answers.notes import get_notes\n",
            "check_match_eligibility, get_entitlements, get_membership\n",
        ),
        Insert(
            "projections/services.py",
            '        "GetNotes": partial(get_notes, reader),\n',
            '        "GetMembership": partial(get_membership, reader),\n',
        ),
    ]


def _rule(tree: Path) -> list[Insert]:
    return [
        Insert(
            "ledger/domain/rules/notes.py",
            '''"""A34: which notes nobody may take."""

from __future__ import annotations

from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme


def note_refused(programmes: tuple[Programme, ...], code: str) -> Refusal | None:
    """Return why a code may not be noted: a programme in force forbids it; None: it may."""
    forbidden = any(code in programme.notes_forbidden for programme in programmes)
    return Refusal(Reason.NOT_ENTITLED, "code", f"{code} may not be noted") if forbidden else None
''',
        ),
        Insert(
            "ledger/domain/decide/membership.py",
            "from ledger.domain.rules.notes import note_refused\nfrom ledger.domain.rules.past_90_days import ",
            "\n",
            "from ledger.domain.rules.past_90_days import ",
        ),
        Insert(
            "ledger/domain/decide/membership.py",
            "note_refused(tuple(book.in_force(at_ns)), command.code) or AccountNoted(command.code",
            "            return at_ns, ",
            "AccountNoted(command.code",
        ),
        Insert(
            "ledger/domain/state/programme.py",
            "    notes_forbidden: tuple[str, ...] = ()  # A34\n",
            "    clawback: bool = False  # R21\n",
        ),
        Insert(
            "ledger/programmes/reading.py",
            '        "notes_forbidden": sections["flags"].list_of_names("notes_forbidden", ()),\n',
            '        "clawback": sections["flags"].flag("clawback", False),\n',
        ),
        Insert(
            "ledger/tools/programme/table.py",
            '        "flags.notes_forbidden": _listed(programme.notes_forbidden),\n',
            '        "approval.commands": _listed(sorted(programme.approval)),\n',
        ),
        Insert(
            "docs/programme.md",
            "| A34 | what may be noted | anything | `flags.notes_forbidden` | `domain/rules/notes.py`"
            " | `domain/rules/test_notes.py` |\n",
            at_end(tree, "docs/programme.md"),
        ),
        Insert(
            "tests/domain/rules/test_notes.py",
            '''"""A34: which notes nobody may take."""

from dataclasses import replace

from ledger import programmes
from ledger.domain.rules.notes import note_refused

PROGRAMME = programmes.parse(programmes.packaged())


def test_what_a_programme_forbids_is_not_noted_and_the_rest_is() -> None:
    forbidding = replace(PROGRAMME, notes_forbidden=("GOSSIP",))
    assert note_refused((PROGRAMME, forbidding), "GOSSIP") is not None
    assert note_refused((PROGRAMME, forbidding), "CALLED") is None
    assert note_refused((PROGRAMME,), "GOSSIP") is None
''',
        ),
    ]


def _tool() -> list[Insert]:
    return [
        Insert(
            "ledger/tools/count_notes.py",
            '''"""Count what was noted about accounts."""

from __future__ import annotations

from ledger.cli import Options, argument
from ledger.cli.screens import many
from ledger.client import Client
from ledger.tools.group import TOOLS


@TOOLS.ask(
    "count-notes",
    "count what was noted about accounts",
    "count-notes alice bob",
    rpcs=("GetNotes",),
    arguments=(argument("accounts", metavar="ACCOUNT", nargs="+", help="by its id"),),
)
def _count_notes(ledger: Client, options: Options) -> int:
    found = sum(len(ledger.get_notes(account).codes) for account in options.accounts)
    print(many(found, "note"))
    return 1 if found else 0
''',
        ),
        Insert("ledger/tools/__init__.py", '    "count-notes": "count_notes",\n', '    "controls": "controls",\n'),
        Insert(
            "tests/tools/test_count_notes.py",
            '''"""`fee-ledger count-notes`."""

from tests.conftest import Ledger
from tests.tools.running import run


def test_nothing_noted_is_told_by_0(ledger: Ledger) -> None:
    ran = run("count-notes", "alice", "bob", "--address", ledger.address)
    assert (ran.code, ran.out, ran.err) == (0, "0 notes\\n", "")
''',
        ),
    ]


def _table(tree: Path) -> list[Insert]:
    return [
        Insert(
            "projections/tables/schema.sql",
            """
CREATE TABLE IF NOT EXISTS {read}.notes (
    account_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    code text NOT NULL,
    noted_time_ns bigint NOT NULL,
    PRIMARY KEY (account_id, position)
);
COMMENT ON TABLE {read}.notes IS 'What was noted about accounts.';
COMMENT ON COLUMN {read}.notes.account_id IS 'The account.';
COMMENT ON COLUMN {read}.notes.position IS 'Where it was recorded.';
COMMENT ON COLUMN {read}.notes.code IS 'What was noted.';
COMMENT ON COLUMN {read}.notes.noted_time_ns IS 'When.';
""",
            at_end(tree, "projections/tables/schema.sql"),
        ),
        Insert("projections/tables/rows.py", "    AccountNoted,\n", "    POST_TRIAL,\n"),
        Insert("projections/tables/rows.py", '    "notes",\n', "OF_DECISIONS: Final = (\n"),
        Insert(
            "projections/tables/rows.py",
            """        "notes": [
            (account_id, recorded.position, recorded.event.code, recorded.event.noted_time_ns)
            for recorded in events
            if isinstance(recorded.event, AccountNoted)
        ],
""",
            '        "accounts": [account_row(account, intervals)],\n',
        ),
        Insert("projections/tables/tables.py", "1", "TABLES_VERSION: Final = "),
    ]
