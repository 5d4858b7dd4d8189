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
SPAN: Final = {"from_time": A_DAY_AGO, "until_time": IN_A_DAY}
GOOD: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
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
    "FlagAccount": lambda: {"account_id": "bob", "kind": 1, "flag_time": NOON, "evidence_sha256": DIGEST},
    "UnflagAccount": lambda: {"account_id": "bob", "unflag_time": NOON},
    "RequestMatch": lambda: {
        "authority": Authority(actor="requester", approver="second", ticket="T-1", reason="asked on the phone"),
        "account_id": "carol",
        "venues": ["binance", "okx"],
        "external_tier": "VIP2",
        "period_from": at(NOON_NS - 30 * DAY_NS),
        "period_until": NOON,
        "external_volume": ExternalVolume(spot="500000", futures="250000.5"),
        "evidence_sha256": DIGEST,
        "request_time": NOON,
        "programme_id": PROGRAMME,
    },
    "ApproveMatch": lambda: {"account_id": "carol", "match_id": "m1", "approve_time": NOON},
    "RejectMatch": lambda: {
        "account_id": "dave",
        "match_id": "m1",
        "reason_code": "EVIDENCE_FALSE",
        "reject_time": NOON,
    },
    "SubmitApplication": lambda: {
        "account_id": "erin",
        "received_time": NOON,
        "account_opened": True,
        "api_key_created": True,
        "community_joined": True,
        "form_submitted": True,
        "programme_id": PROGRAMME,
    },
    "VerifyApiIdentity": lambda: {"account_id": "erin", "verified_time": NOON},
    "SettleApplication": lambda: {"account_id": "erin", "application_id": "p1", "outcome": 1, "settle_time": NOON},
    "AssignKeyAccountManager": lambda: {
        "account_id": "carol",
        "manager_id": "kam-1",
        "assign_time": NOON,
        "programme_id": PROGRAMME,
    },
    "RecordBehaviourMetric": lambda: {
        "account_id": "alice",
        "code": "LOW_FILL_RATIO",
        "value": "0.001",
        "window_from": A_DAY_AGO,
        "window_until": NOON,
    },
    "ReportFeedback": lambda: {"account_id": "carol", "kind": 1, "channel": 2, "report_time": NOON},
    "AwardBounty": lambda: {
        "week": WEEK,
        "report_id": "r1",
        "amount": "50",
        "currency": "USDT",
        "programme_id": PROGRAMME,
    },
    "CloseBountyRound": lambda: {"week": "2024-W39"},
    "AnnouncePromotion": lambda: {
        "promotion_id": "october",
        "promotion_type": "API_EXCLUSIVE",
        "start_time": A_DAY_AGO,
        "end_time": IN_A_DAY,
    },
    "AwardBonus": lambda: {
        "promotion_id": "october",
        "account_id": "carol",
        "amount": "10",
        "currency": "USDT",
        "award_time": NOON,
        "override": True,
        "programme_id": PROGRAMME,
    },
    "GetMembership": lambda: {"account_id": "carol", "at": ReadAt(as_of=NOON)},
    "CheckMatchEligibility": lambda: {
        "account_id": "carol",
        "at": ReadAt(as_of=NOON),
        "external_volume": ExternalVolume(spot="500000", futures="0"),
        "programme_id": PROGRAMME,
    },
    "GetEntitlements": lambda: {"account_id": "carol", "at": ReadAt(as_of=NOON), "programme_id": PROGRAMME},
    "CheckPromotionEligibility": lambda: {
        "account_id": "carol",
        "at": ReadAt(as_of=NOON),
        "promotion_type": "NET_BUY",
        "programme_id": PROGRAMME,
    },
    "ListMonthsWithoutPromotion": lambda: {"at": ReadAt(as_of=NOON), "from_time": A_DAY_AGO},
    "ListBountyRounds": lambda: {"at": ReadAt(as_of=NOON), "open_only": True},
    "ListApplications": lambda: {
        "as_of": NOON,
        "overdue": False,
        "due_within_business_days": 10,
        "programme_id": PROGRAMME,
        "page_size": 10,
    },
    "LiftBan": lambda: {"account_id": "alice", "lift_time": NOON},
    "PublishProgramme": lambda: {"content": programme_file(a_new("version")), "valid_from": NOON},
    "AssignPairClass": lambda: {
        "symbol": "XRP_USDT",
        "pair_class": "A",
        "valid_from": NOON,
        "programme_id": PROGRAMME,
    },
    "SetPairRates": lambda: {
        "symbol": "XRP_USDT",
        "maker_rate": "0.0001",
        "taker_rate": "0.0003",
        "valid_from": NOON,
        "programme_id": PROGRAMME,
    },
    "RecordDailyClose": lambda: {
        "asset": "BTC",
        "day": "2024-10-03",
        "price": "60000.5",
        "currency": "USDT",
        "source": "binance-1d",
        "source_sha256": DIGEST,
    },
    "ListCloses": lambda: {
        "asset": "BTC",
        "from_day": "2024-10-01",
        "until_day": "2024-10-04",
        "include_restated": True,
        "at": ReadAt(as_of=NOON),
        "page_size": 10,
    },
    "PlanEvaluation": lambda: {"programme_id": PROGRAMME, "kind": 1, "instant": DUE, "at": ReadAt(as_of=NOON)},
    "RunEvaluation": lambda: {
        "programme_id": PROGRAMME,
        "kind": 1,
        "instant": LAST_DUE,
        "read_position": 4,  # there is a programme by then
        "complete_sources": ["engine"],
    },
    "GetEvaluation": lambda: {"programme_id": PROGRAMME, "kind": 1, "instant": LAST_DUE, "at": ReadAt(as_of=NOON)},
    "GetProgramme": lambda: {"programme_id": PROGRAMME, "version": "3.0", "at": ReadAt(as_of=NOON)},
    "ListProgrammes": lambda: {"programme_id": PROGRAMME, "at": ReadAt(as_of=NOON), "page_size": 10},
    "ListPairs": lambda: {"programme_id": PROGRAMME, "at": ReadAt(as_of=NOON), "page_size": 10},
    "ListControls": dict,
    "ListFindings": lambda: {
        "control": "benefits-ending",
        "as_of": NOON,
        "within_days": 7,
        "programme_id": PROGRAMME,
        "page_size": 10,
    },
    "ListSoloActions": lambda: {"actor": "operator", "at": ReadAt(as_of=NOON), "page_size": 10, **SPAN},
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
    "GetVipState": lambda: {"account_id": "alice", "at": ReadAt(as_of=NOON), "programme_id": PROGRAMME},
    "ListFeeHistory": lambda: {"account_id": "alice", "at": ReadAt(as_of=NOON), "page_size": 10, **SPAN},
    "GetRates": lambda: {"account_id": "alice", "at": ReadAt(as_of=NOON), "programme_id": PROGRAMME},
    "QuoteFee": lambda: {
        "account_id": "alice",
        "symbol": "XRP_USDT",
        "side": 1,
        "liquidity": 2,
        "last_px": "0.5",
        "last_qty": "10",
        "venue": "bitmart",
        "channel": 1,
        "product": 1,
        "token_payment": KNOWN.token_payment,
        "at": ReadAt(as_of=NOON),
    },
    "GetFill": lambda: {
        "fill_ref": FillRef(venue="bitmart", account_id="alice", day="2024-10-04", exec_id=KNOWN.exec_id),
        "at": ReadAt(as_of=NOON),
    },
    "ListAccounts": lambda: {
        "as_of": NOON,
        "tier": "NONE",
        "ending_before": IN_A_DAY,
        "banned": False,
        "flagged": False,
        "owner_id": "owner",
        "programme_id": PROGRAMME,
        "page_size": 10,
    },
    "ListEvents": lambda: {
        "stream": "account/alice",
        "after_position": 1,
        "at": ReadAt(as_of=NOON),
        "page_size": 10,
    },
    "GetLedgerInfo": dict,
}


# Requests that must have been answered before the good one of a method, beside those of the methods before it.
BEFORE: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {"RejectMatch": ("RequestMatch", {"account_id": "dave"})}


def good(method: str, values: Mapping[str, Any] | None = None) -> Any:
    """A request that is right in every way, with nearly every field given; then some values set by path."""
    kind = GetMessageClass(METHODS[method].input_type)
    request: Any = kind(**GOOD[method]())
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
