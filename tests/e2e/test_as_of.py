"""Every field of an answer as of an instant: as it was known, and in effect then; tested from both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.instants import DAY_NS
from ledger.v1 import member_query_service_pb2 as members_pb
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_service_pb2 import RegisterAccountRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.samples import request_id
from tests.server.calls import await_tables, send
from tests.server.orders import (
    application,
    approve_match,
    assign,
    ban,
    flag,
    lift,
    metric,
    reject_match,
    request_match,
    revoke,
    settle,
    tier,
    trial,
    unflag,
    verify,
)

Read = Callable[[Ledger, str, int], Any]  # the service, an account, as_of
ITSELF = "the account"
THEN_NS = NOON_NS + 3 * DAY_NS  # when it happens
DURING = {"valid_from": at(NOON_NS), "valid_until": at(NOON_NS + 40 * DAY_NS)}


def asked(kind: Any, pick: Callable[[Any], Any], **more: Any) -> Read:
    """Return what a read of one account says at an instant."""
    return lambda ledger, name, as_of_ns: pick(
        send(ledger, kind(account_id=name, at=ReadAt(as_of=at(as_of_ns)), **more))
    )


def state(field: str) -> Read:
    return asked(pb.GetVipStateRequest, lambda found: getattr(found, field))


def rates(field: str) -> Read:
    return asked(pb.GetRatesRequest, lambda found: getattr(found, field))


def member(pick: Callable[[Any], Any]) -> Read:
    return asked(members_pb.GetMembershipRequest, pick)


def entitled(pick: Callable[[Any], Any]) -> Read:
    return asked(members_pb.GetEntitlementsRequest, pick)


def match(pick: Callable[[Any], Any]) -> Read:
    return member(lambda found: pick(found.matches[0]) if found.matches else None)


def eligible() -> Read:
    volume = {"spot": "500000"}
    return asked(members_pb.CheckMatchEligibilityRequest, lambda found: found.refused_because, external_volume=volume)


def listed(field: str) -> Read:
    def read(ledger: Ledger, name: str, as_of_ns: int) -> Any:
        found = send(ledger, pb.ListAccountsRequest(as_of=at(as_of_ns))).accounts
        return next(getattr(one, field) for one in found if one.account_id == name)

    return read


def listed_with(**conditions: Any) -> Read:
    """Return whether the list of those with something holds the account."""

    def read(ledger: Ledger, name: str, as_of_ns: int) -> Any:
        said = {key: value if value != ITSELF else name for key, value in conditions.items()}
        found = send(ledger, pb.ListAccountsRequest(as_of=at(as_of_ns), **said)).accounts
        return name in [one.account_id for one in found]

    return read


def waiting(field: str) -> Read:
    """Return whether an application that waits has a field; None: none waits."""

    def read(ledger: Ledger, name: str, as_of_ns: int) -> Any:
        found = send(ledger, members_pb.ListApplicationsRequest(as_of=at(as_of_ns))).applications
        return next((one.HasField(field) for one in found if one.account_id == name), None)

    return read


def has(field: str) -> Callable[[Any], bool]:
    return lambda found: found.HasField(field)


def registered() -> Message:
    return RegisterAccountRequest(request_id=request_id(), account_id="a", owner_id="owner", parent_account_id="main")


STATUS = attrgetter("status")

# What it is; what was done before; what is done at THEN; how it is read; what it says before that, and from then on.
CASES: list[tuple[str, list[Message], Message, Read, Any, Any]] = [
    ("owner", [], registered(), state("owner_id"), ITSELF, "owner"),
    ("owner, listed", [], registered(), listed("owner_id"), ITSELF, "owner"),
    ("owner, asked for", [], registered(), listed_with(owner_id="owner"), False, True),
    ("itself, asked for", [], registered(), listed_with(owner_id=ITSELF), True, False),
    ("parent", [], registered(), state("parent_account_id"), "", "main"),
    ("parent, listed", [], registered(), listed("parent_account_id"), "", "main"),
    ("trial used", [], trial("a"), state("trial_used"), False, True),
    ("tier of a trial", [], trial("a"), state("tier"), "NONE", "VIP3"),
    ("tier, rates", [], tier("a", "VIP2"), rates("tier"), "NONE", "VIP2"),
    ("tier, listed", [], tier("a", "VIP2"), listed("tier"), "NONE", "VIP2"),
    ("tier, asked for", [], tier("a", "VIP2"), listed_with(tier="VIP2"), False, True),
    ("source, listed", [], tier("a", "VIP2"), listed("grant_source"), "", "MANUAL"),
    ("tier revoked", [tier("a", "VIP2", **DURING)], revoke("a"), state("tier"), "VIP2", "NONE"),
    ("tier, entitled", [], tier("a", "VIP5"), entitled(lambda found: found.tier), "NONE", "VIP5"),
    ("entitlements", [], tier("a", "VIP5"), entitled(lambda found: bool(found.entitlements)), False, True),
    ("manager, entitled", [tier("a", "VIP5")], assign("a"), entitled(lambda found: found.manager_id), "", "kam-1"),
    ("manager", [tier("a", "VIP5")], assign("a"), member(lambda found: found.manager_id), "", "kam-1"),
    ("banned", [], ban("a"), state("banned"), False, True),
    ("banned, rates", [], ban("a"), rates("banned"), False, True),
    ("banned, listed", [], ban("a"), listed("banned"), False, True),
    ("banned, asked for", [], ban("a"), listed_with(banned=True), False, True),
    ("lifted", [ban("a", 7)], lift("a"), state("banned"), True, False),
    ("flagged", [], flag("a"), state("flagged"), False, True),
    ("flagged, rates", [], flag("a"), rates("flagged"), False, True),
    ("flagged, listed", [], flag("a"), listed("flagged"), False, True),
    ("flagged, asked for", [], flag("a"), listed_with(flagged=True), False, True),
    ("flags", [], flag("a"), member(lambda found: len(found.flags)), 0, 1),
    ("unflagged", [flag("a")], unflag("a"), state("flagged"), True, False),
    ("flag's end", [flag("a")], unflag("a"), member(lambda one: one.flags[0].HasField("unflagged_time")), False, True),
    ("match", [], request_match("a"), match(STATUS), None, "PENDING"),
    ("match approved", [request_match("a")], approve_match("a"), match(STATUS), "PENDING", "APPROVED"),
    ("match settled", [request_match("a")], approve_match("a"), match(has("settled_time")), False, True),
    ("match's grant", [request_match("a")], approve_match("a"), match(lambda one: one.grant_id), "", "g1"),
    ("match rejected", [request_match("a")], reject_match("a"), match(STATUS), "PENDING", "REJECTED"),
    ("match revoked", [request_match("a"), approve_match("a")], revoke("a"), match(STATUS), "APPROVED",
     "REVOKED"),
    ("when revoked", [request_match("a"), approve_match("a")], revoke("a"), match(has("revoked_time")),
     False, True),
    ("eligible", [], flag("a"), eligible(), "", "ACCOUNT_FLAGGED"),
    ("application", [], application("a"), member(lambda found: len(found.applications)), 0, 1),
    ("its outcome", [application("a")], settle("a"), member(lambda found: found.applications[0].outcome), 0, 1),
    ("application waits", [], application("a"), waiting("deadline"), None, True),
    ("application settled", [application("a")], settle("a"), waiting("deadline"), True, None),
    ("application verified", [application("a")], verify("a"), waiting("verified_time"), False, True),
    ("verified", [], verify("a"), member(has("verified_time")), False, True),
    ("metrics", [], metric("a", window_until=at(THEN_NS)), member(lambda found: len(found.metrics)), 0, 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def lived(dsn: str) -> Iterator[Ledger]:
    """A service in which every case has happened, each to an account of its own: `account-0` and so on."""
    with serving(dsn, "test_as_of") as ledger:
        for number, (_, before, *_) in enumerate(CASES):
            do(ledger, number, *before)
        ledger.clock.now_ns = THEN_NS
        for number, (_, _, then, *_) in enumerate(CASES):
            do(ledger, number, then)
        await_tables(ledger)
        yield ledger


def do(ledger: Ledger, number: int, *orders: Any) -> None:
    for order in orders:
        order.account_id = f"account-{number}"
        send(ledger, order)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case[0] for case in CASES])
def test_a_field_is_as_it_was_at_the_instant_asked_about(lived: Ledger, number: int) -> None:
    _, _, _, read, before, since = CASES[number]
    name = f"account-{number}"
    assert read(lived, name, THEN_NS - 1) == (name if before == ITSELF else before)
    assert read(lived, name, lived.log.head().recorded_time_ns) == since
