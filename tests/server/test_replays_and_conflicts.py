"""What stands for one request, and for one fill, for ever: the same again, or something else under the same name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from ledger.domain.events import CommandRefused, SourceAdvanced
from ledger.domain.instants import SECOND_NS
from ledger.domain.refusal import Reason
from ledger.v1 import command_service_pb2 as pb
from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_pb2 import Fill
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import batch, fill, history, request_id, symbol
from tests.server.calls import expected, head, method_of, outcome, refused, said, send, sha256
from tests.server.columns import columns_of
from tests.server.good_requests import AUTHORITY, a_new, full_fill, leaves, put
from tests.server.instants import A_DAY_AGO, BEFORE_NOON, IN_A_DAY, NOON
from tests.server.orders import ban, currency, lift, register, revoke, tier, trial

OTHER_BODIES: Final[Sequence[tuple[str, Message, Mapping[str, Any]]]] = [
    ("another account", register("n1"), {"account_id": "n1x"}),
    ("another owner", register("n2"), {"owner_id": "n2x"}),
    ("the default in words", register("n3"), {"owner_id": "n3"}),
    ("another actor", register("n4"), {"authority.actor": "n4x"}),
    ("another approver", register("n5"), {"authority.approver": "n5x"}),
    ("other terms", symbol("N1_USDT"), {"price_scale": 7}),
    ("other decimals", currency("N1"), {"decimals": 7}),
    ("another start", trial("n6"), {"start_time": BEFORE_NOON}),
    ("another tier", tier("n7"), {"tier": "VIP2"}),
    ("another end", tier("n8"), {"valid_until": IN_A_DAY}),
    ("other days", ban("n9"), {"days": 2}),
    ("another account, after a refusal", revoke("n10"), {"account_id": "n10x"}),
    ("another time, after a refusal", lift("n11"), {"lift_time": BEFORE_NOON}),
]


@pytest.mark.parametrize(
    ("kind", "first", "values"), OTHER_BODIES, ids=[f"{method_of(first)}: {kind}" for kind, first, _ in OTHER_BODIES]
)
def test_a_request_id_stands_for_one_body_for_ever(
    shared: Ledger, kind: str, first: Message, values: Mapping[str, Any]
) -> None:
    answered = outcome(shared, first)
    before = head(shared)
    other = type(first).FromString(first.SerializeToString())
    for path, value in values.items():
        put(other, path, value)
    found = refused(shared, other)
    assert said(found) == expected(Reason.REQUEST_ID_REUSED, "request_id")
    assert outcome(shared, first) == answered, "the first body still gets the first answer"
    assert head(shared) == before


# What may be erased: (what differs, the request as it came first, values of the resend).
ALIKE: Final[Sequence[tuple[str, Message, Mapping[str, Any]]]] = [
    ("another reason", register("n30"), {"authority.reason": "because"}),
    ("another ticket", tier("n31"), {"authority.ticket": "T-99"}),
    ("neither", trial("n32", authority=AUTHORITY), {"authority.ticket": None, "authority.reason": None}),
    ("no authority", trial("n33", authority=Authority(reason="because")), {"authority": None}),
    ("another reason, after a refusal", revoke("n34"), {"authority.reason": "because"}),
]


@pytest.mark.parametrize(("kind", "first", "values"), ALIKE, ids=[kind for kind, _, _ in ALIKE])
def test_a_resend_that_differs_in_what_may_be_erased_alone_is_a_replay(
    shared: Ledger, kind: str, first: Message, values: Mapping[str, Any]
) -> None:
    answered = outcome(shared, first)
    before = head(shared)
    other = type(first).FromString(first.SerializeToString())
    for path, value in values.items():
        put(other, path, value)
    assert other != first
    assert outcome(shared, other) == answered
    assert head(shared) == before


def test_what_this_release_does_not_know_of_a_request_is_no_part_of_it(shared: Ledger) -> None:
    first = register("n40")
    send(shared, first)
    newer = type(first).FromString(first.SerializeToString() + b"\xfa\x3f\x01x")
    assert send(shared, newer).receipt.replayed


# The second command has the bytes of the first, but for its type: fields of the same numbers and types.
SAME_BYTES: Final[Sequence[tuple[Message, type[Message]]]] = [
    (register("s1"), pb.StartTrialRequest),
    (register("s2"), pb.RegisterCurrencyRequest),
    (register("s3", "VIP1"), pb.ChangeTierRequest),
    (register("s4", "g1"), pb.RevokeTierRequest),
    (register("s5"), pb.LiftBanRequest),
    (trial("s6"), pb.RegisterAccountRequest),
    (trial("s7"), pb.RegisterCurrencyRequest),
    (trial("s8"), pb.LiftBanRequest),
    (trial("s9", start_time=NOON), pb.LiftBanRequest),
    (tier("s10"), pb.RegisterAccountRequest),
    (tier("s11"), pb.RevokeTierRequest),
    (revoke("s12"), pb.RegisterAccountRequest),
    (revoke("s13", "VIP1"), pb.ChangeTierRequest),
    (lift("s14"), pb.StartTrialRequest),
    (lift("s15"), pb.RegisterCurrencyRequest),
    (currency("S16", 0), pb.RegisterAccountRequest),
    (currency("S17", 0), pb.StartTrialRequest),
]


@pytest.mark.parametrize(
    ("first", "kind"), SAME_BYTES, ids=[f"{method_of(first)} then {kind.__name__}" for first, kind in SAME_BYTES]
)
def test_a_request_id_stands_for_one_command_even_where_another_has_the_same_bytes(
    shared: Ledger, first: Message, kind: type[Message]
) -> None:
    outcome(shared, first)
    before = head(shared)
    second = kind.FromString(first.SerializeToString())
    assert said(refused(shared, second)) == expected(Reason.REQUEST_ID_REUSED, "request_id")
    assert head(shared) == before


def test_a_request_id_stands_for_one_command_even_where_bodies_differ(shared: Ledger) -> None:
    first = register("n20")
    send(shared, first)
    for other in (trial("n21"), tier("n21"), ban("n21"), symbol("N21_USDT"), currency("N21")):
        other.request_id = first.request_id
        assert said(refused(shared, other)) == expected(Reason.REQUEST_ID_REUSED, "request_id")


def test_a_malformed_command_does_not_take_its_request_id(shared: Ledger) -> None:
    name = request_id()
    assert refused(shared, ban("n22", days=8, request_id=name)).reason == "BAN_DAYS_OUT_OF_RANGE"
    assert not send(shared, ban("n22", days=7, request_id=name)).receipt.replayed


# Every field of a fill but its name, with another value: (path, value); None: no longer said.
OTHER_CONTENT: Final[Sequence[tuple[str, Any]]] = [
    ("symbol", "XRP_FUTURES"),
    ("symbol", "NO_SUCH"),
    ("side", 2),
    ("liquidity", 1),
    ("last_px", "0.50000001"),
    ("last_px", "0.500000000000000001"),
    ("last_qty", "10.0001"),
    ("transact_time", at(NOON_NS + 1)),
    ("transact_time", at(NOON_NS - SECOND_NS)),
    ("trade_id", "T2"),
    ("trade_id", None),
    ("order_id", "O2"),
    ("order_id", None),
    ("cl_ord_id", "C2"),
    ("cl_ord_id", None),
    ("order_time", at(NOON_NS - SECOND_NS + 1)),
    ("order_time", None),
    ("owner_id", "other"),
    ("owner_id", None),
    ("counterparty_owner_id", "other"),
    ("counterparty_owner_id", None),
    ("channel", 2),
    ("channel", None),
    ("product", 2),
    ("token_payment.token", "BTC"),
    ("token_payment.price", "0.21"),
    ("token_payment.price", None),
    ("token_payment.price_source", "a guess"),
    ("token_payment.price_source", None),
    ("token_payment", None),
    ("charged_fee.amount", "0.0126"),
    ("charged_fee.amount", "-0.0125"),
    ("charged_fee.currency", "XRP"),
    ("charged_fee.rate", "0.0026"),
    ("charged_fee.rate", None),
    ("charged_fee", None),
]
NAME_OF_A_FILL: Final = {"account_id", "exec_id"}  # and the day of transact_time


def test_every_field_of_a_fill_but_its_name_has_other_content() -> None:
    assert set(leaves(Fill.DESCRIPTOR)) - {path for path, _ in OTHER_CONTENT} == NAME_OF_A_FILL


@pytest.mark.parametrize(("path", "value"), OTHER_CONTENT, ids=lambda value: str(value).strip().replace("\n", " "))
def test_a_fill_resent_with_other_content_is_a_conflict_and_recorded_as_one(
    markets: Ledger, path: str, value: Any
) -> None:
    account = a_new("conflict")
    first, other = full_fill(account_id=account), full_fill(account_id=account)
    markets.fills.RecordFills(batch(first))
    changed = Fill.FromString(first.SerializeToString())
    put(changed, path, value)
    answer = markets.fills.RecordFills(batch(changed, other))
    conflict = (0, Reason.FILL_CONFLICT.value, "exec_id")
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [conflict]
    assert (answer.recorded, answer.replayed) == (1, 0)
    last = markets.log.last_of(f"account/{account}")
    assert last is not None
    assert isinstance(last.event, CommandRefused)
    assert (last.event.command, last.event.reason) == ("RecordFills", Reason.FILL_CONFLICT)
    assert last.event.fill_sha256 == sha256(changed)


SAME_CONTENT: Final[Sequence[tuple[str, Any]]] = [
    ("last_px", "00.50"),
    ("last_qty", "10.000000000000000000"),
    ("product", None),
    ("token_payment.price", "0.200"),
    ("charged_fee.amount", "0.01250"),
    ("charged_fee.rate", "00.0025"),
]


@pytest.mark.parametrize(("path", "value"), SAME_CONTENT, ids=str)
def test_a_fill_resent_in_other_words_is_the_same_fill(shared: Ledger, path: str, value: Any) -> None:
    first = full_fill(account_id=a_new("same"))
    answer = shared.fills.RecordFills(batch(first))
    put(first, path, value)
    again = shared.fills.RecordFills(batch(first))
    assert (again.recorded, again.replayed, list(again.refusals)) == (0, 1, [])
    assert (list(again.fees), again.position) == (list(answer.fees), answer.position)


@pytest.mark.parametrize("source", ["", "twice"])
@pytest.mark.parametrize("form", ["rows", "columns"])
def test_the_same_fill_twice_in_a_batch_is_a_replay_and_another_one_of_its_name_a_conflict(
    shared: Ledger, source: str, form: str
) -> None:
    account = a_new("twice")
    first, second = fill(account_id=account), fill(account_id=account)
    other = Fill.FromString(first.SerializeToString())
    other.last_px = "2"
    asked = batch(first, second, first, other, second)
    if source:
        asked.source, asked.first_sequence = account, 1
    if form == "columns":
        asked.columns.CopyFrom(columns_of(asked.fills))
        asked.ClearField("fills")
    answer = shared.fills.RecordFills(asked)
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [
        (3, Reason.FILL_CONFLICT.value, "exec_id")
    ]
    assert (answer.recorded, answer.replayed) == (2, 2)
    assert [bool(fee.fee_amount) for fee in answer.fees] == [True, True, True, False, True]
    assert [line.fill_ref.exec_id for line in history(shared, account)] == [first.exec_id, second.exec_id]
    last = shared.log.last_of(f"source/{account}" if source else f"account/{account}")
    assert last is not None
    assert isinstance(last.event, SourceAdvanced if source else CommandRefused)


def test_an_exec_id_is_another_fill_under_another_account_or_day(shared: Ledger) -> None:
    first = fill(account_id="names")
    other_account = fill(account_id="names-2", exec_id=first.exec_id)
    other_day = fill(account_id="names", exec_id=first.exec_id, transact_time=A_DAY_AGO)
    answer = shared.fills.RecordFills(batch(first, other_account, other_day))
    assert (answer.recorded, answer.replayed, list(answer.refusals)) == (3, 0, [])
