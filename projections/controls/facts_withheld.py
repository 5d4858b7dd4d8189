"""Facts that came after lines which they change, and wait for two persons who release or decline them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.state.programme import KEEP
from ledger.domain.streams import account_of
from projections.answers.withheld import withheld
from projections.controls.scope import Control, Finding, Scope, instant_text


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them until they are released or declined; what a programme keeps from lines waits for nobody."""
    for waiting in withheld(scope.log, scope.schema, scope.as_of_ns, scope.log.head().position):
        recorded, event, withdrawn_position, symbol = waiting
        is_of_others = event.programme_ids and scope.programme.programme_id not in event.programme_ids
        if event.switch == KEEP or is_of_others:
            continue
        at_ns = recorded.envelope.recorded_time_ns
        what = f"the fact at position {event.fact_position}"
        cause = f"{event.cause} of {symbol}" if symbol else event.cause
        if withdrawn_position:
            what = f"the withdrawal at position {event.fact_position} of the fact at position {withdrawn_position}"
        yield Finding(
            subject=f"{account_of(recorded.stream)}/{event.fact_position}/{recorded.position}",
            message=f"fills of {waiting.account_id or 'all accounts'} do not count by {what} ({cause})"
            f" since {instant_text(at_ns)}, because of {event.reason} ({event.switch}): release or decline it",
            account_id=waiting.account_id,
            time_ns=at_ns,
            details={"fact_position": str(event.fact_position), "cause": event.cause, "reason": event.reason},
        )


CONTROL: Final = Control(
    "facts-withheld",
    "facts recorded after fills that they change, which two persons must release or decline",
    _find,
    oldest_first=True,
)
