"""R6: matches that were asked for, and wait for a second person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from projections.controls.open_items import OpenItem, open_until_done
from projections.controls.scope import Control, Finding, Scope, instant_text

_MATCHES: Final = """
SELECT account_id, match_id, tier, requested_time_ns, settled_time_ns FROM {read}.matches
WHERE programme_id = %(programme)s AND requested_time_ns <= %(at)s
    AND (settled_time_ns IS NULL OR settled_time_ns > %(at)s)
"""


def _find(scope: Scope) -> Iterator[Finding]:
    return open_until_done(scope, map(_item, scope.rows(_MATCHES)))


def _item(row: tuple[str, str, str, int, int | None]) -> OpenItem:
    account_id, match_id, tier, requested_ns, settled_ns = row
    finding = Finding(
        subject=f"{account_id}/{match_id}",
        message=f"match {match_id} of {account_id} ({tier}) waits for a second person since"
        f" {instant_text(requested_ns)}",
        account_id=account_id,
        time_ns=requested_ns,
        details={"match_id": match_id, "tier": tier},
    )
    return OpenItem(requested_ns, settled_ns, finding)


CONTROL: Final = Control(
    "matches-pending", "matches that wait for a second person (R6), until they are settled", _find, oldest_first=True
)
