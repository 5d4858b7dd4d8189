"""Which tier an account has when: the rule that answers for one instant, asked between all changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.domain.decide.standing import grant_in_effect
from ledger.domain.events import Recorded, TierChanged, TrialStarted, VolumeEvaluated
from ledger.domain.state.account import FOREVER_NS, AccountState
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Dated


@dataclass(frozen=True, slots=True)
class Interval:
    """A tier in [valid_from, valid_until), out of one grant; `position` is that of the event that gave it."""

    programme_id: str
    valid_from_ns: int
    valid_until_ns: int
    tier: str
    source: str
    grant_id: str
    position: int


def grant_positions(stream: Iterable[Recorded]) -> dict[str, int]:
    """Position of the event that gave each grant of an account."""
    return {
        recorded.event.grant_id: recorded.position
        for recorded in stream
        if isinstance(recorded.event, TrialStarted | TierChanged | VolumeEvaluated)
    }


def vip_intervals(
    account: AccountState, programmes: Mapping[str, Dated[Programme]], positions: Mapping[str, int]
) -> list[Interval]:
    """All intervals of an account in all programmes, in order, none overlapping another of its programme."""
    return [
        interval
        for programme_id in sorted({grant.programme_id for grant in account.grants})
        for interval in _of_programme(account, programmes.get(programme_id, ()), positions)
    ]


def _of_programme(account: AccountState, versions: Dated[Programme], positions: Mapping[str, int]) -> list[Interval]:
    """Between two neighbouring instants nothing changes: the first one answers for all. Equal neighbours are joined."""
    starts = [start_ns for start_ns, _ in versions]
    instants = sorted({*account.change_instants, *starts})
    found: list[Interval] = []
    for from_ns, until_ns in zip(instants, [*instants[1:], FOREVER_NS], strict=True):
        programme = next((version for start_ns, version in reversed(versions) if start_ns <= from_ns), None)
        grant = grant_in_effect(account, programme, from_ns) if programme else None
        if programme is None or grant is None:
            continue
        joins = bool(found) and (found[-1].valid_until_ns, found[-1].grant_id) == (from_ns, grant.grant_id)
        found.append(
            Interval(
                programme_id=programme.programme_id,
                valid_from_ns=found.pop().valid_from_ns if joins else from_ns,
                valid_until_ns=until_ns,
                tier=grant.tier,
                source=grant.source,
                grant_id=grant.grant_id,
                position=positions[grant.grant_id],
            )
        )
    return found
