"""A fee programme: one version of its file, as values. Parsing lies in `ledger.programmes`.

A field that is a switch holds the first value of its row in the table of ambiguities (A1-A33) unless the file says
otherwise, so that a version published before the switch existed still means what it meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

NO_TIER: Final = "NONE"  # the tier of an account without an active grant

# A volume may give one of these instead of a tier. Neither is a tier: a person must look, and above the table
# the account keeps meanwhile the tier that it has.
MANUAL_REVIEW: Final = "MANUAL_REVIEW"  # above the table (A4)
NEGATIVE_VOLUME: Final = "NEGATIVE_VOLUME"  # corrections outweigh the fills of the window: a break in the books

# Numbers of the enums of proto/ledger/v1/fill.proto that rules depend on.
SIDE_BUY: Final = 1
LIQUIDITY_MAKER: Final = 1
CHANNEL_API: Final = 1
PRODUCTS: Final = {"SPOT": 1, "FUTURES": 2}

_100_000: Final = 100_000 * 10**36  # volumes have 36 decimals


class Rates(NamedTuple):
    """One cell of the fee table, in signed ppm; negative is a rebate."""

    maker_ppm: int
    taker_ppm: int


class PairRates(NamedTuple):
    """Rates that everybody pays in a pair, in signed ppm; None leaves a side to the table and the base rates.

    The guard against a money pump looks at the other side in `pair_class`; empty: in every class.
    """

    maker_ppm: int | None
    taker_ppm: int | None
    pair_class: str = ""


# What a fact that arrives late does to lines recorded before it.
ADJUST: Final = "adjust"  # it restates them at once
CREDIT_ONLY: Final = "credit_only"  # at once where the member pays less on the whole, else it is proposed
PROPOSE: Final = "propose"  # when two persons release it
KEEP: Final = "keep"  # nothing


class Adjust(NamedTuple):
    """The effect of late facts on lines recorded before them, by cause: adjust, credit_only, propose or keep."""

    grants: str
    revocations: str
    flags: str
    unflags: str
    volume: str  # bans, and lifts of bans
    classes: str = KEEP  # classes of pairs, and rates of single pairs
    owners: str = KEEP  # of accounts that are registered after they traded, with the self-trades that follow


class Band(NamedTuple):
    """A tier from a volume on, or only above it. `volume` has 36 decimals of the volume currency."""

    tier: str
    volume: int
    above: bool = False


@dataclass(frozen=True, slots=True)
class TokenDiscount:
    """Paying in `token` takes `discount_ppm` off a charge, unless `exclusion` applies (R20, A17)."""

    token: str
    discount_ppm: int
    exclusion: str = "while_vip"


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial of a new member (R4), and the days of the tier that its volume gives afterwards (R14).

    All trials are over at `closes_at_ns`, if it is given.
    """

    tier: str
    days: int
    once_per: str = "owner"
    closes_at_ns: int | None = None
    further_days: int = 30
    requires_verified_api_user: bool = False


class Ranking(NamedTuple):
    """A programme, and how it chooses between grants: `tiers` are worst first."""

    programme_id: str
    grant_resolution: str
    tiers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Programme:
    """One version of a programme. `tiers` are worst first; `rates` is keyed by (tier, pair class)."""

    programme_id: str
    version: str
    venues: tuple[str, ...]
    products: frozenset[int]
    pair_classes: tuple[str, ...]
    tiers: tuple[str, ...]
    base_rates: Rates
    rates: Mapping[tuple[str, str], Rates]
    trial: Trial | None
    token_discount: TokenDiscount | None
    volume_currency: str
    volume_bands: tuple[tuple[str, int], ...]  # (tier, least volume with 36 decimals)
    evaluation_days: frozenset[int]
    window_days: int
    ban_days_min: int
    ban_days_max: int
    never_worse_than_base: bool
    self_trade_rebate: bool
    rate_scope: str
    fee_currency: str
    rounding: str
    title: str = ""
    class_base_rates: Mapping[str, Rates] = field(default_factory=dict)  # of classes where `base_rates` do not count
    base_rates_are_fixture: bool = False  # the rates are an example, and nobody's decision
    overrides: Mapping[str, PairRates] = field(default_factory=dict)  # by symbol, for members and everybody else
    period_from_ns: int | None = None  # fills before it never count (R15)
    period_until_ns: int | None = None  # fills from it on never count
    boundary_policy: str = "table"  # A1-A3: table, terms
    terms_bands: tuple[Band, ...] = ()  # read where boundary_policy is "terms"
    above_top: str = "keep"  # A4: keep, manual_review
    volume_top: int | None = None  # where the table ends, with 36 decimals
    close_day: str = "fill_day"  # A12: fill_day, evaluation_day
    partial_day_close: str = "previous"  # A30: previous, wait
    aggregate_subaccounts: bool = False  # A14
    ban_count_volume: bool = False  # A13
    timezone: str = "UTC"  # A8: any IANA zone
    silent_after_ns: int = 0  # A31: a source without a sign of life for longer is not waited for; 0: it always is
    grant_term: str = "P30D"  # A9: P<days>D, next_calendar_month
    effective_delay_ns: int = 0  # A31
    late_grant: str = "adjust"  # A31: adjust, from_record
    adjust: Adjust = field(default_factory=lambda: Adjust(ADJUST, KEEP, KEEP, KEEP, KEEP))
    grant_resolution: str = "highest_active"  # A7: highest_active, latest_evaluation_wins
    deactivation: str = "at_grant_end"  # A10: at_grant_end, immediate
    rate_time: str = "exec"  # A25: exec, order
    match_volume: str = "sum"  # A15: sum, max, spot_only
    match_volume_min: int = _100_000  # R8, with 36 decimals
    match_lookback_days: int = 90  # R7
    match_days: int = 30  # R6
    match_period_end_tolerance_days: int = 7  # R8: so long before the request the 30 days may end
    match_pending_days: int | None = None  # from the request on; None: a match waits for ever
    trial_counts_as_membership: bool = True  # A16
    promotions_denied: tuple[str, ...] = ("NET_BUY", "BUY_SELL")  # A24
    promotion_types: tuple[str, ...] | None = None  # those that may be announced; None: any
    application_business_days: int = 10  # R13
    sla_start: str = "received"  # A23: received, verified
    holidays: frozenset[int] = frozenset()  # UTC days since 1970
    clawback: bool = False  # R21
    entitlements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by tier (R11)
    approval: frozenset[str] = frozenset()  # commands that need a second person

    def public_rates(self, pair_class: str) -> Rates:
        """Return the rates without a tier in a class, or in none: an empty one."""
        return self.class_base_rates.get(pair_class, self.base_rates)

    @property
    def ranking(self) -> Ranking:
        """All of a version that says which of an account's grants counts: versions with one ranking agree on that."""
        return Ranking(self.programme_id, self.grant_resolution, self.tiers)

    def rank(self, tier: str) -> int:
        """Return the place of a tier, 0 for none, higher is better. A tier unknown to this version ranks as none."""
        return self.tiers.index(tier) + 1 if tier in self.tiers else 0
