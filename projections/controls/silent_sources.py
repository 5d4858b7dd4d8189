"""A31: sources without a sign of life, which evaluations no longer wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.decide.evaluation_sources import is_silent
from projections.controls.scope import Control, Finding, Scope, instant_text
from projections.evaluation.sources import reached, signs


def _find(scope: Scope) -> Iterator[Finding]:
    for sign in signs(scope.log, scope.known_position):
        if is_silent(sign, scope.programme, scope.as_of_ns):
            last = instant_text(sign.signed_ns)
            yield Finding(
                subject=sign.source,
                message=f"source {sign.source} has given no sign since {last}: nobody waits for it; it {reached(sign)}",
                time_ns=sign.signed_ns,
                details={"last_sign": last},
            )


CONTROL: Final = Control(
    "silent-sources", "sources without a fill or a heartbeat for longer than the programme waits (A31)", _find
)
