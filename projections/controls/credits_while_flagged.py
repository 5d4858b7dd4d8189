"""R21: credits by hand of accounts that are flagged: a flag takes none, so a person decides whether they stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from projections.controls.scope import Control, Finding, Scope, instant_text

_CREDITS: Final = """
SELECT account_id, day::text, currency, credits, min(flagged_time_ns) FROM {read}.fee_days
    JOIN {read}.flag_intervals USING (account_id)
WHERE credits < 0 AND day <= %(at_day)s::date
    AND flagged_time_ns <= %(at)s AND (unflagged_time_ns IS NULL OR unflagged_time_ns > %(at)s)
GROUP BY account_id, day, currency
"""


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them as the tables have them, until they are withdrawn or the flag ends."""
    for account_id, day, currency, credits_, flagged_ns in scope.rows(_CREDITS):
        amount = f"{credits_:f} {currency}".removeprefix("-")
        yield Finding(
            subject=f"{account_id}/{day}/{currency}",
            message=f"{account_id}, flagged since {instant_text(flagged_ns)}, was credited {amount} on {day}:"
            " withdraw that, or leave it",
            account_id=account_id,
            time_ns=flagged_ns,
            details={"day": day, "credited": amount, "credits": f"fee-ledger history {account_id}"},
        )


CONTROL: Final = Control(
    "credits-while-flagged",
    "credits by hand of accounts that are flagged, which no flag takes (R21); until they are withdrawn",
    _find,
)
