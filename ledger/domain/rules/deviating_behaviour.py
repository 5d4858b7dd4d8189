"""R23: behaviour that deviates far from that of ordinary users. It is detected elsewhere; the evidence lies here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ledger.domain.events import BehaviourMetricRecorded
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.matches_and_applications import Metric

# "Some examples are": best bid or ask one-upped again and again; orders created and cancelled without a trade; few
# trades for many orders. Other codes are taken too.
EXAMPLES: Final = ("QUOTE_ONE_UP", "ORDER_SPAM", "LOW_FILL_RATIO")


def record_metric(*, code: str, value: str, window_from_ns: int, window_until_ns: int) -> BehaviourMetricRecorded:
    """What was measured in [from, until), as a decimal in the metric's own unit."""
    return BehaviourMetricRecorded(code, value, window_from_ns, window_until_ns)


def unknown_evidence(metrics: Iterable[Metric], positions: Sequence[int]) -> Refusal | None:
    """Why positions are no evidence for a ban: one is not that of a metric of the account."""
    known = {metric.position for metric in metrics}
    for index, position in enumerate(positions):
        if position not in known:
            detail = f"position {position} holds no metric of this account"
            return Refusal(Reason.METRIC_UNKNOWN, f"evidence_positions[{index}]", detail)
    return None
