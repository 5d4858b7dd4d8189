"""Words of the cases, in the order of the ledger's enums where there is one (they count from 1)."""

from __future__ import annotations

from typing import Final

from ledger.domain.grant_sources import EVALUATION, MANUAL, MATCH, TRIAL

TIERS: Final = ("NONE", "VIP1", "VIP2", "VIP3", "VIP4", "VIP5")
SOURCES: Final = (EVALUATION, MATCH, TRIAL, MANUAL)
SIDES: Final = ("BUY", "SELL")
LIQUIDITIES: Final = ("MAKER", "TAKER")
CHANNELS: Final = ("API", "WEB")
PROMOTIONS: Final = ("API_EXCLUSIVE", "NET_BUY", "BUY_SELL")
