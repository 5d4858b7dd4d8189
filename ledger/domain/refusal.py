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
    DIGEST_MALFORMED = 20
    LIST_TOO_LONG = 21
    PROGRAMME_INVALID = 35
    PROGRAMME_TOO_LARGE = 36
    RATE_OUT_OF_RANGE = 37
    WITHIN_DAYS_OUT_OF_RANGE = 38
    COLUMN_MALFORMED = 40
    SOURCE_CHANGED = 41

    REQUEST_ID_REUSED = 100
    FILL_CONFLICT = 101
    SEQUENCE_GAP = 102
    ACCOUNT_ALREADY_REGISTERED = 103
    SYMBOL_ALREADY_REGISTERED = 104
    CURRENCY_ALREADY_REGISTERED = 105
    IDENTITY_ALREADY_VERIFIED = 110
    APPLICATION_ALREADY_OPEN = 111
    BOUNTY_ALREADY_AWARDED = 112
    PROMOTION_ALREADY_ANNOUNCED = 113
    BONUS_ALREADY_AWARDED = 114
    ACCOUNT_ALREADY_FLAGGED = 115
    PROGRAMME_VERSION_EXISTS = 125

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
    ACCOUNT_FLAGGED = 220
    VIP_IN_PAST_90_DAYS = 221
    EXTERNAL_VOLUME_TOO_LOW = 222
    NOT_FLAGGED = 223
    MATCH_UNKNOWN = 224
    MATCH_SETTLED = 225
    NOT_VERIFIED = 227
    APPLICATION_INCOMPLETE = 228
    APPLICATION_UNKNOWN = 229
    APPLICATION_SETTLED = 230
    FEEDBACK_UNKNOWN = 231
    NOT_A_MEMBER = 232
    BOUNTY_ROUND_CLOSED = 233
    BOUNTY_ROUND_RUNNING = 234
    PROMOTION_UNKNOWN = 235
    PROMOTION_NOT_ELIGIBLE = 236
    NOT_ENTITLED = 237
    METRIC_UNKNOWN = 238
    ACTOR_REQUIRED = 255
    APPROVER_REQUIRED = 256
    APPROVER_IS_ACTOR = 257
    REASON_REQUIRED = 258
    PROGRAMME_IN_THE_PAST = 259
    VENUE_ALREADY_GOVERNED = 260
    NEGATIVE_NET_PAIR = 261
    CONTROL_UNKNOWN = 262

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
