"""A request of every RPC that is right in every way, by the descriptors of package ledger.v1."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import ledger.v1
from ledger import programmes
from ledger.domain.instants import DAY_NS, EARLIEST_NS, SECOND_NS
from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_pb2 import ChargedFee, Fill, FillRef, TokenPayment
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from ledger.v1.member_service_pb2 import ExternalVolume
from ledger.v1.read_pb2 import ReadAt
from tests.conftest import NOON_NS, at
from tests.samples import fill, request_id
from tests.server.instants import A_DAY_AGO, IN_A_DAY, NOON

BATCH_MAX: Final = 400  # fills in one batch of the shared ledger
BAD: Final = 1  # index of the fill that a bad value goes into; good ones lie around it

_MODULES: Final = [
    importlib.import_module(f"{ledger.v1.__name__}.{module.name}")
    for module in pkgutil.iter_modules(ledger.v1.__path__)
    if module.name.endswith("_pb2")
]
RPCS: Final[Sequence[MethodDescriptor]] = [
    method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
METHODS: Final = {method.name: method for method in RPCS}


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


AUTHORITY: Final = Authority(actor="operator", approver="second", ticket="T-1", reason="asked on the phone")
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


def a_new(kind: str) -> str:
    """An id nobody used."""
    return f"{kind}-{next(_names)}"


KNOWN: Final = full_fill(exec_id="known")  # in every good batch; the shared ledger has it


def _fills() -> list[Fill]:
    return [KNOWN, full_fill(), full_fill()]


PROGRAMME: Final = "bitmart-api-vip"


def programme_file(version: str, **changes: str) -> str:
    """The packaged programme under another version, with some of its text replaced."""
    content = programmes.packaged().replace('version = "3.0"', f'version = "{version}"')
    for old, new in changes.items():
        content = content.replace(old, new)
    return content


LAST_DUE: Final = at(NOON_NS - 6 * DAY_NS - DAY_NS // 2)  # 2024-09-28
DUE: Final = at(NOON_NS + 3 * DAY_NS + DAY_NS // 2)  # 2024-10-08
DIGEST: Final = b"\x01" * 32  # a SHA-256
WEEK: Final = "2024-W40"  # that of noon

# What the contract does not tell of a good request.
BY_HAND: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "RegisterAccount": lambda: {"parent_account_id": "main"},
    "RegisterSymbol": lambda: {
        "base_currency": "XRP",
        "quote_currency": "USDT",
        "price_scale": 8,
        "quantity_scale": 4,
        "valid_from": at(EARLIEST_NS),
        "pair_class": "A",
    },
    "RegisterCurrency": lambda: {"decimals": 6},
    "ChangeTier": lambda: {"tier": "VIP4", "valid_until": IN_A_DAY},
    "RevokeTier": lambda: {"grant_id": "g1"},
    "ReleaseFact": lambda: {"account_id": "alice", "fact_position": 9},  # her trial
    "DeclineFact": lambda: {"account_id": "alice", "fact_position": 10},  # her tier
    "CreditFee": lambda: {"day": "2024-10-04", "amount": "12.5"},
    "WithdrawFact": lambda: {"fact_position": 12},  # her ban
    "FlagAccount": lambda: {"account_id": "bob"},
    "UnflagAccount": lambda: {"account_id": "bob"},
    "RequestMatch": lambda: {
        "authority": Authority(actor="requester", approver="second", ticket="T-1", reason="asked on the phone"),
        "account_id": "carol",
        "venues": ["binance", "okx"],
        "external_tier": "VIP2",
        "period_from": at(NOON_NS - 30 * DAY_NS),
        "external_volume": ExternalVolume(spot="500000", futures="250000.5"),
    },
    "ApproveMatch": lambda: {"account_id": "carol", "match_id": "m1"},
    "RejectMatch": lambda: {"account_id": "dave", "match_id": "m1", "reason_code": "EVIDENCE_FALSE"},
    "SubmitApplication": lambda: {"account_id": "erin"},
    "VerifyApiIdentity": lambda: {"account_id": "erin"},
    "SettleApplication": lambda: {"account_id": "erin", "application_id": "p1"},
    "AssignKeyAccountManager": lambda: {"account_id": "carol", "manager_id": "kam-1"},
    "RecordBehaviourMetric": lambda: {"code": "LOW_FILL_RATIO", "value": "0.001", "window_from": A_DAY_AGO},
    "ReportFeedback": lambda: {"account_id": "carol", "channel": 2},
    "AwardBounty": lambda: {"week": WEEK, "report_id": "r1", "amount": "50"},
    "CloseBountyRound": lambda: {"week": "2024-W39"},
    "AnnouncePromotion": lambda: {
        "promotion_id": "october",
        "promotion_type": "API_EXCLUSIVE",
        "start_time": A_DAY_AGO,
        "end_time": IN_A_DAY,
    },
    "AwardBonus": lambda: {"promotion_id": "october", "account_id": "carol", "amount": "10"},
    "GetMembership": lambda: {"account_id": "carol"},
    "CheckMatchEligibility": lambda: {
        "account_id": "carol",
        "external_volume": ExternalVolume(spot="500000", futures="0"),
    },
    "GetEntitlements": lambda: {"account_id": "carol"},
    "CheckPromotionEligibility": lambda: {"account_id": "carol", "promotion_type": "NET_BUY"},
    "ListApplications": lambda: {"overdue": False, "due_within_business_days": 10},
    "PublishProgramme": lambda: {"content": programme_file(a_new("version"))},
    "AssignPairClass": lambda: {"pair_class": "A"},
    "SetPairRates": lambda: {"maker_rate": "0.0001", "taker_rate": "0.0003"},
    "RecordDailyClose": lambda: {"asset": "BTC", "day": "2024-10-03", "price": "60000.5", "source": "binance-1d"},
    "ListCloses": lambda: {"asset": "BTC", "from_day": "2024-10-01", "until_day": "2024-10-04"},
    "PlanEvaluation": lambda: {"instant": DUE},
    "RunEvaluation": lambda: {
        "instant": LAST_DUE,
        "read_position": 4,  # there is a programme by then
        "complete_sources": ["engine"],
    },
    "GetEvaluation": lambda: {"instant": LAST_DUE},
    "GetProgramme": lambda: {"version": "3.0"},
    "ListFindings": lambda: {"control": "benefits-ending", "within_days": 7},
    "ListSoloActions": lambda: {"actor": "operator"},
    "RecordFills": lambda: {"venue": "bitmart", "fills": _fills(), "include_fees": True, "actor": "engine"},
    "StreamFills": lambda: {
        "batch": RecordFillsRequest(
            venue="bitmart",
            source="streamed",
            first_sequence=1,
            fills=[full_fill(), full_fill()],
            include_fees=True,
            actor="engine",
        )
    },
    "GetSourcePosition": lambda: {"source": "engine"},
    "QuoteFee": lambda: {"liquidity": 2, "last_px": "0.5", "last_qty": "10", "token_payment": KNOWN.token_payment},
    "GetFill": lambda: {
        "fill_ref": FillRef(venue="bitmart", account_id="alice", day="2024-10-04", exec_id=KNOWN.exec_id)
    },
    "ListAccounts": lambda: {"tier": "NONE", "ending_before": IN_A_DAY, "banned": False, "flagged": False},
    "ListEvents": lambda: {"stream": "account/alice"},
}
# The values of other fields, by their name or else by their type.
VALUES: Final[Mapping[str, Any]] = {
    "account_id": "alice",
    "owner_id": "owner",
    "symbol": "XRP_USDT",
    "programme_id": PROGRAMME,
    "currency": "USDT",
    "reason_code": "ORDER_SPAM",
    "venue": "bitmart",
    "at": ReadAt(as_of=NOON),
    "from_time": A_DAY_AGO,
    "until_time": IN_A_DAY,
    "page_size": 10,
}
BY_TYPE: Final[Mapping[int, Any]] = {
    FieldDescriptor.TYPE_STRING: "ANY",
    FieldDescriptor.TYPE_BYTES: DIGEST,
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_ENUM: 1,
    FieldDescriptor.TYPE_UINT32: 1,
    FieldDescriptor.TYPE_UINT64: 1,
    FieldDescriptor.TYPE_MESSAGE: NOON,
}
NOT_GIVEN: Final = ("request_id", "authority", "validate_only", "min_position", "page_token", "restates")
FILLS: Final = ("RecordFills", "StreamFills")  # by hand as a whole


def values_of(method: str) -> dict[str, Any]:
    """The values of a good request by field: those by hand, and of what the contract tells all but lists."""
    by_hand = BY_HAND.get(method, dict)()
    fields = [] if method in FILLS else METHODS[method].input_type.fields
    told = {
        field.name: VALUES[field.name] if field.name in VALUES else BY_TYPE[field.type]
        for field in fields
        if field.name not in by_hand and field.name not in NOT_GIVEN and not field.is_repeated
    }
    return {**told, **by_hand}


# Requests that must have been answered before the good one of a method, beside those of the methods before it.
BEFORE: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "RejectMatch": ("RequestMatch", {"account_id": "dave"}),
    "WithdrawCredit": ("CreditFee", {}),
}
# Fields that name the position of that answer.
NAMES_BEFORE: Final[Mapping[str, str]] = {"WithdrawCredit": "credit_position"}


def begun(method: str, send: Callable[[Any], Any]) -> dict[str, Any]:
    """Send what must be answered before the good request of a method; return the values that follow for it."""
    if method not in BEFORE:
        return {}
    answer = send(good(*BEFORE[method]))
    return {NAMES_BEFORE[method]: answer.receipt.position} if method in NAMES_BEFORE else {}


def good(method: str, values: Mapping[str, Any] | None = None) -> Any:
    """A request that is right in every way, with nearly every field given; then some values set by path."""
    kind = GetMessageClass(METHODS[method].input_type)
    request: Any = kind(**values_of(method))
    if "authority" in request.DESCRIPTOR.fields_by_name:
        request.request_id = request_id()
        if not request.HasField("authority"):
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
