"""Page tokens that are damaged, or belong to something else."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.v1.command_pb2 import Authority
from ledger.v1.control_service_pb2 import ListFindingsRequest, ListSoloActionsRequest, ListWithheldRequest
from ledger.v1.evaluation_service_pb2 import ListClosesRequest
from ledger.v1.member_query_service_pb2 import ListApplicationsRequest
from ledger.v1.programme_service_pb2 import ListPairsRequest, ListProgrammesRequest
from ledger.v1.query_service_pb2 import ListAccountsRequest, ListEventsRequest, ListFeeHistoryRequest
from ledger.v1.read_pb2 import ReadAt
from projections.page_token import PageToken, encode_token
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, expected, head, refused, said, send
from tests.server.good_requests import PROGRAMME, good, put
from tests.server.instants import A_DAY_AGO, IN_A_DAY, NOON
from tests.server.orders import application, ban, close, family, revoke, tier

# Of each kind of list a query with three pages or more; and where its entries lie.
PAGED: Final[Mapping[str, Message]] = {
    "ListFeeHistory": ListFeeHistoryRequest(
        account_id="paged", at=ReadAt(as_of=NOON), from_time=A_DAY_AGO, page_size=1
    ),
    "ListAccounts": ListAccountsRequest(as_of=IN_A_DAY, owner_id="paged", page_size=1),
    "ListEvents": ListEventsRequest(at=ReadAt(as_of=NOON), after_position=1, page_size=1),
    "ListProgrammes": ListProgrammesRequest(at=ReadAt(as_of=NOON), page_size=1),
    "ListPairs": ListPairsRequest(at=ReadAt(as_of=NOON), page_size=1),
    "ListFindings": ListFindingsRequest(control="continuous-bans", as_of=IN_A_DAY, page_size=1),
    "ListCloses": ListClosesRequest(at=ReadAt(as_of=NOON), asset="PAGED", page_size=1),
    "ListSoloActions": ListSoloActionsRequest(actor="paged", at=ReadAt(as_of=IN_A_DAY), page_size=1),
    "ListWithheld": ListWithheldRequest(account_id="paged-late", at=ReadAt(as_of=IN_A_DAY), page_size=1),
    "ListApplications": ListApplicationsRequest(as_of=NOON, due_within_business_days=10, page_size=1),
}
ENTRIES: Final = {
    "ListFeeHistory": "lines",
    "ListAccounts": "accounts",
    "ListEvents": "events",
    "ListProgrammes": "programmes",
    "ListPairs": "pairs",
    "ListFindings": "findings",
    "ListCloses": "closes",
    "ListSoloActions": "actions",
    "ListWithheld": "facts",
    "ListApplications": "applications",
}
PLACE: Final = struct.Struct(">qQI")  # of a line of ListFeeHistory: UTC day, position, line
INVALID: Final = expected(Reason.PAGE_TOKEN_INVALID, "page_token")


@pytest.fixture(scope="module")
def pages(shared: Ledger) -> Mapping[str, Any]:
    """Asks for the second page of each kind of list, with a good token."""
    shared.fills.RecordFills(batch(*(fill(account_id="paged") for _ in range(3))))
    for number in range(3):  # each is revoked after a fill, which does not count by that
        send(shared, tier("paged-late", valid_from=A_DAY_AGO))
        shared.fills.RecordFills(batch(fill(account_id="paged-late")))
        send(shared, revoke("paged-late", f"g{number + 1}", revoke_time=A_DAY_AGO))
    for command in family("paged", "paged-1", "paged-2", "paged-3"):
        send(shared, command)
        send(shared, application(command.account_id, received_time=A_DAY_AGO))
    for number in range(3):  # three of everything else that is listed
        send(shared, symbol(f"PAGED{number}_USDT"))
        send(shared, close("PAGED", f"2024-10-0{number + 1}"))
        send(shared, good("PublishProgramme", {"valid_from": at(NOON_NS - number)}))
        for start_ns in (NOON_NS - 6 * DAY_NS, NOON_NS):
            authority = Authority(actor="paged")
            send(shared, ban(f"paged-{number}", 7, start_time=at(start_ns), authority=authority))
    await_tables(shared)
    return {kind: with_token(query, send(shared, query).next_page_token) for kind, query in PAGED.items()}


def with_token(query: Message, token: str) -> Any:
    """A query with a token."""
    request: Any = type(query)()
    request.CopyFrom(query)
    request.page_token = token
    return request


def taken(ledger: Ledger, query: Message, tokens: Sequence[str]) -> list[str]:
    """Those of some damaged tokens that are answered, or refused otherwise than they should be."""
    return [token for token in tokens if not _is_invalid(ledger, with_token(query, token))]


def _is_invalid(ledger: Ledger, request: Message) -> bool:
    try:
        return said(refused(ledger, request)) == INVALID
    except pytest.fail.Exception:  # it was answered
        return False


@pytest.mark.parametrize("kind", PAGED)
def test_the_token_the_others_are_made_of_is_good(shared: Ledger, pages: Mapping[str, Any], kind: str) -> None:
    page = send(shared, pages[kind])
    assert (len(getattr(page, ENTRIES[kind])), bool(page.next_page_token)) == (1, True)
    longer = with_token(pages[kind], pages[kind].page_token)
    longer.page_size = 2
    found = getattr(send(shared, longer), ENTRIES[kind])
    assert len(found) == 2, "the size of a page is not part of the query"
    assert found[0] == getattr(page, ENTRIES[kind])[0]


OTHER_CLOCKS: Final[Sequence[tuple[str, Mapping[str, Any]]]] = [
    ("another as_of", {"at.as_of": at(NOON_NS + 1)}),
    ("no as_of", {"at.as_of": None}),
    ("a known_at_position", {"at.known_at_position": 1}),
    ("a known_at_position of 0", {"at.known_at_position": 0}),
    ("a known_at_time", {"at.known_at_time": NOON}),
    ("a min_position", {"at.min_position": 1}),
    ("no clocks", {"at": None}),
]
OTHER_QUERIES: Final[Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]] = {
    "ListFeeHistory": [
        *OTHER_CLOCKS,
        ("another account", {"account_id": "alice"}),
        ("another from_time", {"from_time": at(NOON_NS - 1)}),
        ("no from_time", {"from_time": None}),
        ("another until_time", {"until_time": IN_A_DAY}),
    ],
    "ListAccounts": [
        ("another as_of", {"as_of": at(NOON_NS + 1)}),
        ("no as_of", {"as_of": None}),
        ("a min_position", {"min_position": 1}),
        ("a tier", {"tier": "NONE"}),
        ("an end", {"ending_before": IN_A_DAY}),
        ("banned", {"banned": True}),
        ("not banned", {"banned": False}),
        ("flagged", {"flagged": True}),
        ("not flagged", {"flagged": False}),
        ("another owner", {"owner_id": "alice"}),
        ("no owner", {"owner_id": None}),
        ("a programme", {"programme_id": "bitmart-api-vip"}),
    ],
    "ListEvents": [
        *OTHER_CLOCKS,
        ("a stream", {"stream": "account/alice"}),
        ("another position", {"after_position": 2}),
        ("no position", {"after_position": None}),
    ],
    "ListProgrammes": [*OTHER_CLOCKS, ("a programme", {"programme_id": PROGRAMME})],
    "ListPairs": [*OTHER_CLOCKS, ("a programme", {"programme_id": PROGRAMME})],
    "ListFindings": [
        ("another as_of", {"as_of": at(NOON_NS + 1)}),
        ("no as_of", {"as_of": None}),
        ("another control", {"control": "benefits-ending"}),
        ("no control", {"control": None}),
        ("other days", {"within_days": 31}),
        ("the same days, said", {"within_days": 30}),
        ("a programme", {"programme_id": PROGRAMME}),
        ("a min_position", {"min_position": 1}),
    ],
    "ListCloses": [
        *OTHER_CLOCKS,
        ("another asset", {"asset": "BTC"}),
        ("no asset", {"asset": None}),
        ("a from_day", {"from_day": "2024-10-01"}),
        ("an until_day", {"until_day": "2024-10-04"}),
        ("restated ones too", {"include_restated": True}),
    ],
    "ListSoloActions": [
        *OTHER_CLOCKS,
        ("another actor", {"actor": "alice"}),
        ("no actor", {"actor": None}),
        ("a from_time", {"from_time": A_DAY_AGO}),
        ("an until_time", {"until_time": IN_A_DAY}),
    ],
    "ListWithheld": [
        *OTHER_CLOCKS,
        ("another account", {"account_id": "alice"}),
        ("no account", {"account_id": None}),
    ],
    "ListApplications": [
        ("another as_of", {"as_of": at(NOON_NS + 1)}),
        ("no as_of", {"as_of": None}),
        ("a min_position", {"min_position": 1}),
        ("overdue", {"overdue": True}),
        ("not overdue", {"overdue": False}),
        ("due today", {"due_within_business_days": 0}),
        ("due at any time", {"due_within_business_days": None}),
        ("a programme", {"programme_id": "bitmart-api-vip"}),
    ],
}
_OTHER: Final = [
    pytest.param(kind, values, id=f"{kind}: {name}") for kind, rows in OTHER_QUERIES.items() for name, values in rows
]


@pytest.mark.parametrize(("kind", "values"), _OTHER)
def test_a_page_token_of_another_query_is_refused(
    shared: Ledger, pages: Mapping[str, Any], kind: str, values: Mapping[str, Any]
) -> None:
    other = with_token(pages[kind], pages[kind].page_token)
    for path, value in values.items():
        put(other, path, value)
    assert said(refused(shared, other)) == INVALID


@pytest.mark.parametrize(("kind", "other"), list(permutations(PAGED, 2)))
def test_a_page_token_of_another_kind_of_query_is_refused(
    shared: Ledger, pages: Mapping[str, Any], kind: str, other: str
) -> None:
    assert said(refused(shared, with_token(PAGED[kind], pages[other].page_token))) == INVALID


# The second query has the bytes of the first, but for its type.
SAME_BYTES: Final[Sequence[tuple[Message, Message]]] = [
    (ListFeeHistoryRequest(account_id="paged"), ListEventsRequest(stream="paged")),
    (ListEventsRequest(), ListAccountsRequest()),
    (ListAccountsRequest(), ListEventsRequest()),
]


@pytest.mark.parametrize(("first", "other"), SAME_BYTES, ids=lambda query: type(query).__name__)
@pytest.mark.usefixtures("pages")
def test_a_page_token_is_refused_even_where_another_kind_of_query_has_the_same_bytes(
    shared: Ledger, first: Message, other: Message
) -> None:
    assert first.SerializeToString() == other.SerializeToString()
    asked = type(first)()
    asked.CopyFrom(first)
    put(asked, "page_size", 1)
    token = send(shared, asked).next_page_token
    assert token
    assert said(refused(shared, with_token(other, token))) == INVALID


def test_a_page_token_of_another_ledger_is_refused(ledger: Ledger, shared: Ledger, pages: Mapping[str, Any]) -> None:
    assert ledger.ledger_id != shared.ledger_id
    for request in pages.values():
        assert said(refused(ledger, request)) == INVALID


@pytest.mark.parametrize("kind", PAGED)
def test_a_page_token_with_one_bit_changed_is_refused(shared: Ledger, pages: Mapping[str, Any], kind: str) -> None:
    token = pages[kind].page_token
    flipped = [
        token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
        for place in range(len(token))
        for bit in range(8)
    ]
    assert taken(shared, PAGED[kind], flipped) == []


@pytest.mark.parametrize("kind", PAGED)
def test_a_page_token_cut_short_or_made_longer_is_refused(shared: Ledger, pages: Mapping[str, Any], kind: str) -> None:
    token = pages[kind].page_token
    cut = [token[:length] for length in range(1, len(token))] + [token[start:] for start in range(1, len(token))]
    assert taken(shared, PAGED[kind], cut) == []
    assert taken(shared, PAGED[kind], [token + more for more in ("A", "=", "==", "\n", " ", token)]) == []


# Keys that no page of a query ends with; and those that are none for one kind of query.
NO_KEYS: Final = (b"\xff" * 24, b"\xff" * 9)
MORE_NO_KEYS: Final[Mapping[str, Sequence[bytes]]] = {
    "ListAccounts": (b"a\0b",),
    "ListPairs": (b"a\0b", b"\x80"),
    "ListFindings": (b"\x80", b"a", b"a\0b", b"a\0b\0c\0d"),
    "ListApplications": (b"", b"abc", bytes(4) + b"a\0/b", bytes(4) + b"\xff"),
    "ListFeeHistory": tuple(
        PLACE.pack(day, position, 0) for day, position in ((-1, 1), (2**62, 1), (-(2**63), 1), (20_000, 2**63))
    ),
}


@pytest.mark.parametrize("kind", PAGED)
def test_a_page_token_with_a_right_checksum_and_a_key_that_is_none_is_refused(shared: Ledger, kind: str) -> None:
    keys = (*NO_KEYS, *MORE_NO_KEYS.get(kind, ()))
    assert taken(shared, PAGED[kind], [forged(shared, kind, key=key) for key in keys]) == []


@pytest.mark.parametrize("kind", PAGED)
def test_a_page_token_with_a_right_checksum_and_clocks_that_are_none_is_refused(shared: Ledger, kind: str) -> None:
    times = [forged(shared, kind, as_of_ns=as_of_ns) for as_of_ns in (-1, -(2**63), 2**63 - 1)]
    assert taken(shared, PAGED[kind], [*times, forged(shared, kind, known_position=2**64 - 1)]) == []


@pytest.mark.parametrize("kind", [kind for kind in PAGED if kind not in ("ListAccounts", "ListApplications")])
def test_a_page_of_what_is_not_known_yet_is_not_answered_with_less(shared: Ledger, kind: str) -> None:
    token = forged(shared, kind, known_position=head(shared) + 1, key=b"" if kind != "ListFeeHistory" else bytes(20))
    assert refused(shared, with_token(PAGED[kind], token)).reason == "POSITION_NOT_REACHED"


def forged(ledger: Ledger, kind: str, *, as_of_ns: int = NOON_NS, known_position: int = 4, key: bytes = b"") -> str:
    """A token for the query of a kind, made as the ledger makes them; there is a programme at position 4."""
    return encode_token(PageToken(as_of_ns, known_position, key), ledger.ledger_id, PAGED[kind])


def test_of_every_list_every_field_but_the_pages_own_has_another_query() -> None:
    for kind, rows in OTHER_QUERIES.items():
        fields = {field.name for field in PAGED[kind].DESCRIPTOR.fields} - {"page_size", "page_token"}
        assert {path.split(".")[0] for _, values in rows for path in values} == fields
