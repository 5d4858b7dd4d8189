"""Releases whose lines are being restated, a part in each commit: they end by themselves while a service writes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Final

from ledger.domain.state.shared_facts import SharedFacts, evolve_shared_facts
from projections.controls.scope import Control, Finding, Scope, instant_text
from projections.repricings import open_releases, open_repricings


def _find(scope: Scope) -> Iterator[Finding]:
    """Find them until they are completed, with how far they are."""
    for repricing in open_repricings(scope.log, scope.known_position):
        event, at_ns = repricing.event, repricing.started.envelope.recorded_time_ns
        yield Finding(
            subject=f"{event.account_id}/{event.release_position}",
            message=f"lines of {event.account_id} are being restated since {instant_text(at_ns)}, for the fact at"
            f" position {event.fact_position} ({event.cause}): {repricing.looked_at:,} of at most"
            f" {event.lines_reached:,} are looked at, and {repricing.lines:,} changed",
            account_id=event.account_id,
            time_ns=at_ns,
            details={
                "release_position": str(event.release_position),
                "fact_position": str(event.fact_position),
                "cause": event.cause,
                "lines_reached": str(event.lines_reached),
                "looked_at": str(repricing.looked_at),
                "lines": str(repricing.lines),
            },
        )
    yield from _releases(scope)


def _releases(scope: Scope) -> Iterator[Finding]:
    """Find shared facts of the programme until they were brought to all accounts."""
    facts: SharedFacts = reduce(evolve_shared_facts, scope.log.rulebook(scope.known_position), {})
    for fact, release, after in open_releases(scope.log, facts, scope.known_position):
        at_ns, programme_id = release.envelope.recorded_time_ns, fact.event.programme_id
        if programme_id != scope.programme.programme_id:
            continue
        yield Finding(
            subject=f"{programme_id}/{release.position}",
            message=f"the fact at position {fact.recorded.position} ({fact.cause} of {fact.event.symbol})"
            f" is being brought to all accounts since {instant_text(at_ns)}"
            + (f": up to {after} they have it" if after else ""),
            time_ns=at_ns,
            details={
                "release_position": str(release.position),
                "fact_position": str(fact.recorded.position),
                "cause": fact.cause,
                "until_account_id": after,
            },
        )


CONTROL: Final = Control(
    "repricings-open",
    "released facts whose lines are being restated, commit by commit, until all of them are",
    _find,
    oldest_first=True,
)
