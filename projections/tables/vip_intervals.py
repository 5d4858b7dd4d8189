"""Which tier an account has when, and by which grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.domain.decide.tier_stretches import tier_stretches
from ledger.domain.events import Recorded, TierChanged, TrialStarted, VolumeEvaluated
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Dated


@dataclass(frozen=True, slots=True)
class Interval:
    """A tier in [valid_from, valid_until), out of one grant; `position` is that of the event that gave it.

    Other grants may give the same tier after it: `tier_until_ns` is the first instant at which the tier is another one.
    """

    programme_id: str
    valid_from_ns: int
    valid_until_ns: int
    tier: str
    tier_until_ns: int
    source: str
    grant_id: str
    position: int


def grant_positions(stream: Iterable[Recorded]) -> dict[str, int]:
    """Return the position of the event that gave each grant of an account."""
    return {
        recorded.event.grant_id: recorded.position
        for recorded in stream
        if isinstance(recorded.event, TrialStarted | TierChanged | VolumeEvaluated)
    }


def vip_intervals(
    account: AccountState, programmes: Mapping[str, Dated[Programme]], positions: Mapping[str, int]
) -> list[Interval]:
    """Return all intervals of an account in all programmes, in order, none overlapping another of its programme."""
    return [
        interval
        for programme_id in sorted({grant.programme_id for grant in account.grants})
        for interval in _of_programme(account, programmes.get(programme_id, ()), positions)
    ]


def _of_programme(account: AccountState, versions: Dated[Programme], positions: Mapping[str, int]) -> list[Interval]:
    """Return one for each grant that gives a tier for a while, with the end of that tier."""
    found: list[Interval] = []
    for stretch in tier_stretches(account, versions):
        ends_ns = [*(part.from_ns for part in stretch.parts[1:]), stretch.until_ns]
        for part, until_ns in zip(stretch.parts, ends_ns, strict=True):
            if part.grant is None:
                continue
            joins = bool(found) and (found[-1].valid_until_ns, found[-1].grant_id) == (
                part.from_ns, part.grant.grant_id,
            )  # fmt: skip
            found.append(
                Interval(
                    programme_id=part.grant.programme_id,
                    valid_from_ns=found.pop().valid_from_ns if joins else part.from_ns,
                    valid_until_ns=until_ns,
                    tier=part.grant.tier,
                    tier_until_ns=stretch.until_ns,
                    source=part.grant.source,
                    grant_id=part.grant.grant_id,
                    position=positions[part.grant.grant_id],
                )
            )
    return found
