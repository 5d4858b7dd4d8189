"""A fee programme: what one version of its file says, as values. Parsing lies in `ledger.programmes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

NO_TIER: Final = "NONE"  # the tier of an account without an active grant

# Numbers of the enums of proto/ledger/v1/fill.proto that rules depend on.
SIDE_BUY: Final = 1
LIQUIDITY_MAKER: Final = 1
CHANNEL_API: Final = 1
PRODUCTS: Final = {"SPOT": 1, "FUTURES": 2}


class Rates(NamedTuple):
    """One cell of the fee table, in signed ppm; negative is a rebate."""

    maker_ppm: int
    taker_ppm: int


class PairRates(NamedTuple):
    """Rates of one pair for every tier, in signed ppm; None: that of tier and class."""

    maker_ppm: int | None
    taker_ppm: int | None


@dataclass(frozen=True, slots=True)
class TokenDiscount:
    """Paying in `token` takes `discount_ppm` off a charge, unless `exclusion` applies (R20, A17)."""

    token: str
    discount_ppm: int
    exclusion: str


@dataclass(frozen=True, slots=True)
class Trial:
    """The trial of a new member (R4). All trials are over at `closes_at_ns`, if it is given."""

    tier: str
    days: int
    once_per: str
    closes_at_ns: int | None = None


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
    trial: Trial
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
    approval: frozenset[str] = frozenset()  # commands that need a second person

    def rank(self, tier: str) -> int:
        """Place of a tier, 0 for none, higher is better. A tier this version does not have ranks as none."""
        return self.tiers.index(tier) + 1 if tier in self.tiers else 0
