"""A13: fills of an account that was banned when it traded: charged, not counted, and worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from projections.controls.scope import Control, Finding, Scope

_CELLS: Final = """
SELECT account_id, day::text, quote_currency, trim_scale(sum(notional))::text, sum(lines)::bigint
FROM {read}.volume_days
WHERE banned AND day BETWEEN %(since_day)s::date AND %(at_day)s::date
GROUP BY account_id, day, quote_currency
HAVING sum(lines) > 0
"""


def _find(scope: Scope) -> Iterator[Finding]:
    for account_id, day, currency, notional, lines in scope.rows(_CELLS):
        fills = "1 fill" if lines == 1 else f"{lines} fills"
        yield Finding(
            subject=f"{account_id}/{day}/{currency}",
            message=f"{account_id} traded {notional} {currency} on {day} while it was banned: {fills}",
            account_id=account_id,
            details={"day": day, "quote_currency": currency, "notional": notional, "lines": str(lines)},
        )


CONTROL: Final = Control(
    "fills-during-bans", "fills of accounts that were banned when they traded, by UTC day (A13); looks back", _find
)
