"""R10: calendar months that are over and saw no promotion for API users start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.events import PromotionAnnounced
from ledger.domain.rules.api_promotion import API_EXCLUSIVE, months_without_promotion
from ledger.domain.streams import PROMOTIONS
from projections.controls.scope import Control, Finding, Scope


def _find(scope: Scope) -> Iterator[Finding]:
    events = (recorded.event for recorded in scope.log.streams([PROMOTIONS], scope.log.head().position))
    starts_ns = [
        event.start_time_ns
        for event in events
        if isinstance(event, PromotionAnnounced) and event.promotion_type == API_EXCLUSIVE
    ]
    for month in months_without_promotion(starts_ns, scope.life_since_ns, scope.as_of_ns):
        yield Finding(subject=month, message=f"no promotion for API users started in {month}", details={"month": month})


CONTROL: Final = Control(
    "months-without-promotion", "months that are over and saw no promotion for API users start (R10); looks back", _find
)
