"""R1 over gRPC: a version is published, and fills on each side of its first instant are priced by the version then."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from ledger.domain.events import ProgrammePublished
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text, mantissa
from ledger.programmes import packaged
from ledger.v1.fill_pb2 import FillRef
from ledger.v1.programme_service_pb2 import (
    GetProgrammeRequest,
    ListPairsRequest,
    ListProgrammesRequest,
    ProgrammeVersion,
)
from ledger.v1.query_service_pb2 import GetFillRequest, GetRatesRequest, QuoteFeeRequest
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Ledger, at
from tests.projections.audited import audit
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


def test_rates_of_a_pair_bind_everybody_until_they_end(ledger: Ledger) -> None:
    send(ledger, tier("alice", "VIP1"))
    send(ledger, own_rates("XRP_USDT", taker="0.0001", valid_from=at(FROM_NS)))
    send(ledger, own_rates("XRP_USDT", valid_from=at(FROM_NS + 2)))
    ledger.clock.now_ns = FROM_NS + DAY_NS
    times = (FROM_NS - 1, FROM_NS, FROM_NS + 1, FROM_NS + 2)
    fills = [fill(account_id=name, transact_time=at(time_ns)) for name in ("alice", "bob") for time_ns in times]
    ledger.fills.RecordFills(batch(*fills))
    assert [rate for _, rate in rates(ledger)] == ["0.0005", "0.0001", "0.0001", "0.0005"]
    without = history(ledger, "bob", as_of=at(FROM_NS + DAY_NS))
    assert [line.basis.rate for line in without] == ["0.0025", "0.0001", "0.0001", "0.0025"]
    assert [line.basis.rate_source for line in without] == ["BASE", "PAIR", "PAIR", "BASE"]
    sources = [line.basis.rate_source for line in history(ledger, as_of=at(FROM_NS + DAY_NS))]
    assert sources == ["TIER", "PAIR", "PAIR", "TIER"]
    assert pairs(ledger, FROM_NS + 1) == [("A", "", "0.0001")]
    assert pairs(ledger, FROM_NS + 2) == [("A", "", "")]


@pytest.mark.parametrize("by", ["call", "file"])
def test_public_rates_of_a_class_and_rates_of_a_pair_are_what_every_answer_says(
    ledger: Ledger, dsn: str, schema: str, by: str
) -> None:
    """Standard users pay 0.5 % in class C; BOTH_USDT costs everybody 12.25 %, ONE_USDT costs takers that."""
    own = {"BOTH_USDT": ("0.1225", "0.1225"), "ONE_USDT": ("", "0.1225")}
    for name in ("PLAIN_USDT", *own):
        send(ledger, symbol(name, pair_class="C"))
    texts = [("fixture = true", '[base_rates.C]\nmaker = "0.5%"\ntaker = "0.5%"')]
    if by == "file":
        rows = '[overrides.BOTH_USDT]\nmaker = "12.25%"\ntaker = "12.25%"\n[overrides.ONE_USDT]\ntaker = "12.25%"\n'
        texts.append(("[volume]\n", f"{rows}[volume]\n"))
    send(ledger, publish("3.1", *texts))
    for name, (maker, taker) in own.items() if by == "call" else ():
        send(ledger, own_rates(name, maker, taker))
    send(ledger, tier("alice", "VIP1"))
    ledger.clock.now_ns += 10**9  # after all of these, which were recorded at one time
    public = {"PLAIN_USDT": ("0.005", "0.005"), "BOTH_USDT": ("0.1225", "0.1225"), "ONE_USDT": ("0.005", "0.1225")}
    member = {"PLAIN_USDT": ("0.002", "0.0024"), "BOTH_USDT": ("0.1225", "0.1225"), "ONE_USDT": ("0.002", "0.1225")}
    for account_id, expected in (("alice", member), ("bob", public)):
        found = {name: tuple(_everywhere(ledger, account_id, name, side) for side in (1, 2)) for name in expected}
        assert found == expected
        told = send(ledger, GetRatesRequest(account_id=account_id))
        (of_class,) = [row for row in told.rates if row.pair_class == "C"]
        assert (of_class.maker_rate, of_class.taker_rate) == expected["PLAIN_USDT"]
        assert {row.symbol: (row.maker_rate, row.taker_rate) for row in told.own_rates} == {
            name: expected[name] for name in own
        }
    assert audit(dsn, schema)[0] == []


def _everywhere(ledger: Ledger, account_id: str, name: str, liquidity: int) -> str:
    """The rate of a pair by a quote, by a fill, and in the words that explain it: one and the same."""
    kind: dict[str, Any] = {"account_id": account_id, "symbol": name, "side": 1, "liquidity": liquidity, "channel": 1}
    quoted = send(ledger, QuoteFeeRequest(**kind, last_px="0.5", last_qty="10"))
    one = fill(**kind, exec_id=f"{account_id}-{name}-{liquidity}", transact_time=at(ledger.clock.now_ns))
    ledger.fills.RecordFills(batch(one))
    ref = FillRef(account_id=account_id, exec_id=one.exec_id, day=day_text(ledger.clock.now_ns // DAY_NS))
    known = send(ledger, GetFillRequest(fill_ref=ref))
    rate = known.line.basis.rate
    assert (quoted.fee_basis.rate, quoted.fee_amount) == (rate, known.line.fee_amount)
    own = name == "BOTH_USDT" or (name == "ONE_USDT" and liquidity == 2)
    source = "PAIR" if own else "TIER" if account_id == "alice" else "BASE"
    assert quoted.fee_basis.rate_source == known.line.basis.rate_source == source
    said = [one.text for one in known.explanation if one.code in ("PAIR_RATE", "TIER_RATE", "BASE_RATE")]
    assert f"{decimal_text(mantissa(rate, 6) or 0, 4)} %" in said[0]
    return str(rate)


def test_an_override_of_a_symbol_that_nobody_registered_is_refused(ledger: Ledger) -> None:
    row = ("[volume]\n", '[overrides.XRP_USDTT]\ntaker = "1%"\n[volume]\n')
    found = refused(ledger, publish("3.1", row))
    assert (found.reason, found.field) == ("SYMBOL_UNKNOWN", "content")
    send(ledger, symbol("XRP_USDTT"))
    assert send(ledger, publish("3.1", row)).receipt.position


def test_an_override_of_a_file_is_looked_at_with_the_class_that_the_pair_has(ledger: Ledger) -> None:
    row = ("[volume]\n", '[overrides.XRP_USDT]\nmaker = "-0.05%"\npair_class = "C"\n[volume]\n')
    assert refused(ledger, publish("3.1", row)).reason == "NEGATIVE_NET_PAIR", "XRP_USDT is in class A"
    send(ledger, classify("XRP_USDT", "C", valid_from=at(FROM_NS)))
    assert send(ledger, publish("3.2", row, valid_from=at(FROM_NS))).receipt.position


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
