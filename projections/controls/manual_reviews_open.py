"""A4: members whose volume is above the table, and whose tier a person must decide who has not done so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.domain import grant_sources
from ledger.domain.events import Recorded, TierChanged, TierRevoked, VolumeEvaluated
from ledger.domain.instants import DAY_NS
from ledger.domain.rules.manual_review import is_decision
from ledger.domain.state.account import withdrawn_positions
from ledger.domain.state.programme import MANUAL_REVIEW
from ledger.domain.streams import account_of
from projections.controls.scope import Control, Finding, Scope, instant_text


class _Review(NamedTuple):
    """The evaluation since which an account waits for a person, and the last one that asked for one again."""

    first: VolumeEvaluated
    last: VolumeEvaluated


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them until somebody grants a tier or revokes the kept one, or a later evaluation gives or takes one."""
    for stream, review in sorted(_open(scope).items(), key=lambda entry: (entry[1].first.evaluated_time_ns, entry[0])):
        account_id, event = account_of(stream), review.first
        days = (scope.as_of_ns - event.evaluated_time_ns) // DAY_NS
        kept = review.last.kept_tier
        meanwhile = f"it keeps {kept} until then" if kept else "it had none to keep until then"
        yield Finding(
            subject=f"{account_id}/{event.kind}/{instant_text(event.evaluated_time_ns)}",
            message=f"{account_id} traded {event.volume} {event.volume_currency}, above the table: for {days} days,"
            f" since {instant_text(event.evaluated_time_ns)}, nobody has decided its tier; {meanwhile}",
            account_id=account_id,
            time_ns=event.evaluated_time_ns,
            details={"volume": event.volume, "currency": event.volume_currency, "kind": event.kind, "kept_tier": kept},
        )


def _open(scope: Scope) -> dict[str, _Review]:
    """Return reviews that nobody has decided, by the stream of the account."""
    until = scope.log.head().position
    found: dict[str, _Review] = {}
    reviewed = {
        recorded.stream for recorded in scope.log.account_events(("VolumeEvaluated",), until, naming=MANUAL_REVIEW)
    }
    events = scope.log.streams(sorted(reviewed), until)
    withdrawn = withdrawn_positions(events)
    for recorded in events:
        event, review = recorded.event, found.get(recorded.stream)
        if isinstance(event, VolumeEvaluated) and event.tier == MANUAL_REVIEW:
            if event.programme_id == scope.programme.programme_id and event.evaluated_time_ns <= scope.as_of_ns:
                found[recorded.stream] = _Review(review.first if review else event, event)
        elif review and recorded.position not in withdrawn and _decides(recorded, review, scope.as_of_ns):
            del found[recorded.stream]
    return found


def _decides(recorded: Recorded, review: _Review, as_of_ns: int) -> bool:
    """Return True if an event after a review decides it, as far as is known at an instant."""
    event, programme_id, now_ns = recorded.event, review.last.programme_id, recorded.envelope.recorded_time_ns
    match event:
        case VolumeEvaluated():
            known, about_it = event.evaluated_time_ns <= as_of_ns, event.programme_id == programme_id
            return known and about_it and is_decision(event.tier)
        case TierChanged(source=grant_sources.MANUAL):
            return min(now_ns, event.valid_from_ns) <= as_of_ns and event.programme_id == programme_id
        case TierRevoked():
            return min(now_ns, event.revoked_time_ns) <= as_of_ns and event.grant_id == review.last.grant_id
    return False


CONTROL: Final = Control(
    "manual-reviews-open",
    "evaluations whose volume is above the table and whose tier nobody has decided (A4); open until decided",
    _find,
)
