"""Accounts whose volume misses a tier by little: "37,500 USDT more by 2024-10-18 keeps VIP2"."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as product_of
from typing import Any, Final

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import event_period, excluded_because
from ledger.domain.rules.evaluation_days import evaluation_window, next_evaluation_ns
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from projections.controls.scope import Control, Finding, Scope
from projections.tables.rows import CHANNEL_NAMES, PRODUCT_NAMES, cell_columns

NEAR_PERCENT: Final = 10  # at most so much of the tier's least volume is missing

# Only what is counted in the programme's own currency: other currencies need the closes of their days. A tier is near
# where the volume is at least so much of the least volume of the first one above it.
_VOLUMES: Final = """
SELECT near.account_id, coalesce(v.tier, ''), near.counted::text FROM (
    SELECT account_id, trim_scale(sum(notional)) AS counted FROM {read}.volume_days
    WHERE quote_currency = %(currency)s AND day >= %(from_day)s::date AND day < %(until_day)s::date
        AND day <= %(at_day)s::date AND account_id BETWEEN %(first)s AND %(last)s
        AND (product, channel, self_trade, banned, zero_fee) IN (SELECT * FROM unnest(
            %(products)s::text[], %(channels)s::text[], %(self_trades)s::boolean[], %(banned)s::boolean[],
            %(zero_fees)s::boolean[]))
    GROUP BY account_id
    HAVING (SELECT min(least) FROM unnest(%(bands)s::numeric[]) AS least WHERE least > sum(notional)) * %(percent)s
        <= sum(notional) * 100
    ORDER BY account_id LIMIT %(most)s
) AS near
LEFT JOIN {read}.vip_intervals v ON v.account_id = near.account_id AND v.programme_id = %(programme)s
    AND v.valid_from_ns <= %(at)s AND (v.valid_until_ns IS NULL OR v.valid_until_ns > %(at)s)
ORDER BY near.account_id
"""


def _find(scope: Scope) -> Iterator[Finding]:
    programme = scope.programme
    evaluation_ns = next_evaluation_ns(programme, scope.as_of_ns)
    from_ns, until_ns = event_period(programme, evaluation_window(programme, evaluation_ns))
    rows = scope.rows_by_account(
        _VOLUMES,
        currency=programme.volume_currency,
        from_day=day_text(from_ns // DAY_NS),
        until_day=day_text(until_ns // DAY_NS),
        bands=[decimal_text(least, NOTIONAL_SCALE) for _, least in programme.volume_bands],
        percent=100 - NEAR_PERCENT,
        **_counted_cells(programme),
    )
    for account_id, tier, counted in rows:
        finding = _missing(scope, account_id, tier or NO_TIER, exact(counted, NOTIONAL_SCALE), evaluation_ns)
        if finding:
            yield finding


def _counted_cells(programme: Programme) -> dict[str, list[Any]]:
    """Return the cells that count as `volume_days` has them, a list for each of their columns."""
    facts = (False, True)
    keys = (
        CellKey(programme.volume_currency, *key)
        for key in product_of(PRODUCT_NAMES, CHANNEL_NAMES, facts, facts, facts)
    )
    cells = [cell_columns(key)[1:] for key in keys if not excluded_because(key, programme)]
    names = ("products", "channels", "self_trades", "banned", "zero_fees")
    return {name: [cell[place] for cell in cells] for place, name in enumerate(names)}


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
    by_account=True,
)
