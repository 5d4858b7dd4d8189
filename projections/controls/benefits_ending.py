"""Trials, matches and other grants that end soon, with nothing after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.grant_sources import EVALUATION
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from projections.controls.scope import Control, Finding, Scope, instant_text

# Intervals of an account do not overlap, so the next one starts at the end of this one, or there is a gap.
_ENDING: Final = """
SELECT account_id, tier, source, grant_id, tier_until_ns FROM {read}.vip_intervals v
WHERE programme_id = %(programme)s AND valid_from_ns <= %(until)s AND valid_until_ns = tier_until_ns
    AND tier_until_ns > %(at)s AND tier_until_ns <= %(until)s
    AND NOT EXISTS (
        SELECT 1 FROM {read}.vip_intervals n WHERE n.account_id = v.account_id AND n.programme_id = v.programme_id
        AND n.valid_from_ns = v.tier_until_ns)
"""


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them, but no tier of an evaluation where the next evaluation comes in time to give it again."""
    next_ns = next_evaluation_ns(scope.programme, scope.as_of_ns)
    for account_id, tier, source, grant_id, until_ns in scope.rows(_ENDING):
        if source == EVALUATION and next_ns <= until_ns:
            continue
        yield Finding(
            subject=f"{account_id}/{grant_id}/{until_ns}",
            message=f"{tier} of {account_id} ({source}) ends {instant_text(until_ns)} with nothing after it",
            account_id=account_id,
            time_ns=until_ns,
            details={"tier": tier, "source": source, "grant_id": grant_id},
        )


CONTROL: Final = Control(
    "benefits-ending",
    "tiers that end soon with nothing after them; those of an evaluation once no other one comes first; looks ahead",
    _find,
)
