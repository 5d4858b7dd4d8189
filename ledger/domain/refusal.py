"""Every reason for a refusal. Names and numbers are those of `ledger.v1.Reason`; where several fit, the lowest wins."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum


class Reason(IntEnum):
    """Why the ledger says no; described one by one in proto/ledger/v1/refusal.proto."""

    FIELD_REQUIRED = 1
    ID_MALFORMED = 2
    TEXT_MALFORMED = 3
    DECIMAL_MALFORMED = 4
    NOT_POSITIVE = 5
    ENUM_UNSPECIFIED = 6
    TIME_MALFORMED = 7
    TIME_OUT_OF_RANGE = 8
    TIME_IN_FUTURE = 9
    INTERVAL_EMPTY = 10
    BAN_DAYS_OUT_OF_RANGE = 11
    SCALE_OUT_OF_RANGE = 12
    BATCH_EMPTY = 13
    BATCH_TOO_LARGE = 14
    FILL_TWICE_IN_BATCH = 15
    SEQUENCE_MALFORMED = 16
    PAGE_SIZE_OUT_OF_RANGE = 17
    PAGE_TOKEN_INVALID = 18
    COLUMN_MALFORMED = 40
    SOURCE_CHANGED = 41

    REQUEST_ID_REUSED = 100
    FILL_CONFLICT = 101
    SEQUENCE_GAP = 102
    ACCOUNT_ALREADY_REGISTERED = 103
    SYMBOL_ALREADY_REGISTERED = 104
    CURRENCY_ALREADY_REGISTERED = 105

    VENUE_UNKNOWN = 200
    PROGRAMME_UNKNOWN = 201
    SYMBOL_UNKNOWN = 202
    PAIR_CLASS_UNKNOWN = 203
    TIER_UNKNOWN = 204
    GRANT_UNKNOWN = 205
    PRODUCT_WITHOUT_RATES = 206
    PRICE_TOO_FINE = 207
    QUANTITY_TOO_FINE = 208
    TRIAL_ALREADY_USED = 209
    NOT_A_NEW_MEMBER = 210
    TRIAL_CLOSED = 211
    GRANT_ENDED = 212
    NOT_BANNED = 213
    FILL_UNKNOWN = 214

    OUTCOME_UNKNOWN = 300
    NOT_THE_WRITER = 301
    QUEUE_FULL = 302
    POSITION_NOT_REACHED = 303
    POSITION_AHEAD = 304
    STORE_UNAVAILABLE = 305
    INTERNAL = 306
    STREAMS_EXHAUSTED = 307


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expected no: a value, never an exception.

    `field` is the path of the field at fault, `detail` one sentence for a person with every number needed, `metadata`
    what a program needs to go on.
    """

    reason: Reason
    field: str = ""
    detail: str = ""
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
