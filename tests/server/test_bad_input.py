"""Every field of every request with every kind of bad value that fits it, over gRPC.

`FIELDS` says what each field is, and so which values are bad for it; `ROWS` are the faults that lie between fields, or
between a field and the ledger. The requests come from the descriptors of package ledger.v1: a field, an RPC or a
service that nobody gave a row fails `test_every_field_of_every_request_has_a_row`. Extend the tables, not the tests.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, count
from typing import Any, Final, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

import ledger.v1
from ledger.__main__ import running
from ledger.config import Config
from ledger.domain.events import CommandRefused, SourceAdvanced
from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS, SECOND_NS
from ledger.domain.refusal import Reason
from ledger.v1 import command_service_pb2 as pb
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_pb2 import ChargedFee, Fill, TokenPayment
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest, RecordFillsResponse
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetVipStateRequest, ListFeeHistoryRequest
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, Clock, Ledger, StartLedger, Status, at, refusal
from tests.samples import batch, fill, history, request_id, state, symbol

SKEW_NS: Final = 60 * SECOND_NS
BATCH_MAX: Final = 400  # fills in one batch of the shared ledger
CALL_S_MAX: Final = 20  # a call without an answer by then hangs
BAD: Final = 1  # index of the fill that a bad value goes into; good ones lie around it

# The status code of each reason; those of shape, below 100, are all INVALID_ARGUMENT.
CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.SEQUENCE_GAP: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.ACCOUNT_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.SYMBOL_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.CURRENCY_ALREADY_REGISTERED: grpc.StatusCode.ALREADY_EXISTS,
    Reason.VENUE_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PROGRAMME_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.PAIR_CLASS_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.TIER_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.GRANT_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.TRIAL_ALREADY_USED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_A_NEW_MEMBER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.GRANT_ENDED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_BANNED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.POSITION_NOT_REACHED: grpc.StatusCode.UNAVAILABLE,
    Reason.POSITION_AHEAD: grpc.StatusCode.OUT_OF_RANGE,
}

# -- what is bad for a field of a kind: {kind of bad value: (value, reason)} -------------------------------------------

Bad = Mapping[str, tuple[Any, Reason]]


def bad(reason: Reason, **values: Any) -> Bad:
    """Values that are refused with one reason, by what is wrong with them."""
    return {kind.replace("_", " "): (value, reason) for kind, value in values.items()}


OPTIONAL_ID: Final = bad(
    Reason.ID_MALFORMED,
    of_65_characters="i" * 65,
    of_10_kB="i" * 10_000,
    with_a_space="ali ce",
    with_a_space_before=" alice",
    with_a_slash="ali/ce",
    with_a_newline_in_the_middle="ali\nce",
    with_a_newline_at_the_end="alice\n",
    with_a_carriage_return="alice\r",
    with_a_control_character="ali\x07ce",
    with_a_NUL="alice\x00",
    with_an_accent="\u00e9lise",
    not_in_NFC="e\u0301lise",
    in_full_width="\uff41lice",
)
REQUIRED_ID: Final = {**bad(Reason.FIELD_REQUIRED, empty=""), **OPTIONAL_ID}


def text_of(characters_max: int) -> Bad:
    """Free text of at most so many characters."""
    return bad(
        Reason.TEXT_MALFORMED,
        over_the_limit="t" * (characters_max + 1),
        of_accents_over_the_limit="\u00e9" * (characters_max + 1),
        with_a_newline_in_the_middle="one\ntwo",
        with_a_newline_at_the_end="one\n",
        with_a_tab="one\ttwo",
        with_a_NUL="one\x00",
        with_a_DEL="one\x7f",
        with_a_C1_control="one\x85",
        not_in_NFC="re\u0301sume\u0301",
    )


OPTIONAL_DECIMAL: Final = bad(
    Reason.DECIMAL_MALFORMED,
    with_an_exponent="1e5",
    with_a_capital_exponent="1E5",
    not_a_number="NaN",
    infinite="Infinity",
    minus_zero="-0",
    minus_zero_with_decimals="-0.00",
    with_a_plus="+1",
    with_two_signs="--1",
    without_a_whole_part=".5",
    without_decimals_after_the_point="1.",
    with_two_points="1.2.3",
    with_a_comma="1,5",
    with_a_space_before=" 1",
    with_a_space_after="1 ",
    with_a_newline_at_the_end="1\n",
    with_an_underscore="1_000",
    with_a_NUL="1\x00",
    in_full_width_digits="\uff11\uff12",
    in_arabic_digits="\u0661",
    with_a_true_minus_sign="\u22121",
    hexadecimal="0x1",
    of_19_decimals="0." + "1" * 19,
    of_21_digits="1" * 21,
    of_40_digits="1" * 40,
    of_10_kB="1" * 10_000,
)
DECIMAL: Final = {**bad(Reason.FIELD_REQUIRED, empty=""), **OPTIONAL_DECIMAL}
_ZERO_OR_LESS: Final = bad(
    Reason.NOT_POSITIVE,
    zero="0",
    zero_with_decimals="0.000000000000000000",
    zeros="000",
    negative="-1",
    a_little_negative="-0.000000000000000001",
)
OPTIONAL_AMOUNT: Final = {**OPTIONAL_DECIMAL, **_ZERO_OR_LESS}
AMOUNT: Final = {**DECIMAL, **_ZERO_OR_LESS}

_NANOS_OUT_OF_RANGE: Final = bad(
    Reason.TIME_MALFORMED,
    with_nanos_of_minus_1=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=-1),
    with_the_least_nanos=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=-(2**31)),
    with_nanos_of_1e9=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=SECOND_NS),
    with_nanos_of_1e9_in_1970=Timestamp(nanos=SECOND_NS),
)
_OUT_OF_RANGE: Final = bad(
    Reason.TIME_OUT_OF_RANGE,
    just_before_1970=at(-1),
    before_all_time=Timestamp(seconds=-(2**63)),
    just_after_2200=at(LATEST_NS + 1),
    after_all_time=Timestamp(seconds=2**63 - 1, nanos=SECOND_NS - 1),
)
TIME_ASKED: Final = {**_NANOS_OUT_OF_RANGE, **_OUT_OF_RANGE}
TIME: Final = {
    **TIME_ASKED,
    **bad(Reason.TIME_OUT_OF_RANGE, given_but_empty=Timestamp(), just_before_2009=at(EARLIEST_NS - 1)),
}
PAST_TIME: Final = {
    **TIME,
    **bad(
        Reason.TIME_IN_FUTURE,
        just_beyond_the_skew=at(NOON_NS + SKEW_NS + 1),
        tomorrow=at(NOON_NS + DAY_NS),
        just_before_2200=at(LATEST_NS - 1),
    ),
}
REQUIRED_PAST_TIME: Final = {**bad(Reason.FIELD_REQUIRED, missing=None), **PAST_TIME}


def enum_up_to(known: int) -> Bad:
    """An enum that may be left out; numbers from 1 to `known` mean something."""
    numbers = (known + 1, 9, -1, 2**31 - 1, -(2**31))
    return bad(Reason.ENUM_UNSPECIFIED, **{f"unknown_{number}": number for number in numbers})


def required_enum_up_to(known: int) -> Bad:
    """An enum that must be given."""
    return {**bad(Reason.ENUM_UNSPECIFIED, unspecified=0), **enum_up_to(known)}


SCALE: Final = bad(Reason.SCALE_OUT_OF_RANGE, of_19=19, the_greatest_number=2**32 - 1)
BAN_DAYS: Final = bad(Reason.BAN_DAYS_OUT_OF_RANGE, of_0=0, of_8=8, the_greatest_number=2**32 - 1)
PAGE_SIZE: Final = bad(Reason.PAGE_SIZE_OUT_OF_RANGE, negative=-1, the_least_number=-(2**31))
PAGE_TOKEN: Final = bad(
    Reason.PAGE_TOKEN_INVALID,
    random_text="next page, please",
    of_one_character="A",
    in_the_right_alphabet="A" * 102,
    not_ASCII="\u00e9" * 102,
    with_a_NUL="\x00",
    of_10_kB="A" * 10_000,
)
LEFT_TO_ROWS: Final[Bad] = {}  # no value is bad by itself: see `ROWS`

# -- what each field is ------------------------------------------------------------------------------------------------

COMMAND: Final[Mapping[str, Bad]] = {
    "request_id": REQUIRED_ID,
    "authority.actor": OPTIONAL_ID,
    "authority.approver": OPTIONAL_ID,
    "authority.ticket": text_of(200),
    "authority.reason": text_of(2_000),
}

FILL: Final[Mapping[str, Bad]] = {
    "account_id": REQUIRED_ID,
    "exec_id": REQUIRED_ID,
    "symbol": REQUIRED_ID,
    "side": required_enum_up_to(2),
    "liquidity": required_enum_up_to(2),
    "last_px": AMOUNT,
    "last_qty": AMOUNT,
    "transact_time": REQUIRED_PAST_TIME,
    "trade_id": OPTIONAL_ID,
    "order_id": OPTIONAL_ID,
    "cl_ord_id": OPTIONAL_ID,
    "order_time": PAST_TIME,  # "when the order was accepted" has happened
    "owner_id": OPTIONAL_ID,
    "counterparty_owner_id": OPTIONAL_ID,
    "channel": enum_up_to(3),
    "product": enum_up_to(2),
    "token_payment.token": REQUIRED_ID,
    "token_payment.price": OPTIONAL_AMOUNT,
    "token_payment.price_source": text_of(200),
    "charged_fee.amount": DECIMAL,
    "charged_fee.currency": REQUIRED_ID,
    "charged_fee.rate": OPTIONAL_DECIMAL,
}

READ_AT: Final[Mapping[str, Bad]] = {
    "at.as_of": TIME_ASKED,
    "at.known_at_position": LEFT_TO_ROWS,
    "at.known_at_time": TIME_ASKED,
    "at.min_position": LEFT_TO_ROWS,
}

FIELDS: Final[Mapping[str, Mapping[str, Bad]]] = {
    "RegisterAccount": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "owner_id": OPTIONAL_ID,
        "parent_account_id": OPTIONAL_ID,
        "registered_time": PAST_TIME,
    },
    "RegisterSymbol": {
        **COMMAND,
        "symbol": REQUIRED_ID,
        "base_currency": REQUIRED_ID,
        "quote_currency": REQUIRED_ID,
        "product": enum_up_to(2),
        "price_scale": SCALE,
        "quantity_scale": SCALE,
        "valid_from": TIME,
        "pair_class": OPTIONAL_ID,
        "programme_id": OPTIONAL_ID,
    },
    "RegisterCurrency": {
        **COMMAND,
        "currency": REQUIRED_ID,
        "decimals": SCALE,
    },
    "StartTrial": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "start_time": PAST_TIME,
        "programme_id": OPTIONAL_ID,
    },
    "ChangeTier": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "tier": REQUIRED_ID,
        "valid_from": TIME,
        "valid_until": TIME,
        "programme_id": OPTIONAL_ID,
    },
    "RevokeTier": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "grant_id": REQUIRED_ID,
        "revoke_time": TIME,
    },
    "BanAccount": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "days": BAN_DAYS,
        "start_time": PAST_TIME,
        "reason_code": REQUIRED_ID,
    },
    "LiftBan": {
        **COMMAND,
        "account_id": REQUIRED_ID,
        "lift_time": PAST_TIME,
    },
    "RecordFills": {
        "venue": OPTIONAL_ID,
        "source": OPTIONAL_ID,
        "first_sequence": LEFT_TO_ROWS,
        "fills": LEFT_TO_ROWS,
        **{f"fills.{path}": kinds for path, kinds in FILL.items()},
        "actor": OPTIONAL_ID,
    },
    "GetSourcePosition": {
        "source": REQUIRED_ID,
    },
    "GetVipState": {
        "account_id": REQUIRED_ID,
        **READ_AT,
        "programme_id": OPTIONAL_ID,
    },
    "ListFeeHistory": {
        "account_id": REQUIRED_ID,
        **READ_AT,
        "from_time": TIME_ASKED,
        "until_time": TIME_ASKED,
        "page_size": PAGE_SIZE,
        "page_token": PAGE_TOKEN,
    },
}

# Fields for which no value is bad, and why.
NOTHING_IS_BAD: Final[Mapping[tuple[str, str], str]] = {
    ("RecordFills", "include_fees"): "a bool: the caller wants the fees or not",
}


class Row(NamedTuple):
    """A good request of a method with some values set is refused: with a reason, naming a field.

    `values` are by the path of their field, None clears one. The first path is the field the row is about, and the one
    named, unless `named` says another.
    """

    method: str
    kind: str
    values: Mapping[str, Any]
    reason: Reason
    named: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.kind}"

    @property
    def path(self) -> str:
        """The field the row is about."""
        return next(iter(self.values))

    @property
    def field(self) -> str:
        """The field in the metadata of the refusal."""
        return self.named or self.path.replace("fills.", f"fills[{BAD}].")


NOON: Final = at(NOON_NS)
BEFORE_NOON: Final = at(NOON_NS - 1)
IN_A_DAY: Final = at(NOON_NS + DAY_NS)
A_DAY_AGO: Final = at(NOON_NS - DAY_NS)
AT_SKEW: Final = at(NOON_NS + SKEW_NS)
FIRST: Final = at(EARLIEST_NS)
LAST: Final = at(LATEST_NS - 1)
AHEAD: Final = 1_000_000_000  # a position the log does not reach here
U64_MAX: Final = 2**64 - 1
TOO_MANY: Final = [fill() for _ in range(BATCH_MAX + 1)]
ONCE: Final = fill()
SAME_ID: Final = fill(exec_id=ONCE.exec_id, last_px="2")
SAME_DAY: Final = fill(exec_id=ONCE.exec_id, transact_time=BEFORE_NOON)

ROWS: Final[Sequence[Row]] = [
    Row("RecordFills", "without a source", {"first_sequence": 1}, Reason.SEQUENCE_MALFORMED, "source"),
    Row("RecordFills", "without a number", {"source": "engine"}, Reason.SEQUENCE_MALFORMED, "first_sequence"),
    Row("RecordFills", "leaving a gap", {"first_sequence": 2, "source": "nobody"}, Reason.SEQUENCE_GAP),
    Row("RecordFills", "leaving the widest gap", {"first_sequence": U64_MAX, "source": "nobody"}, Reason.SEQUENCE_GAP),
    Row("RecordFills", "empty", {"fills": []}, Reason.BATCH_EMPTY),
    Row("RecordFills", "over the limit", {"fills": TOO_MANY}, Reason.BATCH_TOO_LARGE),
    Row("RecordFills", "one twice", {"fills": [ONCE, ONCE]}, Reason.FILL_TWICE_IN_BATCH, "fills[1].exec_id"),
    Row("RecordFills", "id twice", {"fills": [ONCE, fill(), SAME_ID]}, Reason.FILL_TWICE_IN_BATCH, "fills[2].exec_id"),
    Row("RecordFills", "id twice a day", {"fills": [ONCE, SAME_DAY]}, Reason.FILL_TWICE_IN_BATCH, "fills[1].exec_id"),
    Row("RecordFills", "an empty one", {"fills": [fill(), Fill()]}, Reason.FIELD_REQUIRED, "fills[1].account_id"),
    Row("RecordFills", "unknown", {"venue": "nowhere"}, Reason.VENUE_UNKNOWN),
    Row("ChangeTier", "before valid_from", {"valid_until": BEFORE_NOON, "valid_from": NOON}, Reason.INTERVAL_EMPTY),
    Row("ChangeTier", "equal to valid_from", {"valid_until": NOON, "valid_from": NOON}, Reason.INTERVAL_EMPTY),
    Row("ChangeTier", "before now", {"valid_until": BEFORE_NOON, "valid_from": None}, Reason.INTERVAL_EMPTY),
    Row("GetVipState", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetVipState", "beyond the log", {"at.known_at_position": AHEAD}, Reason.POSITION_AHEAD),
    Row("GetVipState", "the greatest number", {"at.known_at_position": U64_MAX}, Reason.POSITION_AHEAD),
    Row("GetVipState", "beyond the log", {"at.min_position": AHEAD}, Reason.POSITION_NOT_REACHED),
    Row("GetVipState", "the greatest number", {"at.min_position": U64_MAX}, Reason.POSITION_NOT_REACHED),
    Row("ListFeeHistory", "beyond the log", {"at.known_at_position": AHEAD}, Reason.POSITION_AHEAD),
    Row("ListFeeHistory", "the greatest number", {"at.known_at_position": U64_MAX}, Reason.POSITION_AHEAD),
    Row("ListFeeHistory", "beyond the log", {"at.min_position": AHEAD}, Reason.POSITION_NOT_REACHED),
    Row("ListFeeHistory", "the greatest number", {"at.min_position": U64_MAX}, Reason.POSITION_NOT_REACHED),
    Row("ListFeeHistory", "before from_time", {"until_time": BEFORE_NOON, "from_time": NOON}, Reason.INTERVAL_EMPTY),
    Row("ListFeeHistory", "equal to from_time", {"until_time": NOON, "from_time": NOON}, Reason.INTERVAL_EMPTY),
]

FIELD_ROWS: Final = [
    Row(method, kind, {path: value}, reason)
    for method, fields in FIELDS.items()
    for path, kinds in fields.items()
    for kind, (value, reason) in kinds.items()
]
ALL_ROWS: Final = [*FIELD_ROWS, *ROWS]

# -- requests, by the descriptors --------------------------------------------------------------------------------------

_MODULES: Final = [
    importlib.import_module(f"{ledger.v1.__name__}.{module.name}")
    for module in pkgutil.iter_modules(ledger.v1.__path__)
    if module.name.endswith("_pb2")
]
_RPCS: Final[Sequence[MethodDescriptor]] = [
    method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
METHODS: Final = {method.name: method for method in _RPCS}


def path_of(method: MethodDescriptor) -> str:
    """Its path on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


def leaves(message: Descriptor, prefix: str = "") -> Iterator[str]:
    """Paths of every field a request holds; instants are leaves, a list of messages counts as a field itself."""
    for field in message.fields:
        nested = _nested(field)
        if nested is None or field.is_repeated:
            yield prefix + field.name
        if nested is not None:
            yield from leaves(nested, f"{prefix}{field.name}.")


def _nested(field: FieldDescriptor) -> Descriptor | None:
    is_leaf = field.message_type is None or field.message_type.full_name == "google.protobuf.Timestamp"
    return None if is_leaf else field.message_type


AUTHORITY: Final = pb.Authority(actor="operator", approver="second", ticket="T-1", reason="asked on the phone")
_names = count(1)


def full_fill(**changes: Any) -> Fill:
    """A fill in which every field is given."""
    values: dict[str, Any] = {
        "trade_id": "T1",
        "order_id": "O1",
        "cl_ord_id": "C1",
        "order_time": at(NOON_NS - SECOND_NS),
        "owner_id": "owner",
        "counterparty_owner_id": "stranger",
        "product": 1,
        "token_payment": TokenPayment(token="BMX", price="0.2", price_source="the order book"),
        "charged_fee": ChargedFee(amount="0.0125", currency="USDT", rate="0.0025"),
    }
    return fill(**{**values, **changes})


def _fills() -> list[Fill]:
    return [full_fill(), full_fill(), full_fill()]


PROGRAMME: Final = "bitmart-api-vip"
SPAN: Final = {"from_time": A_DAY_AGO, "until_time": IN_A_DAY}
_GOOD: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "RegisterAccount": lambda: {
        "account_id": "alice",
        "owner_id": "owner",
        "parent_account_id": "main",
        "registered_time": NOON,
    },
    "RegisterSymbol": lambda: {
        "symbol": "XRP_USDT",
        "base_currency": "XRP",
        "quote_currency": "USDT",
        "product": 1,
        "price_scale": 8,
        "quantity_scale": 4,
        "valid_from": at(EARLIEST_NS),
        "pair_class": "A",
        "programme_id": PROGRAMME,
    },
    "RegisterCurrency": lambda: {"currency": "USDT", "decimals": 6},
    "StartTrial": lambda: {"account_id": "alice", "start_time": NOON, "programme_id": PROGRAMME},
    "ChangeTier": lambda: {
        "account_id": "alice",
        "tier": "VIP4",
        "valid_from": NOON,
        "valid_until": IN_A_DAY,
        "programme_id": PROGRAMME,
    },
    "RevokeTier": lambda: {"account_id": "alice", "grant_id": "g1", "revoke_time": NOON},
    "BanAccount": lambda: {"account_id": "alice", "days": 1, "start_time": NOON, "reason_code": "ORDER_SPAM"},
    "LiftBan": lambda: {"account_id": "alice", "lift_time": NOON},
    "RecordFills": lambda: {"venue": "bitmart", "fills": _fills(), "include_fees": True, "actor": "engine"},
    "GetSourcePosition": lambda: {"source": "engine"},
    "GetVipState": lambda: {"account_id": "alice", "at": ReadAt(as_of=NOON), "programme_id": PROGRAMME},
    "ListFeeHistory": lambda: {"account_id": "alice", "at": ReadAt(as_of=NOON), "page_size": 10, **SPAN},
}


def good(method: str, values: Mapping[str, Any] | None = None) -> Any:
    """A request that is right in every way, with nearly every field given; then some values set by path."""
    kind = GetMessageClass(METHODS[method].input_type)
    request: Any = kind(**_GOOD[method]())
    if "authority" in request.DESCRIPTOR.fields_by_name:
        request.request_id = request_id()
        request.authority.CopyFrom(AUTHORITY)
    for path, value in (values or {}).items():
        put(request, path, value)
    return request


def put(request: Any, path: str, value: Any) -> None:
    """Set the field at a path; None clears it. Within a list it is that of the element at `BAD`."""
    *parents, name = path.split(".")
    for parent in parents:
        repeated = request.DESCRIPTOR.fields_by_name[parent].is_repeated
        request = getattr(request, parent)[BAD] if repeated else getattr(request, parent)
    if isinstance(value, Message):
        getattr(request, name).CopyFrom(value)
    elif isinstance(value, list):
        request.ClearField(name)
        getattr(request, name).extend(value)
    elif value is None:
        request.ClearField(name)
    else:
        setattr(request, name, value)


def calling(ledger: Ledger, method: str) -> Callable[[Any], Any]:
    """Calls a method by its descriptor; a hang becomes DEADLINE_EXCEEDED."""
    rpc = METHODS[method]
    call = ledger.channel.unary_unary(
        path_of(rpc),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(rpc.output_type).FromString,
    )
    return lambda request: call(request, timeout=CALL_S_MAX)


def method_of(request: Message) -> str:
    """The method that takes the request."""
    return type(request).__name__.removesuffix("Request")


def send(ledger: Ledger, request: Message) -> Any:
    """The answer to a request, by its type."""
    return calling(ledger, method_of(request))(request)


def refused(ledger: Ledger, request: Message) -> Status:
    """How a request is refused, by its type."""
    return refusal(calling(ledger, method_of(request)), request)


def said(status: Status) -> tuple[grpc.StatusCode, str, str]:
    """(status code, reason, field) of a refusal."""
    return status.code, status.reason, status.field


def expected(reason: Reason, field: str) -> tuple[grpc.StatusCode, str, str]:
    """The same, by the reason."""
    return CODES.get(reason, grpc.StatusCode.INVALID_ARGUMENT), reason.name, field


def head(ledger: Ledger) -> int:
    """Position of the last event."""
    return ledger.log.head().position


@pytest.fixture(scope="module")
def shared(dsn: str) -> Iterator[Ledger]:
    """One ledger for all rows: they leave no trace, or have accounts of their own."""
    config = Config(
        schema="test_bad_input",
        listen="127.0.0.1:0",
        drain_ms=0,
        standby_poll_ms=20,
        read_wait_ms_max=20,
        fills_per_batch_max=BATCH_MAX,
    )
    clock = Clock()
    with running(config, dsn, clock_ns=clock) as service, grpc.insecure_channel(service.address) as channel:
        stubs = (CommandServiceStub(channel), FillServiceStub(channel), QueryServiceStub(channel))
        found = Ledger(*stubs, clock, service.log, service.address, service.ledger_id, channel)
        found.commands.RegisterSymbol(symbol())
        yield found


# -- the table ---------------------------------------------------------------------------------------------------------


def test_every_field_of_every_request_has_a_row() -> None:
    assert len(METHODS) == len(_RPCS), "two services have an RPC of the same name: tell them apart in the table"
    asked = {(name, path) for name, method in METHODS.items() for path in leaves(method.input_type)}
    covered = {(row.method, path) for row in ALL_ROWS for path in row.values}
    assert sorted(asked - covered - set(NOTHING_IS_BAD)) == []


def test_every_entry_of_the_table_is_a_field_of_a_request() -> None:
    asked = {(name, path) for name, method in METHODS.items() for path in leaves(method.input_type)}
    named = {(method, path) for method, fields in FIELDS.items() for path in fields}
    assert sorted((named | set(NOTHING_IS_BAD)) - asked) == []
    assert sorted(set(NOTHING_IS_BAD) & {(row.method, path) for row in FIELD_ROWS for path in row.values}) == []


def test_without_the_bad_value_every_request_of_the_table_is_answered(ledger: Ledger) -> None:
    for name in METHODS:  # in the order of the contract: a trial is started before it is revoked
        calling(ledger, name)(good(name))
    assert [line.fill_ref.venue for line in history(ledger)] == ["bitmart"] * 3


@pytest.mark.parametrize("row", ALL_ROWS, ids=str)
def test_a_bad_value_is_refused_with_its_reason_and_field_and_leaves_no_trace(shared: Ledger, row: Row) -> None:
    before = head(shared)
    found = refused(shared, good(row.method, row.values))
    assert said(found) == expected(row.reason, row.field)
    assert head(shared) == before


# Values on the good side of a limit: each request is otherwise the good one of its method.
LEAST: Final = {"account_id": "alice", "exec_id": "least", "symbol": "XRP_USDT", "side": 2, "liquidity": 1}
LEAST_FILL: Final = Fill(**LEAST, last_px="1", last_qty="1", transact_time=NOON)  # type: ignore[arg-type]
WIDEST: Final = {"fills.last_px": "9" * 20 + ".12345678", "fills.last_qty": "9" * 20 + ".1234"}
WIDEST_CHARGE: Final = {"fills.charged_fee.amount": "-" + "9" * 20 + "." + "9" * 18}
AT_LIMIT: Final = [fill() for _ in range(BATCH_MAX)]

JUST_INSIDE: Final[Sequence[tuple[str, str, Mapping[str, Any]]]] = [
    ("RegisterAccount", "id of 64 characters", {"account_id": "i" * 64}),
    ("RegisterAccount", "id of one character", {"account_id": "-"}),
    ("RegisterAccount", "id of every kind of character", {"account_id": "aZ09._:-"}),
    ("RegisterAccount", "time at the skew", {"registered_time": AT_SKEW, "account_id": "inside-1"}),
    ("RegisterAccount", "first instant of 2009", {"registered_time": FIRST, "account_id": "inside-2"}),
    ("RegisterAccount", "ticket of 200 characters", {"authority.ticket": "\u00e9" * 200, "account_id": "inside-3"}),
    ("RegisterAccount", "reason of 2,000 characters", {"authority.reason": "\u00e9" * 2_000, "account_id": "inside-4"}),
    ("RegisterAccount", "no authority", {"authority": None, "account_id": "inside-5"}),
    ("RegisterSymbol", "scales of 18", {"price_scale": 18, "quantity_scale": 18, "symbol": "INSIDE_1"}),
    ("RegisterSymbol", "scales of 0", {"price_scale": 0, "quantity_scale": 0, "symbol": "INSIDE_2"}),
    ("RegisterSymbol", "no product", {"product": 0, "symbol": "INSIDE_3"}),
    ("RegisterSymbol", "no pair class", {"pair_class": "", "symbol": "INSIDE_4"}),
    ("RegisterCurrency", "18 decimals", {"decimals": 18, "currency": "INSIDE-1"}),
    ("RegisterCurrency", "no decimals", {"decimals": 0, "currency": "INSIDE-2"}),
    ("StartTrial", "time at the skew", {"start_time": AT_SKEW, "account_id": "inside-6"}),
    ("ChangeTier", "last instant before 2200", {"valid_until": LAST, "account_id": "inside-7"}),
    ("ChangeTier", "a nanosecond", {"valid_until": at(NOON_NS + 1), "account_id": "inside-8"}),
    ("ChangeTier", "no end", {"valid_until": None, "account_id": "inside-9"}),
    ("BanAccount", "1 day", {"days": 1, "account_id": "inside-10"}),
    ("BanAccount", "7 days", {"days": 7, "account_id": "inside-11"}),
    ("RecordFills", "batch at the limit", {"fills": AT_LIMIT}),
    ("RecordFills", "fill at the skew", {"fills.transact_time": AT_SKEW}),
    ("RecordFills", "order at the skew", {"fills.order_time": AT_SKEW}),
    ("RecordFills", "fill of the first instant of 2009", {"fills.transact_time": FIRST}),
    ("RecordFills", "20 digits and all decimals of the symbol", WIDEST),
    ("RecordFills", "zeros around a price", {"fills.last_px": "00.500000000000000000"}),
    ("RecordFills", "token price of 18 decimals", {"fills.token_payment.price": "0.000000000000000001"}),
    ("RecordFills", "price source of 200 characters", {"fills.token_payment.price_source": "\u00e9" * 200}),
    ("RecordFills", "charge of 20 digits and 18 decimals", WIDEST_CHARGE),
    ("RecordFills", "charge of zero", {"fills.charged_fee.amount": "0", "fills.charged_fee.rate": "-0.00001"}),
    ("RecordFills", "only what is required", {"fills": [LEAST_FILL]}),
    ("GetVipState", "as_of the last instant before 2200", {"at.as_of": LAST}),
    ("GetVipState", "as_of the first instant of 1970", {"at.as_of": at(0)}),
    ("ListFeeHistory", "until the last instant before 2200", {"at.as_of": LAST, "until_time": LAST}),
    ("ListFeeHistory", "from the first instant of 1970", {"from_time": at(0)}),
    ("ListFeeHistory", "page of the greatest size", {"page_size": 2**31 - 1}),
    ("ListFeeHistory", "page of the size left to us", {"page_size": 0}),
    ("ListFeeHistory", "a nanosecond", {"from_time": NOON, "until_time": at(NOON_NS + 1)}),
]


@pytest.mark.parametrize(("method", "kind", "values"), JUST_INSIDE, ids=[f"{row[0]} {row[1]}" for row in JUST_INSIDE])
def test_a_value_just_inside_its_limit_is_taken(
    shared: Ledger, method: str, kind: str, values: Mapping[str, Any]
) -> None:
    answer = calling(shared, method)(good(method, values))
    if isinstance(answer, RecordFillsResponse):
        assert list(answer.refusals) == []


# -- of several faults the lowest number -------------------------------------------------------------------------------


def of_one_kind_each(method: str) -> list[Row]:
    """One row of a method for each field and reason. Of the fields of a fill a few: `shape_of` orders them alone."""
    some = ("fills.account_id", "fills.last_px", "fills.token_payment.price_source", "fills.transact_time")
    rows: dict[tuple[str, Reason], Row] = {}
    for row in filter(lambda row: row.method == method, ALL_ROWS):
        if row.path in some or not row.path.startswith("fills."):
            rows.setdefault((row.path, row.reason), row)
    return list(rows.values())


def fit_together(first: Row, second: Row) -> bool:
    """Whether two faults can be in one request at once, neither undoing nor explaining the other."""
    paths = {*first.values, *second.values}
    nested = any(other.startswith(f"{path}.") for path in paths for other in paths)
    clocks = {"at.known_at_position", "at.known_at_time"} <= paths  # a oneof
    sourced = "source" in paths and any(path.startswith("fills") for path in paths)  # then a fill is refused alone
    by_state = min(first.reason, second.reason) >= Reason.REQUEST_ID_REUSED  # no two of these in any order of ours
    return not (nested or clocks or sourced or by_state or set(first.values) & set(second.values))


@pytest.mark.parametrize("method", METHODS)
def test_of_two_faults_in_a_request_the_one_with_the_lower_number_is_given(shared: Ledger, method: str) -> None:
    wrong: list[str] = []
    for pair in combinations(of_one_kind_each(method), 2):
        if pair[0].reason == pair[1].reason or not fit_together(*pair):
            continue
        lower, higher = sorted(pair, key=lambda row: row.reason)
        found = refused(shared, good(method, {**higher.values, **lower.values}))
        if said(found) != expected(lower.reason, lower.field):
            wrong.append(f"{lower.reason.name} of [{lower}] gave way to {found.reason} with [{higher}]")
    assert not wrong, "\n".join(wrong)


def test_of_two_bad_fills_the_one_with_the_lower_number_is_given(shared: Ledger) -> None:
    found = refused(shared, good("RecordFills", {"fills": [fill(last_px="1e5"), fill(), fill(exec_id="")]}))
    assert (found.reason, found.field) == ("FIELD_REQUIRED", "fills[2].exec_id")


def test_a_gap_is_said_before_an_unknown_venue(shared: Ledger) -> None:
    request = good("RecordFills", {"venue": "nowhere", "source": "nobody", "first_sequence": 2})
    assert refused(shared, request).reason == "SEQUENCE_GAP"


def test_a_product_without_rates_is_said_before_a_price_too_fine(shared: Ledger) -> None:
    answer = shared.fills.RecordFills(batch(fill(last_px="0.123456789", product=2)))
    assert [Reason(found.reason).name for found in answer.refusals] == ["PRODUCT_WITHOUT_RATES"]


def test_a_ban_out_of_range_is_said_before_a_request_id_used_for_something_else(shared: Ledger) -> None:
    first = ban("two-faults", days=1)
    send(shared, first)
    found = refused(shared, ban("two-faults", days=0, request_id=first.request_id))
    assert found.reason == "BAN_DAYS_OUT_OF_RANGE"


# -- what the state of the ledger refuses ------------------------------------------------------------------------------


def register(account_id: str, owner_id: str = "", **changes: Any) -> pb.RegisterAccountRequest:
    """An account of an owner."""
    changes.setdefault("request_id", request_id())
    return pb.RegisterAccountRequest(account_id=account_id, owner_id=owner_id, **changes)


def family(owner_id: str, *account_ids: str) -> list[Message]:
    """Accounts of one owner."""
    return [register(account_id, owner_id) for account_id in account_ids]


def trial(account_id: str, **changes: Any) -> pb.StartTrialRequest:
    """A trial from now on."""
    changes.setdefault("request_id", request_id())
    return pb.StartTrialRequest(account_id=account_id, **changes)


def tier(account_id: str, name: str = "VIP1", **changes: Any) -> pb.ChangeTierRequest:
    """A tier from now on, without an end."""
    changes.setdefault("request_id", request_id())
    return pb.ChangeTierRequest(account_id=account_id, tier=name, **changes)


def revoke(account_id: str, grant_id: str = "g1", **changes: Any) -> pb.RevokeTierRequest:
    """The end of a grant, now."""
    changes.setdefault("request_id", request_id())
    return pb.RevokeTierRequest(account_id=account_id, grant_id=grant_id, **changes)


def ban(account_id: str, days: int = 1, **changes: Any) -> pb.BanAccountRequest:
    """A ban from now on."""
    values = {"request_id": request_id(), "reason_code": "ORDER_SPAM", **changes}
    return pb.BanAccountRequest(account_id=account_id, days=days, **values)


def lift(account_id: str, **changes: Any) -> pb.LiftBanRequest:
    """The end of a ban, now."""
    changes.setdefault("request_id", request_id())
    return pb.LiftBanRequest(account_id=account_id, **changes)


def currency(name: str, decimals: int = 6, **changes: Any) -> pb.RegisterCurrencyRequest:
    """A currency."""
    changes.setdefault("request_id", request_id())
    return pb.RegisterCurrencyRequest(currency=name, decimals=decimals, **changes)


class Denied(NamedTuple):
    """After some commands a good one is refused by the state of the ledger."""

    kind: str
    before: Sequence[Message]
    command: Message


DENIED: Final[Mapping[tuple[Reason, str], Sequence[Denied]]] = {
    (Reason.ACCOUNT_ALREADY_REGISTERED, "account_id"): [
        Denied("registered already", [register("d1")], register("d1")),
        Denied("registered already to another owner", [register("d2", "o2")], register("d2")),
    ],
    (Reason.SYMBOL_ALREADY_REGISTERED, "symbol"): [
        Denied("registered already", [symbol("D1_USDT")], symbol("D1_USDT", price_scale=2)),
        Denied("from then on", [symbol("D2_USDT", valid_from=NOON)], symbol("D2_USDT", valid_from=NOON)),
        Denied("registered already, unknown class", [symbol("D3_USDT")], symbol("D3_USDT", pair_class="D")),
    ],
    (Reason.CURRENCY_ALREADY_REGISTERED, "currency"): [
        Denied("registered already", [currency("D1")], currency("D1")),
    ],
    (Reason.PROGRAMME_UNKNOWN, "programme_id"): [
        Denied("unknown programme", [], symbol("D4_USDT", programme_id="no-such")),
        Denied("unknown programme", [], trial("d3", programme_id="no-such")),
        Denied("unknown programme", [], tier("d4", programme_id="no-such")),
    ],
    (Reason.PAIR_CLASS_UNKNOWN, "pair_class"): [
        Denied("unknown class", [], symbol("D5_USDT", pair_class="D")),
        Denied("class in small letters", [], symbol("D6_USDT", pair_class="a")),
    ],
    (Reason.TIER_UNKNOWN, "tier"): [
        Denied("unknown tier", [], tier("d5", "VIP6")),
        Denied("tier in small letters", [], tier("d6", "vip1")),
        Denied("tier of those who have none", [], tier("d7", "NONE")),
    ],
    (Reason.GRANT_UNKNOWN, "grant_id"): [
        Denied("no grant", [], revoke("d8")),
        Denied("another grant", [tier("d9")], revoke("d9", "g2")),
        Denied("a grant of another account", [tier("d10")], revoke("d11")),
    ],
    (Reason.GRANT_ENDED, "revoke_time"): [
        Denied("revoked already", [tier("d12"), revoke("d12")], revoke("d12")),
        Denied("at its end", [tier("d13", valid_until=IN_A_DAY)], revoke("d13", revoke_time=IN_A_DAY)),
    ],
    (Reason.NOT_BANNED, "lift_time"): [
        Denied("no ban", [], lift("d14")),
        Denied("lifted already", [ban("d15"), lift("d15")], lift("d15")),
        Denied("at its end", [ban("d16", start_time=A_DAY_AGO)], lift("d16", lift_time=NOON)),
        Denied("before its start", [ban("d17", start_time=NOON)], lift("d17", lift_time=BEFORE_NOON)),
    ],
    (Reason.TRIAL_ALREADY_USED, "account_id"): [
        Denied("a second one", [trial("d20")], trial("d20")),
        Denied("a second one years later", [trial("d21", start_time=FIRST)], trial("d21")),
        Denied("a second one, the first was revoked", [trial("d22"), revoke("d22")], trial("d22")),
        Denied("a second one of the owner", [*family("o23", "d23", "d24"), trial("d23")], trial("d24")),
        Denied("a second one of the owner, older first", [*family("o25", "d25", "d26"), trial("d26")], trial("d25")),
        Denied("a second one, by an account since", [trial("o27"), *family("o27", "d27")], trial("d27")),
        Denied("a second one, owner since", [trial("d28"), *family("o28", "d28", "d29")], trial("d29")),
        Denied("a second one, and a tier", [*family("o30", "d30", "d31"), trial("d31"), tier("d30")], trial("d30")),
    ],
    (Reason.NOT_A_NEW_MEMBER, "account_id"): [
        Denied("held a tier", [tier("d40")], trial("d40")),
        Denied("will hold a tier", [tier("d41", valid_from=IN_A_DAY)], trial("d41")),
        Denied("held a tier that was revoked", [tier("d42"), revoke("d42")], trial("d42")),
        Denied("the owner held a tier", [*family("o43", "d43", "d44"), tier("d43")], trial("d44")),
    ],
}
_DENIED: Final = [
    pytest.param(row, *why, id=f"{method_of(row.command)}: {row.kind}") for why, rows in DENIED.items() for row in rows
]


@pytest.mark.parametrize(("row", "reason", "field"), _DENIED)
def test_a_command_refused_by_the_state_is_recorded_and_refused_the_same_way_for_ever(
    shared: Ledger, row: Denied, reason: Reason, field: str
) -> None:
    for command in row.before:
        send(shared, command)
    before = head(shared)
    first = refused(shared, row.command)
    assert said(first) == expected(reason, field)
    assert first.metadata == {"position": str(before + 1), "replayed": "false"}
    event = shared.log.at(before + 1).event
    assert isinstance(event, CommandRefused)
    assert (event.command, event.reason, event.field) == (method_of(row.command), reason, field)
    again = refused(shared, row.command)
    assert (said(again), again.message) == (said(first), first.message)
    assert again.metadata == {"position": str(before + 1), "replayed": "true"}
    assert head(shared) == before + 1


# -- the name of a request ---------------------------------------------------------------------------------------------


OTHER_BODIES: Final[Sequence[tuple[str, Message, Mapping[str, Any]]]] = [
    ("another account", register("n1"), {"account_id": "n1x"}),
    ("another owner", register("n2"), {"owner_id": "n2x"}),
    ("the default in words", register("n3"), {"owner_id": "n3"}),
    ("another actor", register("n4"), {"authority.actor": "n4x"}),
    ("another reason", register("n5"), {"authority.reason": "because"}),
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


def outcome(ledger: Ledger, request: Message) -> tuple[str, str]:
    """Whether a command was accepted, and its position."""
    try:
        return "accepted", str(send(ledger, request).receipt.position)
    except grpc.RpcError:
        found = refused(ledger, request)
        return found.reason, found.metadata["position"]


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


# -- fills: refused one by one -----------------------------------------------------------------------------------------

DENIED_FILLS: Final[Sequence[tuple[str, Mapping[str, Any], Reason, str]]] = [
    ("unknown symbol", {"symbol": "NO_SUCH"}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("symbol in small letters", {"symbol": "xrp_usdt"}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("symbol of later", {"symbol": "LATE_USDT", "transact_time": BEFORE_NOON}, Reason.SYMBOL_UNKNOWN, "symbol"),
    ("price too fine", {"last_px": "0.500000001"}, Reason.PRICE_TOO_FINE, "last_px"),
    ("quantity too fine", {"last_qty": "10.00001"}, Reason.QUANTITY_TOO_FINE, "last_qty"),
    ("both too fine", {"last_px": "0.500000001", "last_qty": "10.00001"}, Reason.PRICE_TOO_FINE, "last_px"),
    ("futures", {"product": 2}, Reason.PRODUCT_WITHOUT_RATES, "product"),
    ("symbol of futures", {"symbol": "XRP_FUTURES"}, Reason.PRODUCT_WITHOUT_RATES, "product"),
]


@pytest.fixture(scope="module")
def markets(shared: Ledger) -> Ledger:
    """The shared ledger with a symbol that starts at noon, and one of futures."""
    send(shared, symbol("LATE_USDT", valid_from=NOON))
    send(shared, symbol("XRP_FUTURES", product=2))
    return shared


@pytest.mark.parametrize(("kind", "changes", "reason", "field"), DENIED_FILLS, ids=[row[0] for row in DENIED_FILLS])
def test_a_fill_refused_by_the_state_is_refused_alone(
    markets: Ledger, kind: str, changes: Mapping[str, Any], reason: Reason, field: str
) -> None:
    account = f"fills-{next(_names)}"
    request = batch(fill(account_id=account), fill(account_id=account, **changes), fill(account_id=account))
    answer = markets.fills.RecordFills(request)
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [(1, reason.value, field)]
    assert (answer.recorded, answer.replayed) == (2, 0)
    assert [bool(fee.fee_amount) for fee in answer.fees] == [True, False, True]
    assert [line.fill_ref.exec_id for line in history(markets, account)] == [
        request.fills[0].exec_id,
        request.fills[2].exec_id,
    ]
    again = markets.fills.RecordFills(request)
    assert (again.recorded, again.replayed, list(again.refusals)) == (0, 2, list(answer.refusals))
    assert again.position == answer.position


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
    account = f"conflict-{next(_names)}"
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


def sha256(record: Fill) -> bytes:
    """As the log names a refused fill."""
    return hashlib.sha256(record.SerializeToString(deterministic=True)).digest()


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
    first = full_fill(account_id=f"same-{next(_names)}")
    answer = shared.fills.RecordFills(batch(first))
    put(first, path, value)
    again = shared.fills.RecordFills(batch(first))
    assert (again.recorded, again.replayed, list(again.refusals)) == (0, 1, [])
    assert (list(again.fees), again.position) == (list(answer.fees), answer.position)


def test_an_exec_id_is_another_fill_under_another_account_or_day(shared: Ledger) -> None:
    first = fill(account_id="names")
    other_account = fill(account_id="names-2", exec_id=first.exec_id)
    other_day = fill(account_id="names", exec_id=first.exec_id, transact_time=A_DAY_AGO)
    answer = shared.fills.RecordFills(batch(first, other_account, other_day))
    assert (answer.recorded, answer.replayed, list(answer.refusals)) == (3, 0, [])


# -- fills of a source -------------------------------------------------------------------------------------------------


def advanced(ledger: Ledger, source: str) -> SourceAdvanced:
    """What the log says last of a source."""
    last = ledger.log.last_of(f"source/{source}")
    assert last is not None
    assert isinstance(last.event, SourceAdvanced)
    return last.event


def test_in_a_batch_of_a_source_each_malformed_fill_is_refused_alone_and_the_source_moves_on(shared: Ledger) -> None:
    rows = [row for row in FIELD_ROWS if row.method == "RecordFills" and row.field.startswith(f"fills[{BAD}].")]
    bad_fills = [good("RecordFills", row.values).fills[BAD] for row in rows]
    fills = [fill(account_id="sourced"), *bad_fills, fill(account_id="sourced")]
    request = batch(*fills, source="all-rows", first_sequence=1)
    answer = shared.fills.RecordFills(request)
    assert [(found.index, Reason(found.reason).name, found.field) for found in answer.refusals] == [
        (index, row.reason.name, row.field.removeprefix(f"fills[{BAD}].")) for index, row in enumerate(rows, 1)
    ]
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (2, 0, len(fills))
    event = advanced(shared, "all-rows")
    assert (event.first_sequence, event.last_sequence, event.recorded) == (1, len(fills), 2)
    assert [(found.sequence, found.reason, found.fill_sha256) for found in event.refused] == [
        (sequence, row.reason, sha256(bad_fills[sequence - 2])) for sequence, row in enumerate(rows, 2)
    ]


def test_a_batch_of_a_source_with_a_malformed_fill_is_replayed_as_a_whole(shared: Ledger) -> None:
    fills = [fill(account_id="sourced-2"), fill(account_id="sourced-2", last_px="1e5"), fill(account_id="sourced-2")]
    request = batch(*fills, source="engine-2", first_sequence=1)
    answer = shared.fills.RecordFills(request)
    assert [(found.index, Reason(found.reason).name, found.field) for found in answer.refusals] == [
        (1, "DECIMAL_MALFORMED", "last_px")
    ]
    assert (answer.recorded, answer.source_sequence) == (2, 3)
    before = head(shared)
    again = shared.fills.RecordFills(request)
    assert (again.recorded, again.replayed, list(again.refusals), again.source_sequence) == (0, 3, [], 3)
    assert [fee.fee_amount for fee in again.fees] == [fee.fee_amount for fee in answer.fees]
    assert (head(shared), again.position) == (before, before)
    assert shared.fills.GetSourcePosition(GetSourcePositionRequest(source="engine-2")).last_sequence == 3
    (found,) = advanced(shared, "engine-2").refused
    assert (found.sequence, found.reason, found.fill_sha256) == (2, Reason.DECIMAL_MALFORMED, sha256(fills[1]))


def test_a_batch_of_a_source_with_nothing_but_malformed_fills_moves_the_source_on(shared: Ledger) -> None:
    answer = shared.fills.RecordFills(batch(Fill(), Fill(), source="engine-3", first_sequence=1))
    assert [found.index for found in answer.refusals] == [0, 1]
    assert (answer.recorded, answer.source_sequence) == (0, 2)
    assert shared.fills.RecordFills(batch(fill(), source="engine-3", first_sequence=3)).recorded == 1


def test_fills_of_a_source_refused_by_the_state_are_recorded_with_their_numbers(markets: Ledger) -> None:
    first = fill(account_id="sourced-4")
    conflict = fill(account_id="sourced-4", exec_id=first.exec_id, last_px="2")
    unknown = fill(account_id="sourced-4", symbol="NO_SUCH")
    answer = markets.fills.RecordFills(batch(first, conflict, first, unknown, source="engine-4", first_sequence=1))
    assert [(found.index, found.reason, found.field) for found in answer.refusals] == [
        (1, Reason.FILL_CONFLICT.value, "exec_id"),
        (3, Reason.SYMBOL_UNKNOWN.value, "symbol"),
    ]
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (1, 1, 4)
    assert [(found.sequence, found.fill_sha256) for found in advanced(markets, "engine-4").refused] == [
        (2, sha256(conflict)),
        (4, sha256(unknown)),
    ]


def test_a_gap_is_refused_with_the_number_expected_and_an_overlap_is_not(shared: Ledger) -> None:
    fills = [fill(account_id="sourced-5") for _ in range(5)]
    shared.fills.RecordFills(batch(*fills[:3], source="engine-5", first_sequence=1))
    found = refused(shared, batch(fills[4], source="engine-5", first_sequence=5))
    assert said(found) == expected(Reason.SEQUENCE_GAP, "first_sequence")
    assert found.metadata == {"expected_sequence": "4"}
    answer = shared.fills.RecordFills(batch(*fills[1:], source="engine-5", first_sequence=2))
    assert (answer.recorded, answer.replayed, answer.source_sequence) == (2, 2, 5)


# -- page tokens -------------------------------------------------------------------------------------------------------

PAGED: Final = ListFeeHistoryRequest(account_id="paged", at=ReadAt(as_of=NOON), from_time=A_DAY_AGO, page_size=1)


@pytest.fixture(scope="module")
def second_page(shared: Ledger) -> ListFeeHistoryRequest:
    """Asks for the second of three pages, with a good token."""
    shared.fills.RecordFills(batch(*(fill(account_id="paged") for _ in range(3))))
    token = shared.queries.ListFeeHistory(PAGED).next_page_token
    return with_token(token)


def with_token(token: str) -> ListFeeHistoryRequest:
    """The paged query with a token."""
    request = ListFeeHistoryRequest()
    request.CopyFrom(PAGED)
    request.page_token = token
    return request


def taken(ledger: Ledger, tokens: Sequence[str]) -> list[str]:
    """Those of some damaged tokens that are answered, or refused otherwise than they should be."""
    wrong = []
    for token in tokens:
        try:
            ledger.queries.ListFeeHistory(with_token(token), timeout=CALL_S_MAX)
        except grpc.RpcError:
            if said(refused(ledger, with_token(token))) == expected(Reason.PAGE_TOKEN_INVALID, "page_token"):
                continue
        wrong.append(token)
    return wrong


def test_the_token_the_others_are_made_of_is_good(shared: Ledger, second_page: ListFeeHistoryRequest) -> None:
    page = shared.queries.ListFeeHistory(second_page)
    assert (len(page.lines), bool(page.next_page_token)) == (1, True)
    longer = with_token(second_page.page_token)
    longer.page_size = 2
    assert len(shared.queries.ListFeeHistory(longer).lines) == 2, "the size of a page is not part of the query"


OTHER_QUERIES: Final[Sequence[tuple[str, Mapping[str, Any]]]] = [
    ("another account", {"account_id": "alice"}),
    ("another from_time", {"from_time": at(NOON_NS - DAY_NS + 1)}),
    ("no from_time", {"from_time": None}),
    ("another until_time", {"until_time": IN_A_DAY}),
    ("another as_of", {"at.as_of": at(NOON_NS + 1)}),
    ("no as_of", {"at.as_of": None}),
    ("a known_at_position", {"at.known_at_position": 1}),
    ("a known_at_position of 0", {"at.known_at_position": 0}),
    ("a known_at_time", {"at.known_at_time": NOON}),
    ("a min_position", {"at.min_position": 1}),
    ("no clocks", {"at": None}),
]


@pytest.mark.parametrize(("kind", "values"), OTHER_QUERIES, ids=[kind for kind, _ in OTHER_QUERIES])
def test_a_page_token_of_another_query_is_refused(
    shared: Ledger, second_page: ListFeeHistoryRequest, kind: str, values: Mapping[str, Any]
) -> None:
    other = with_token(second_page.page_token)
    for path, value in values.items():
        put(other, path, value)
    assert said(refused(shared, other)) == expected(Reason.PAGE_TOKEN_INVALID, "page_token")


def test_a_page_token_of_another_ledger_is_refused(
    ledger: Ledger, shared: Ledger, second_page: ListFeeHistoryRequest
) -> None:
    assert ledger.ledger_id != shared.ledger_id
    assert said(refused(ledger, second_page)) == expected(Reason.PAGE_TOKEN_INVALID, "page_token")


def test_a_page_token_with_one_bit_changed_is_refused(shared: Ledger, second_page: ListFeeHistoryRequest) -> None:
    token = second_page.page_token
    flipped = [
        token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
        for place in range(len(token))
        for bit in range(8)
    ]
    assert taken(shared, flipped) == []


def test_a_page_token_cut_short_or_made_longer_is_refused(shared: Ledger, second_page: ListFeeHistoryRequest) -> None:
    token = second_page.page_token
    cut = [token[:length] for length in range(1, len(token))] + [token[start:] for start in range(1, len(token))]
    assert taken(shared, cut) == []
    assert taken(shared, [token + more for more in ("A", "=", "==", "\n", " ", token)]) == []


# -- what looks bad and is not -----------------------------------------------------------------------------------------


def test_reads_before_all_facts_are_answered(shared: Ledger) -> None:
    shared.fills.RecordFills(batch(fill(account_id="early")))
    send(shared, trial("early", start_time=NOON))
    for time_ns in (0, EARLIEST_NS, NOON_NS - 1):
        found = state(shared, "early", as_of=at(time_ns))
        assert (found.tier, found.known_account, found.trial_used, found.banned) == ("NONE", True, True, False)
        assert history(shared, "early", as_of=at(time_ns)) == []
    assert state(shared, "early", as_of=NOON).tier == "VIP3"


BEFORE_THE_LOG: Final[Sequence[tuple[str, Mapping[str, Any]]]] = [
    ("position 0", {"known_at_position": 0}),
    ("a time before the first commit", {"known_at_time": FIRST}),
    ("the last instant before the first commit", {"known_at_time": BEFORE_NOON}),
]


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_a_vip_state_known_before_the_log_began_is_that_of_an_unknown_account(
    shared: Ledger, kind: str, known_at: Mapping[str, Any]
) -> None:
    found = state(shared, "alice", **known_at)
    assert (found.known_account, found.tier, found.basis.known_at_position) == (False, "NONE", 0)
    assert not found.basis.HasField("known_at_time")
    assert not found.basis.known_at_open


@pytest.mark.parametrize(("kind", "known_at"), BEFORE_THE_LOG, ids=[kind for kind, _ in BEFORE_THE_LOG])
def test_a_fee_history_known_before_the_log_began_is_empty(
    shared: Ledger, kind: str, known_at: Mapping[str, Any]
) -> None:
    shared.fills.RecordFills(batch(fill()))
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", at=ReadAt(**known_at)))
    assert (list(page.lines), list(page.totals), page.next_page_token) == ([], [], "")
    assert (page.basis.known_at_position, page.basis.known_at_open) == (0, False)
    assert not page.basis.HasField("known_at_time")


def test_a_read_known_in_the_far_future_is_answered_at_the_last_position_and_says_it_is_open(shared: Ledger) -> None:
    future = ReadAt(known_at_time=LAST)
    for answer in (
        shared.queries.GetVipState(GetVipStateRequest(account_id="alice", at=future)),
        shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", at=future)),
    ):
        assert answer.basis.known_at_open
        assert answer.basis.known_at_position == head(shared)


def test_an_account_nobody_heard_of_has_a_state_and_an_empty_history(shared: Ledger) -> None:
    found = state(shared, "nobody")
    assert (found.known_account, found.account_id, found.owner_id, found.tier) == (False, "nobody", "nobody", "NONE")
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="nobody"))
    assert (list(page.lines), list(page.totals), page.next_page_token) == ([], [], "")


def test_a_source_nobody_heard_of_is_at_0(shared: Ledger) -> None:
    assert shared.fills.GetSourcePosition(GetSourcePositionRequest(source="nobody")).last_sequence == 0


def test_a_span_that_is_not_empty_but_lies_after_as_of_has_no_lines(shared: Ledger) -> None:
    span = {"from_time": IN_A_DAY, "until_time": at(NOON_NS + 2 * DAY_NS)}
    page = shared.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice", **span))
    assert (list(page.lines), list(page.totals)) == ([], [])


def test_a_position_the_log_has_reached_can_be_asked_for(shared: Ledger) -> None:
    last = head(shared)
    found = state(shared, "alice", min_position=last, known_at_position=last)
    assert (found.basis.known_at_position, found.basis.known_at_open) == (last, False)


# -- garbage -----------------------------------------------------------------------------------------------------------

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GARBAGE: Final[Mapping[str, bytes]] = {
    "random bytes": random.Random(1).randbytes(65_536),
    "zeros": bytes(65_536),
    "an HTTP/1.1 request": b"POST /ledger.v1.FillService/RecordFills HTTP/1.1\r\nHost: ledger\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(2).randbytes(501),
    "an HTTP/2 preface, then random bytes": PREFACE + random.Random(3).randbytes(65_536),
    "an HTTP/2 preface, then a frame of the greatest length": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "half an HTTP/2 preface": PREFACE[:11],
    "nothing": b"",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_on_the_port_leaves_the_service_serving(shared: Ledger, sent: bytes) -> None:
    before = head(shared)
    host, _, port = shared.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=CALL_S_MAX) as connection:
        throw(connection, sent)
    with grpc.insecure_channel(shared.address) as channel:
        answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=CALL_S_MAX)
        assert answer.status == HealthCheckResponse.SERVING
        query = GetVipStateRequest(account_id="alice")
        assert QueryServiceStub(channel).GetVipState(query, timeout=CALL_S_MAX).account_id == "alice"
    assert state(shared).account_id == "alice", "a connection from before is not hurt"
    assert head(shared) == before


def throw(connection: socket.socket, sent: bytes) -> None:
    """Send all there is, say that this was it, and read until the server has had enough."""
    try:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
    except ConnectionError:  # the server hung up first, as it may
        pass


NO_MESSAGE: Final[Mapping[str, bytes]] = {
    "random bytes": random.Random(4).randbytes(4_096),
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "a varint without an end": b"\x08" + b"\xff" * 32,
    "a group without an end": b"\x0b" * 200,
    "text that is not UTF-8": b"\x0a\x02\xff\xfe",
    "field number 0": b"\x00\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sent", NO_MESSAGE.values(), ids=list(NO_MESSAGE))
def test_a_request_that_is_no_message_gets_an_error_and_leaves_no_trace(
    shared: Ledger, method: str, sent: bytes
) -> None:
    before = head(shared)
    call = shared.channel.unary_unary(path_of(METHODS[method]), request_serializer=None, response_deserializer=None)
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=CALL_S_MAX)
    if caught.value.code() == grpc.StatusCode.INTERNAL:  # type: ignore[attr-defined]
        assert caught.value.details() == "Exception deserializing request!"  # type: ignore[attr-defined]
    else:  # the bytes happen to be a message, of which nothing is known
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert head(shared) == before


def test_an_rpc_nobody_knows_is_unimplemented(shared: Ledger) -> None:
    for path in ("/ledger.v1.FillService/EraseFills", "/ledger.v2.FillService/RecordFills"):
        with pytest.raises(grpc.RpcError) as caught:
            shared.channel.unary_unary(path)(b"", timeout=CALL_S_MAX)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_a_message_over_the_limit_is_refused_and_the_next_is_not(start_ledger: StartLedger) -> None:
    ledger = start_ledger(message_bytes_max=20_000)
    ledger.commands.RegisterSymbol(symbol())
    with pytest.raises(grpc.RpcError) as caught:
        ledger.fills.RecordFills(batch(*(fill() for _ in range(1_000))), timeout=CALL_S_MAX)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert ledger.fills.RecordFills(batch(fill())).recorded == 1
