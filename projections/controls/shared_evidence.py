"""R6: one document that claims of several owners rest on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.events import MatchRejected, MatchRequested
from ledger.domain.state.account import withdrawn_positions
from ledger.domain.streams import account_of
from projections.controls.scope import Control, Finding, Scope

_OWNERS: Final = "SELECT account_id, owner_id FROM {read}.accounts WHERE account_id = ANY(%(accounts)s)"


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them among claims of any age: a document that was used once is used for ever."""
    claims: dict[bytes, list[tuple[int, str]]] = {}  # by document: when it was handed in, by which account
    topics = ("MatchRequested", "MatchRejected", "FactWithdrawn")
    events = scope.log.account_events(topics, scope.log.head().position)
    withdrawn = withdrawn_positions(events)
    for recorded in events:
        event = recorded.event
        if not isinstance(event, MatchRequested | MatchRejected) or recorded.position in withdrawn:
            continue
        at_ns = event.requested_time_ns if isinstance(event, MatchRequested) else event.rejected_time_ns
        if event.claim is not None and event.programme_id == scope.programme.programme_id and at_ns <= scope.as_of_ns:
            account_id = account_of(recorded.stream)
            claims.setdefault(event.claim.evidence_sha256, []).append((at_ns, account_id))
    shared = {digest: rows for digest, rows in claims.items() if len({account_id for _, account_id in rows}) > 1}
    accounts = sorted({account_id for rows in shared.values() for _, account_id in rows})
    owners = dict(scope.rows(_OWNERS, accounts=accounts)) if accounts else {}
    for digest, rows in sorted(shared.items()):
        named = sorted({owners.get(account_id, account_id) for _, account_id in rows})
        if len(named) > 1:
            yield Finding(
                subject=digest.hex(),
                message=f"the document {digest.hex()[:16]}... is the evidence of matches of {len(named)} owners:"
                f" {', '.join(named)}",
                time_ns=max(at_ns for at_ns, _ in rows),
                details={
                    "evidence_sha256": digest.hex(),
                    "owners": ", ".join(named),
                    "accounts": ", ".join(sorted({account_id for _, account_id in rows})),
                },
            )


CONTROL: Final = Control(
    "shared-evidence", "documents that are the evidence of matches of more than one owner (R6); looks at all", _find
)
