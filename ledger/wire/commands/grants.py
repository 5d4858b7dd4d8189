"""The grant that a command gave, on the wire."""

from __future__ import annotations

from ledger.domain.events import Event, TierChanged, TrialStarted
from ledger.v1 import command_pb2
from ledger.wire.enums import set_words
from ledger.wire.status import timestamp


def grant_of(event: Event) -> command_pb2.Grant:
    """Return the grant that an event gave: that of a trial, or one by hand or by a match."""
    assert isinstance(event, TrialStarted | TierChanged), event
    grant = command_pb2.Grant(
        grant_id=event.grant_id,
        tier=event.tier,
        valid_from=timestamp(event.valid_from_ns),
        programme_id=event.programme_id,
        evidence="" if isinstance(event, TrialStarted) else event.evidence,
    )
    set_words(grant, source="TRIAL" if isinstance(event, TrialStarted) else event.source)
    if event.valid_until_ns is not None:
        grant.valid_until.CopyFrom(timestamp(event.valid_until_ns))
    return grant
