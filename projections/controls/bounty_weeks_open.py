"""R9: weeks that are over and whose bounty round was not closed, and so not announced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.rules.bug_bounty import round_ends_ns, round_of
from ledger.domain.streams import BOUNTY_PREFIX, subject_of
from projections.controls.open_items import OpenItem, open_until_done
from projections.controls.scope import Control, Finding, Scope


def _find(scope: Scope) -> Iterator[Finding]:
    return open_until_done(scope, _items(scope))


def _items(scope: Scope) -> Iterator[OpenItem]:
    """Yield every week since the ledger began."""
    rounds = _rounds(scope)
    week = round_of(scope.began_ns)
    while (ends_ns := round_ends_ns(week)) <= scope.as_of_ns:
        known = rounds.get(week, Round(week))
        finding = Finding(
            subject=week,
            message=f"the bounty round of {week} is not closed: {len(known.reports)} reports,"
            f" {len(known.awarded)} awarded",
            time_ns=ends_ns,
            details={"week": week, "reports": str(len(known.reports)), "awarded": str(len(known.awarded))},
        )
        yield OpenItem(ends_ns, known.closed_time_ns, finding)
        week = round_of(ends_ns)


def _rounds(scope: Scope) -> dict[str, Round]:
    rounds: dict[str, Round] = {}
    for recorded in scope.log.below(BOUNTY_PREFIX, scope.log.head().position):
        week = subject_of(recorded.stream)
        rounds[week] = evolve_round(rounds.get(week, Round(week)), recorded)
    return rounds


CONTROL: Final = Control(
    "bounty-weeks-open",
    "ISO weeks that are over and have no closed bounty round (R9), until they have",
    _find,
    oldest_first=True,
)
