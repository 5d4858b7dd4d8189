"""Trials, matches and other grants that end soon, with nothing after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.grant_sources import ALL, EVALUATION
from ledger.domain.rules.evaluation_days import next_evaluation_ns
from projections.controls.scope import Control, Finding, Scope, instant_text

# Intervals of an account do not overlap, so the next one starts at the end of this one, or there is a gap. That is
# looked for in the order of accounts, and no longer than it takes: OFFSET 0 keeps PostgreSQL from doing it for all.
_ENDING: Final = """
SELECT account_id, tier, source, grant_id, tier_until_ns FROM (
    SELECT * FROM {read}.vip_intervals
    WHERE programme_id = %(programme)s AND valid_from_ns <= %(until)s AND valid_until_ns = tier_until_ns
        AND tier_until_ns > %(at)s AND tier_until_ns <= %(until)s
        AND (source = ANY(%(others)s) OR source = %(evaluation)s AND tier_until_ns < %(next)s)
        AND account_id BETWEEN %(first)s AND %(last)s
    ORDER BY account_id OFFSET 0
) AS v
WHERE NOT EXISTS (
    SELECT 1 FROM {read}.vip_intervals n WHERE n.account_id = v.account_id AND n.programme_id = v.programme_id
    AND n.valid_from_ns = v.tier_until_ns)
ORDER BY account_id LIMIT %(most)s
"""


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them, but no tier of an evaluation where the next evaluation comes in time to give it again."""
    others = [source for source in ALL if source != EVALUATION]
    next_ns = next_evaluation_ns(scope.programme, scope.as_of_ns)
    rows = scope.rows_by_account(_ENDING, others=others, evaluation=EVALUATION, next=next_ns)
    for account_id, tier, source, grant_id, until_ns in rows:
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
    by_account=True,
)
