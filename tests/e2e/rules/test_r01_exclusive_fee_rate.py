"""R1 over gRPC: a version is published, and fills on each side of its first instant are priced by the version then."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from ledger.domain.events import ProgrammePublished
from ledger.domain.instants import DAY_NS
from ledger.programmes import packaged
from ledger.v1.programme_service_pb2 import (
    GetProgrammeRequest,
    ListPairsRequest,
    ListProgrammesRequest,
    ProgrammeVersion,
)
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import refused, send
from tests.server.orders import classify, own_rates, publish, tier, trial

FROM_NS = NOON_NS + DAY_NS
DEARER = ('A = { maker = "-0.001%", taker = "0.03%" }', 'A = { maker = "0%", taker = "0.035%" }')  # VIP3


@pytest.fixture(autouse=True)
def _symbol(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol())


def version(ledger: Ledger, **asked: Any) -> ProgrammeVersion:
    read_at = ReadAt(**{key: asked.pop(key) for key in ("as_of", "known_at_position") if key in asked})
    found: ProgrammeVersion = send(ledger, GetProgrammeRequest(at=read_at, **asked)).programme
    return found


def rates(ledger: Ledger) -> list[tuple[str, str]]:
    return [(line.basis.programme_version, line.basis.rate) for line in history(ledger, as_of=at(FROM_NS + DAY_NS))]


def test_fills_on_each_side_of_the_first_instant_are_priced_by_the_version_then(ledger: Ledger) -> None:
    send(ledger, trial("alice"))
    request = publish("3.1", DEARER, valid_from=at(FROM_NS))
    answer = send(ledger, request)
    event = ledger.log.at(answer.receipt.position)
    assert isinstance(event.event, ProgrammePublished)
    assert (event.envelope.actor, event.envelope.approver) == ("ops-1", "ops-2")
    assert answer.programme.content_sha256 == sha256(request.content.encode()).hexdigest()
    ledger.clock.now_ns = FROM_NS
    times = [FROM_NS - 1, FROM_NS]
    ledger.fills.RecordFills(batch(*(fill(transact_time=at(time_ns)) for time_ns in times)))
    assert rates(ledger) == [("3.0", "0.0003"), ("3.1", "0.00035")]


def test_a_running_grant_keeps_its_tier_under_a_new_version(ledger: Ledger) -> None:
    """A32: the grant carries the tier, the version at the instant of the fill carries the rates."""
    send(ledger, tier("alice", "VIP3"))
    send(ledger, publish("3.1", DEARER, valid_from=at(FROM_NS)))
    before, after = (state(ledger, as_of=at(time_ns)) for time_ns in (FROM_NS - 1, FROM_NS))
    assert (before.tier, before.programme_version, before.rates[0].taker_rate) == ("VIP3", "3.0", "0.0003")
    assert (after.tier, after.programme_version, after.rates[0].taker_rate) == ("VIP3", "3.1", "0.00035")


def test_a_version_is_read_byte_for_byte_as_of_and_as_known_at_any_instant(ledger: Ledger) -> None:
    request = publish("3.1", DEARER, valid_from=at(FROM_NS))
    position = send(ledger, request).receipt.position
    assert version(ledger).content == packaged()
    assert version(ledger, as_of=at(FROM_NS - 1)).version == "3.0"
    assert version(ledger, as_of=at(FROM_NS)).content == request.content
    assert version(ledger, as_of=at(FROM_NS), known_at_position=position - 1).version == "3.0"
    assert version(ledger, version="3.1").in_force is False
    first, second = send(ledger, ListProgrammesRequest()).programmes
    assert (first.version, first.in_force, first.HasField("valid_from")) == ("3.0", True, False)
    assert first.valid_until == second.valid_from == at(FROM_NS)
    assert (second.actor, second.approver, second.position, second.content) == ("ops-1", "ops-2", position, "")


def test_a_version_comes_into_force_again_at_another_instant_with_the_same_content(ledger: Ledger) -> None:
    send(ledger, publish("3.1", DEARER, valid_from=at(FROM_NS)))
    send(ledger, publish("3.0", valid_from=at(FROM_NS + DAY_NS)))
    versions = [(one.version, one.HasField("valid_until")) for one in send(ledger, ListProgrammesRequest()).programmes]
    assert versions == [("3.0", True), ("3.1", True), ("3.0", False)]


def test_every_fault_of_a_file_is_a_violation_of_its_own(ledger: Ledger) -> None:
    request = publish("3.1", ('maker = "0.04%"', 'maker = "0.04"'), ("days_max = 7", "days_max = 0"))
    found = refused(ledger, request)
    assert (found.reason, found.field) == ("PROGRAMME_INVALID", "content")
    with pytest.raises(Exception, match="PROGRAMME_INVALID") as caught:
        send(ledger, request)
    told = BadRequest()
    assert any(detail.Unpack(told) for detail in rpc_status.from_call(caught.value).details)  # type: ignore[arg-type,union-attr]
    keys = [violation.description.split()[1] for violation in told.field_violations]
    assert keys[0] == "rates.VIP1.A.maker"
    assert any(key.startswith("ban.days") for key in keys)
    assert len(told.field_violations) >= 2


def test_a_programme_of_its_own_venue_may_start_in_the_past(ledger: Ledger) -> None:
    texts = ('id = "bitmart-api-vip"', 'id = "another"'), ('venues = ["bitmart"]', 'venues = ["elsewhere"]')
    send(ledger, publish("1", *texts, valid_from=at(NOON_NS - 365 * DAY_NS)))
    assert version(ledger, programme_id="another", as_of=at(NOON_NS - 365 * DAY_NS)).version == "1"
    assert refused(ledger, publish("2", *texts, valid_from=at(NOON_NS - DAY_NS))).reason == "PROGRAMME_IN_THE_PAST"


def test_a_class_changes_for_fills_from_its_first_instant_on(ledger: Ledger) -> None:
    """A19: the class is taken at the instant of the fill."""
    send(ledger, tier("alice", "VIP1"))
    send(ledger, classify("XRP_USDT", "B", valid_from=at(FROM_NS)))
    ledger.clock.now_ns = FROM_NS
    ledger.fills.RecordFills(batch(*(fill(transact_time=at(time_ns)) for time_ns in (FROM_NS - 1, FROM_NS))))
    assert rates(ledger) == [("3.0", "0.0005"), ("3.0", "0.0012")]
    assert pairs(ledger, FROM_NS - 1) == [("A", "", "")]
    assert pairs(ledger, FROM_NS) == [("B", "", "")]


def test_rates_of_a_pair_bind_every_tier_until_they_end_and_never_those_without_a_tier(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP1"))
    send(ledger, own_rates("XRP_USDT", taker="0.0001", valid_from=at(FROM_NS)))
    send(ledger, own_rates("XRP_USDT", valid_from=at(FROM_NS + 2)))
    ledger.clock.now_ns = FROM_NS + DAY_NS
    times = (FROM_NS - 1, FROM_NS, FROM_NS + 1, FROM_NS + 2)
    fills = [fill(account_id=name, transact_time=at(time_ns)) for name in ("alice", "bob") for time_ns in times]
    ledger.fills.RecordFills(batch(*fills))
    assert [rate for _, rate in rates(ledger)] == ["0.0005", "0.0001", "0.0001", "0.0005"]
    assert {line.basis.rate for line in history(ledger, "bob", as_of=at(FROM_NS + DAY_NS))} == {"0.0025"}
    sources = [line.basis.rate_source for line in history(ledger, as_of=at(FROM_NS + DAY_NS))]
    assert sources == ["TIER", "PAIR", "PAIR", "TIER"]
    assert pairs(ledger, FROM_NS + 1) == [("A", "", "0.0001")]
    assert pairs(ledger, FROM_NS + 2) == [("A", "", "")]


def test_a_rebate_of_a_pair_goes_as_far_as_the_other_side_pays(ledger: Ledger) -> None:
    assert refused(ledger, own_rates("XRP_USDT", maker="-0.000201")).reason == "NEGATIVE_NET_PAIR"
    assert send(ledger, own_rates("XRP_USDT", maker="-0.0002")).receipt.position


def test_a_new_version_is_refused_if_rates_of_a_pair_would_make_it_a_money_pump(ledger: Ledger) -> None:
    send(ledger, own_rates("XRP_USDT", maker="-0.0002"))
    cheaper = ('A = { maker = "-0.001%", taker = "0.02%" }', 'A = { maker = "-0.001%", taker = "0.015%" }')  # VIP5
    assert refused(ledger, publish("3.1", cheaper)).reason == "NEGATIVE_NET_PAIR"
    send(ledger, own_rates("XRP_USDT", valid_from=at(FROM_NS)))
    assert refused(ledger, publish("3.2", cheaper, valid_from=at(FROM_NS - 1))).reason == "NEGATIVE_NET_PAIR"
    assert send(ledger, publish("3.3", cheaper, valid_from=at(FROM_NS))).receipt.position


def pairs(ledger: Ledger, as_of_ns: int) -> list[tuple[str, str, str]]:
    found = send(ledger, ListPairsRequest(at=ReadAt(as_of=at(as_of_ns)))).pairs
    return [(pair.pair_class, pair.maker_rate, pair.taker_rate) for pair in found]
