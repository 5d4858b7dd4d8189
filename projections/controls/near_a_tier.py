"""Accounts whose volume misses a tier by little: "37,500 USDT more by 2024-10-18 keeps VIP2"."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import event_period, excluded_because
from ledger.domain.rules.evaluation_days import evaluation_window, next_evaluation_ns
from ledger.domain.state.programme import NO_TIER
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from projections.controls.scope import Control, Finding, Scope
from projections.tables.rows import CHANNEL_NAMES, PRODUCT_NAMES

NEAR_PERCENT: Final = 10  # at most so much of the tier's least volume is missing

# Only what is counted in the programme's own currency: other currencies need the closes of their days.
_CELLS: Final = """
SELECT d.account_id, coalesce(max(v.tier), ''), d.product, d.channel, d.self_trade, d.banned, d.zero_fee,
    trim_scale(sum(d.notional))::text
FROM {read}.volume_days d
LEFT JOIN {read}.vip_intervals v ON v.account_id = d.account_id AND v.programme_id = %(programme)s
    AND v.valid_from_ns <= %(at)s AND (v.valid_until_ns IS NULL OR v.valid_until_ns > %(at)s)
WHERE d.quote_currency = %(currency)s AND d.day >= %(from_day)s::date AND d.day < %(until_day)s::date
    AND d.day <= %(at_day)s::date
GROUP BY d.account_id, d.product, d.channel, d.self_trade, d.banned, d.zero_fee
ORDER BY d.account_id
"""
_PRODUCTS: Final = {name: number for number, name in PRODUCT_NAMES.items()}
_CHANNELS: Final = {name: number for number, name in CHANNEL_NAMES.items()}


def _find(scope: Scope) -> Iterator[Finding]:
    programme = scope.programme
    evaluation_ns = next_evaluation_ns(programme, scope.as_of_ns)
    from_ns, until_ns = event_period(programme, evaluation_window(programme, evaluation_ns))
    rows = scope.rows(
        _CELLS,
        currency=programme.volume_currency,
        from_day=day_text(from_ns // DAY_NS),
        until_day=day_text(until_ns // DAY_NS),
    )
    for (account_id, tier), cells in groupby(rows, key=lambda row: (row[0], row[1])):
        counted = sum(exact(cell[-1], NOTIONAL_SCALE) for cell in cells if _counts(scope, cell))
        finding = _missing(scope, account_id, tier or NO_TIER, counted, evaluation_ns)
        if finding:
            yield finding


def _counts(scope: Scope, cell: tuple[str, str, str, str, bool, bool, bool, str]) -> bool:
    _, _, product, channel, self_trade, banned, zero_fee, _ = cell
    currency = scope.programme.volume_currency
    key = CellKey(currency, _PRODUCTS[product], _CHANNELS[channel], self_trade, banned, zero_fee)
    return not excluded_because(key, scope.programme)


def _missing(scope: Scope, account_id: str, tier: str, counted: int, evaluation_ns: int) -> Finding | None:
    """Return the next tier above the volume, if it is near."""
    programme = scope.programme
    above = [(least, name) for name, least in programme.volume_bands if least > counted]
    if not above:
        return None
    least, name = min(above)
    if (least - counted) * 100 > least * NEAR_PERCENT:
        return None
    missing = decimal_text(least - counted, NOTIONAL_SCALE)
    gain = "keeps" if programme.rank(tier) >= programme.rank(name) else "gives"
    return Finding(
        subject=f"{account_id}/{name}/{day_text(evaluation_ns // DAY_NS)}",
        message=f"{account_id}: {_grouped(missing)} {programme.volume_currency} more by"
        f" {day_text(evaluation_ns // DAY_NS)} {gain} {name}",
        account_id=account_id,
        time_ns=evaluation_ns,
        details={
            "tier": tier,
            "next_tier": name,
            "missing": missing,
            "counted": decimal_text(counted, NOTIONAL_SCALE),
            "currency": programme.volume_currency,
        },
    )


def _grouped(amount: str) -> str:
    whole, point, fraction = amount.partition(".")
    return f"{int(whole):,}{point}{fraction}"


CONTROL: Final = Control(
    "near-a-tier",
    f"accounts that miss a tier at the next evaluation by at most {NEAR_PERCENT} % of its volume; looks at its window",
    _find,
)
