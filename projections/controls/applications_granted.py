"""R12, R13: applications that were granted although something is missing: the identity, or a tier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from projections.controls.scope import Control, Finding, Scope, instant_text

_GRANTED: Final = """
SELECT * FROM (
    SELECT a.account_id, a.application_id, a.settled_time_ns,
        a.verified_time_ns IS NULL OR a.verified_time_ns > %(at)s AS unverified,
        NOT EXISTS (SELECT 1 FROM {read}.vip_intervals v
            WHERE v.account_id = a.account_id AND v.programme_id = a.programme_id AND v.valid_from_ns <= %(at)s
                AND (v.valid_until_ns IS NULL OR v.valid_until_ns > a.settled_time_ns)) AS without_tier
    FROM {read}.applications a
    WHERE a.programme_id = %(programme)s AND a.outcome = 'GRANTED' AND a.settled_time_ns <= %(at)s
) AS granted WHERE unverified OR without_tier ORDER BY settled_time_ns, account_id
"""


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them until both are there: fees that were to be adjusted are not, and nobody knows who the API user is."""
    for account_id, application_id, settled_ns, unverified, without_tier in scope.rows(_GRANTED):
        told = {"its API identity is not verified": unverified, "it has had no tier since": without_tier}
        missing = " and ".join(text for text, holds in told.items() if holds)
        yield Finding(
            subject=f"{account_id}/{application_id}",
            message=f"application {application_id} of {account_id} was granted {instant_text(settled_ns)},"
            f" but {missing}",
            account_id=account_id,
            time_ns=settled_ns,
            details={"application_id": application_id, "missing": missing},
        )


CONTROL: Final = Control(
    "applications-granted",
    "granted applications of accounts without a verified identity or a tier since (R12, R13); open until mended",
    _find,
)
