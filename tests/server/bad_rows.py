"""What each field of each request is, and so which values are bad for it; and the faults that lie between fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill, TokenPayment
from tests.samples import fill
from tests.server.bad_columns import BAD_COLUMNS, COLUMN_FIELDS
from tests.server.bad_values import (
    AMOUNT,
    BAN_DAYS,
    DAY,
    DECIMAL,
    LEFT_TO_ROWS,
    OPTIONAL_AMOUNT,
    OPTIONAL_DAY,
    OPTIONAL_DECIMAL,
    OPTIONAL_ID,
    OPTIONAL_RATE,
    OPTIONAL_VOLUME,
    PAST_TIME,
    PROGRAMME_FILE,
    REQUIRED_ID,
    REQUIRED_PAST_TIME,
    SCALE,
    STREAM,
    WEEK,
    WITHIN_DAYS,
    Bad,
    enum_up_to,
    required_enum_up_to,
    text_of,
)
from tests.server.field_kinds import kinds_of
from tests.server.good_requests import BAD, BATCH_MAX, KNOWN, METHODS, PROGRAMME
from tests.server.instants import BEFORE_NOON, NOON

FILL: Final[Mapping[str, Bad]] = {
    "account_id": REQUIRED_ID,
    "exec_id": REQUIRED_ID,
    "symbol": REQUIRED_ID,
    "side": required_enum_up_to(2),
    "liquidity": required_enum_up_to(2),
    "last_px": AMOUNT,
    "last_qty": AMOUNT,
    "transact_time": REQUIRED_PAST_TIME,
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

PASSED: Final = ("trade_id", "order_id", "cl_ord_id")

# Fields of a fill that a quote has too.
QUOTED: Final = (
    "account_id",
    "symbol",
    "side",
    "liquidity",
    "last_px",
    "last_qty",
    "channel",
    "product",
    "token_payment.token",
    "token_payment.price",
    "token_payment.price_source",
)

FILLS: Final = ("RecordFills", "StreamFills")  # whose fields lie in fills and columns

# What the contract does not tell of a field, by method.
BY_HAND: Final[Mapping[str, Mapping[str, Bad]]] = {
    "RegisterAccount": {"registered_time": PAST_TIME},
    "RegisterSymbol": {
        "price_scale": SCALE,
        "quantity_scale": SCALE,
    },
    "RegisterCurrency": {"decimals": SCALE},
    "StartTrial": {"start_time": PAST_TIME},
    "BanAccount": {
        "days": BAN_DAYS,
        "start_time": PAST_TIME,
    },
    "CreditFee": {
        "day": DAY,
        "amount": AMOUNT,
    },
    "RequestMatch": {
        "period_from": REQUIRED_PAST_TIME,
        "external_volume.spot": OPTIONAL_VOLUME,
        "external_volume.futures": OPTIONAL_VOLUME,
    },
    "RecordBehaviourMetric": {
        "value": DECIMAL,
        "window_from": REQUIRED_PAST_TIME,
    },
    "AwardBounty": {
        "week": WEEK,
        "amount": AMOUNT,
    },
    "CloseBountyRound": {"week": WEEK},
    "AwardBonus": {"amount": AMOUNT},
    "CheckMatchEligibility": {
        "external_volume.spot": OPTIONAL_VOLUME,
        "external_volume.futures": OPTIONAL_VOLUME,
    },
    "RecordFills": {
        "venue": OPTIONAL_ID,
        "source": OPTIONAL_ID,
        "first_sequence": LEFT_TO_ROWS,
        "fills": LEFT_TO_ROWS,
        **{f"fills.{path}": kinds for path, kinds in FILL.items()},
        "actor": OPTIONAL_ID,
        "complete_until": PAST_TIME,
        **dict.fromkeys(COLUMN_FIELDS, LEFT_TO_ROWS),
    },
    "StreamFills": {
        "batch.venue": OPTIONAL_ID,
        "batch.source": REQUIRED_ID,
        "batch.first_sequence": LEFT_TO_ROWS,
        "batch.fills": LEFT_TO_ROWS,
        "batch.actor": OPTIONAL_ID,
        "batch.complete_until": PAST_TIME,
        **{f"batch.{path}": LEFT_TO_ROWS for path in COLUMN_FIELDS},
    },
    "QuoteFee": {
        **{path: FILL[path] for path in QUOTED},
        "venue": OPTIONAL_ID,
    },
    "GetFill": {
        "fill_ref.venue": OPTIONAL_ID,
        "fill_ref.account_id": REQUIRED_ID,
        "fill_ref.day": DAY,
        "fill_ref.exec_id": REQUIRED_ID,
    },
    "PublishProgramme": {"content": PROGRAMME_FILE},
    "SetPairRates": {
        "maker_rate": OPTIONAL_RATE,
        "taker_rate": OPTIONAL_RATE,
    },
    "RecordDailyClose": {
        "day": DAY,
        "price": AMOUNT,
    },
    "PlanEvaluation": {"kind": enum_up_to(2)},
    "RunEvaluation": {"kind": enum_up_to(2)},
    "GetEvaluation": {"kind": enum_up_to(2)},
    "ListCloses": {
        "from_day": OPTIONAL_DAY,
        "until_day": OPTIONAL_DAY,
    },
    "ListFindings": {"within_days": WITHIN_DAYS},
    "ListEvents": {"stream": STREAM},
}
FIELDS: Final[Mapping[str, Mapping[str, Bad]]] = {
    name: {**({} if name in FILLS else kinds_of(method)), **BY_HAND.get(name, {})} for name, method in METHODS.items()
}

# Fields for which no value is bad, and why.
NOTHING_IS_BAD: Final[Mapping[tuple[str, str], str]] = {
    ("RecordFills", "include_fees"): "a bool: the caller wants the fees or not",
    ("StreamFills", "batch.include_fees"): "a bool: the same",
    **{
        (method, f"{path}.{name}"): "one by one in the rows of columns.symbols; a malformed symbol is one of its fills"
        for method, path in (("RecordFills", "columns.symbols"), ("StreamFills", "batch.columns.symbols"))
        for name in ("symbol", "price_scale", "quantity_scale")
    },
    **{
        (
            "StreamFills",
            f"batch.fills.{path}",
        ): "a malformed fill of a source is refused alone: test_streams"
        for path in FILL
    },
    **{
        (method, f"{path}.{name}"): "it passes through, whatever it is: test_passed_texts"
        for method, path in (("RecordFills", "fills"), ("StreamFills", "batch.fills"))
        for name in PASSED
    },
    ("RecordDailyClose", "restates"): "a position: whether a close lies there is for the state to say",
    ("ListEvents", "after_position"): "a position beyond the log has no events after it",
    **{
        (name, field.name): "a bool: what it says is for the state to judge"
        for name, method in METHODS.items()
        for field in method.input_type.fields
        if field.type == field.TYPE_BOOL
    },
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
        return (self.named or self.path).replace("fills.", f"fills[{BAD}].")


AHEAD: Final = 1_000_000_000  # a position the log does not reach here
U64_MAX: Final = 2**64 - 1
TOO_MANY: Final = [fill() for _ in range(BATCH_MAX + 1)]

FINE_PRICE: Final = "0.500000001"
FINE_QTY: Final = "10.00001"
FROM_NOTHING: Final = {"at.known_at_position": 0}
BEFORE_SYMBOLS: Final = {"at.known_at_position": 3}  # the programme is published, nothing is registered

_POSITIONS: Final = [
    row
    for method in (name for name, rpc in METHODS.items() if "at" in rpc.input_type.fields_by_name)
    for kind, position in (("beyond the log", AHEAD), ("the greatest number", U64_MAX))
    for row in (
        Row(method, kind, {"at.known_at_position": position}, Reason.POSITION_AHEAD),
        Row(method, kind, {"at.min_position": position}, Reason.POSITION_NOT_REACHED),
    )
]

ROWS: Final[Sequence[Row]] = [
    *_POSITIONS,
    Row("RecordFills", "without a source", {"first_sequence": 1}, Reason.SEQUENCE_MALFORMED, "source"),
    Row("RecordFills", "without a number", {"source": "engine"}, Reason.SEQUENCE_MALFORMED, "first_sequence"),
    Row("RecordFills", "leaving a gap", {"first_sequence": 2, "source": "nobody"}, Reason.SEQUENCE_GAP),
    Row("RecordFills", "leaving the widest gap", {"first_sequence": U64_MAX, "source": "nobody"}, Reason.SEQUENCE_GAP),
    Row("RecordFills", "empty", {"fills": []}, Reason.BATCH_EMPTY),
    Row("RecordFills", "without a source", {"complete_until": NOON}, Reason.FIELD_REQUIRED, "source"),
    Row("RecordFills", "without all", {"complete_until": NOON, "fills": []}, Reason.FIELD_REQUIRED, "source"),
    Row("RecordFills", "over the limit", {"fills": TOO_MANY}, Reason.BATCH_TOO_LARGE),
    Row("RecordFills", "an empty one", {"fills": [fill(), Fill()]}, Reason.FIELD_REQUIRED, "fills[1].account_id"),
    Row("RecordFills", "unknown", {"venue": "nowhere"}, Reason.VENUE_UNKNOWN),
    Row("StreamFills", "missing", {"batch.first_sequence": 0}, Reason.SEQUENCE_MALFORMED),
    Row("StreamFills", "leaving a gap", {"batch.first_sequence": 2, "batch.source": "nobody"}, Reason.SEQUENCE_GAP),
    Row("StreamFills", "empty", {"batch.fills": []}, Reason.BATCH_EMPTY),
    Row("StreamFills", "over the limit", {"batch.fills": TOO_MANY}, Reason.BATCH_TOO_LARGE),
    Row("StreamFills", "unknown", {"batch.venue": "nowhere"}, Reason.VENUE_UNKNOWN),
    *(Row("RecordFills", kind, {**values, "fills": []}, reason, named) for kind, values, reason, named in BAD_COLUMNS),
    *(
        Row(
            "StreamFills",
            kind,
            {**{f"batch.{path}": value for path, value in values.items()}, "batch.fills": []},
            reason,
            f"batch.{named}",
        )
        for kind, values, reason, named in BAD_COLUMNS
    ),
    Row("ChangeTier", "before valid_from", {"valid_until": BEFORE_NOON, "valid_from": NOON}, Reason.INTERVAL_EMPTY),
    Row("ChangeTier", "equal to valid_from", {"valid_until": NOON, "valid_from": NOON}, Reason.INTERVAL_EMPTY),
    Row("ChangeTier", "before now", {"valid_until": BEFORE_NOON, "valid_from": None}, Reason.INTERVAL_EMPTY),
    *(
        Row(method, kind, {"programme_id": programme_id}, Reason.PROGRAMME_UNKNOWN)
        for method in ("GetProgramme", "ListProgrammes", "ListPairs", "ListFindings")
        for kind, programme_id in (("unknown", "no-such"), ("in capitals", PROGRAMME.upper()))
    ),
    Row("GetProgramme", "unknown", {"version": "2.9"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetProgramme", "of nothing", {"programme_id": PROGRAMME, **FROM_NOTHING}, Reason.PROGRAMME_UNKNOWN),
    Row("ListProgrammes", "of nothing", {"programme_id": PROGRAMME, **FROM_NOTHING}, Reason.PROGRAMME_UNKNOWN),
    Row("ListPairs", "of nothing", {"programme_id": PROGRAMME, **FROM_NOTHING}, Reason.PROGRAMME_UNKNOWN),
    Row("ListFindings", "unknown", {"control": "no-such"}, Reason.CONTROL_UNKNOWN),
    Row("ListFindings", "in capitals", {"control": "BENEFITS-ENDING"}, Reason.CONTROL_UNKNOWN),
    Row("ListFindings", "beyond the tables", {"min_position": AHEAD}, Reason.POSITION_NOT_REACHED),
    Row("ListFindings", "the greatest number", {"min_position": U64_MAX}, Reason.POSITION_NOT_REACHED),
    Row("PlanEvaluation", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("PlanEvaluation", "of no evaluation", {"instant": NOON}, Reason.NOT_AN_EVALUATION_DAY),
    Row("GetEvaluation", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetEvaluation", "of no evaluation", {"instant": NOON}, Reason.EVALUATION_UNKNOWN),
    *(
        Row(method, "missing", {"fact_position": 0}, Reason.FIELD_REQUIRED)
        for method in ("ReleaseFact", "DeclineFact", "WithdrawFact")
    ),
    Row("CreditFee", "tomorrow", {"day": "2024-10-05"}, Reason.TIME_IN_FUTURE),
    Row("WithdrawCredit", "missing", {"credit_position": 0}, Reason.FIELD_REQUIRED),
    Row("RunEvaluation", "beyond the log", {"read_position": AHEAD}, Reason.POSITION_AHEAD),
    Row("RunEvaluation", "the greatest number", {"read_position": U64_MAX}, Reason.POSITION_AHEAD),
    Row("RunEvaluation", "before the programme", {"read_position": 1}, Reason.PROGRAMME_UNKNOWN),
    Row("RunEvaluation", "too many", {"complete_sources": ["s"] * 101}, Reason.LIST_TOO_LONG),
    Row(
        "RunEvaluation", "one malformed", {"complete_sources": ["s", "s s"]}, Reason.ID_MALFORMED, "complete_sources[1]"
    ),
    Row("RunEvaluation", "one empty", {"complete_sources": ["s", ""]}, Reason.FIELD_REQUIRED, "complete_sources[1]"),
    Row("ListCloses", "before", {"until_day": "2024-09-30", "from_day": "2024-10-01"}, Reason.INTERVAL_EMPTY),
    Row("ListCloses", "equal", {"until_day": "2024-10-01", "from_day": "2024-10-01"}, Reason.INTERVAL_EMPTY),
    Row("ListSoloActions", "before from_time", {"until_time": BEFORE_NOON, "from_time": NOON}, Reason.INTERVAL_EMPTY),
    Row("ListSoloActions", "equal to from_time", {"until_time": NOON, "from_time": NOON}, Reason.INTERVAL_EMPTY),
    Row("BanAccount", "too many", {"evidence_positions": list(range(1, 102))}, Reason.LIST_TOO_LONG),
    Row("RequestMatch", "none", {"venues": []}, Reason.FIELD_REQUIRED),
    Row("RequestMatch", "too many", {"venues": ["v"] * 21}, Reason.LIST_TOO_LONG),
    Row("RequestMatch", "one malformed", {"venues": ["okx", "o kx"]}, Reason.ID_MALFORMED, "venues[1]"),
    Row("RequestMatch", "one empty", {"venues": ["okx", ""]}, Reason.FIELD_REQUIRED, "venues[1]"),
    Row(
        "RequestMatch",
        "equal to period_from",
        {"period_until": BEFORE_NOON, "period_from": BEFORE_NOON},
        Reason.INTERVAL_EMPTY,
    ),
    Row(
        "RecordBehaviourMetric",
        "equal to window_from",
        {"window_until": BEFORE_NOON, "window_from": BEFORE_NOON},
        Reason.INTERVAL_EMPTY,
    ),
    Row("AnnouncePromotion", "equal to start_time", {"end_time": NOON, "start_time": NOON}, Reason.INTERVAL_EMPTY),
    Row("AnnouncePromotion", "before start_time", {"end_time": BEFORE_NOON, "start_time": NOON}, Reason.INTERVAL_EMPTY),
    Row("CheckMatchEligibility", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetEntitlements", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("CheckPromotionEligibility", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("ListApplications", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("ListApplications", "too many", {"due_within_business_days": 1_001}, Reason.TIME_OUT_OF_RANGE),
    Row("ListApplications", "the greatest", {"due_within_business_days": 2**32 - 1}, Reason.TIME_OUT_OF_RANGE),
    Row("ListApplications", "beyond the tables", {"min_position": AHEAD}, Reason.POSITION_NOT_REACHED),
    Row("ListApplications", "the greatest number", {"min_position": U64_MAX}, Reason.POSITION_NOT_REACHED),
    Row("GetVipState", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetVipState", "in capitals", {"programme_id": PROGRAMME.upper()}, Reason.PROGRAMME_UNKNOWN),
    Row("GetRates", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("GetRates", "in capitals", {"programme_id": PROGRAMME.upper()}, Reason.PROGRAMME_UNKNOWN),
    Row("QuoteFee", "unknown", {"venue": "nowhere"}, Reason.VENUE_UNKNOWN),
    Row("QuoteFee", "not known yet", {"venue": "bitmart", **FROM_NOTHING}, Reason.VENUE_UNKNOWN),
    Row("QuoteFee", "not said and none known yet", {"venue": None, **FROM_NOTHING}, Reason.VENUE_UNKNOWN),
    Row("QuoteFee", "unknown", {"symbol": "NO_SUCH"}, Reason.SYMBOL_UNKNOWN),
    Row("QuoteFee", "in small letters", {"symbol": "xrp_usdt"}, Reason.SYMBOL_UNKNOWN),
    Row("QuoteFee", "not known yet", {"symbol": "XRP_USDT", **BEFORE_SYMBOLS}, Reason.SYMBOL_UNKNOWN),
    Row("QuoteFee", "futures", {"product": 2}, Reason.PRODUCT_WITHOUT_RATES),
    Row("QuoteFee", "futures, price too fine", {"product": 2, "last_px": FINE_PRICE}, Reason.PRODUCT_WITHOUT_RATES),
    Row("QuoteFee", "too fine", {"last_px": FINE_PRICE}, Reason.PRICE_TOO_FINE),
    Row("QuoteFee", "too fine, and the quantity", {"last_px": FINE_PRICE, "last_qty": FINE_QTY}, Reason.PRICE_TOO_FINE),
    Row("QuoteFee", "too fine", {"last_qty": FINE_QTY}, Reason.QUANTITY_TOO_FINE),
    Row("QuoteFee", "given but empty", {"token_payment": TokenPayment()}, Reason.FIELD_REQUIRED, "token_payment.token"),
    Row("GetFill", "missing", {"fill_ref": None}, Reason.FIELD_REQUIRED, "fill_ref.account_id"),
    Row("GetFill", "unknown", {"fill_ref.venue": "nowhere"}, Reason.VENUE_UNKNOWN),
    Row("GetFill", "not known yet", {"fill_ref.venue": "bitmart", **FROM_NOTHING}, Reason.VENUE_UNKNOWN),
    Row("GetFill", "not said and none known yet", {"fill_ref.venue": None, **FROM_NOTHING}, Reason.VENUE_UNKNOWN),
    Row("GetFill", "of nobody", {"fill_ref.account_id": "nobody"}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "unknown", {"fill_ref.exec_id": "no-such"}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "in capitals", {"fill_ref.exec_id": KNOWN.exec_id.upper()}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "the day before", {"fill_ref.day": "2024-10-03"}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "the first day", {"fill_ref.day": "2009-01-01"}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "the last day", {"fill_ref.day": "2199-12-31"}, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("GetFill", "before the fill", BEFORE_SYMBOLS, Reason.FILL_UNKNOWN, "fill_ref"),
    Row("ListAccounts", "beyond the tables", {"min_position": AHEAD}, Reason.POSITION_NOT_REACHED),
    Row("ListAccounts", "the greatest number", {"min_position": U64_MAX}, Reason.POSITION_NOT_REACHED),
    Row("ListAccounts", "beyond bigint", {"min_position": 2**63}, Reason.POSITION_NOT_REACHED),
    Row("ListAccounts", "unknown", {"tier": "VIP6"}, Reason.TIER_UNKNOWN),
    Row("ListAccounts", "in small letters", {"tier": "vip1"}, Reason.TIER_UNKNOWN),
    Row("ListAccounts", "none, in small letters", {"tier": "none"}, Reason.TIER_UNKNOWN),
    Row("ListAccounts", "unknown", {"programme_id": "no-such"}, Reason.PROGRAMME_UNKNOWN),
    Row("ListAccounts", "in capitals", {"programme_id": PROGRAMME.upper()}, Reason.PROGRAMME_UNKNOWN),
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
