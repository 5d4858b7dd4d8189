"""R23: behaviour that deviates far from that of ordinary users. It is detected elsewhere; the evidence lies here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ledger.domain.events import BehaviourMetricRecorded
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.matches_and_applications import Metric


def record_metric(code: str, value: str, window_from_ns: int, window_until_ns: int) -> BehaviourMetricRecorded:
    """Record what was measured in [from, until), as a decimal in the metric's own unit.

    Any code is taken. The document names some: a best bid or ask one-upped again and again (QUOTE_ONE_UP), orders
    created and cancelled without a trade (ORDER_SPAM), few trades for many orders (LOW_FILL_RATIO).
    """
    return BehaviourMetricRecorded(code, value, window_from_ns, window_until_ns)


def unknown_evidence(metrics: Iterable[Metric], positions: Sequence[int]) -> Refusal | None:
    """Refuse positions as evidence for a ban where one of them is not that of a metric of the account."""
    known = {metric.position for metric in metrics}
    for index, position in enumerate(positions):
        if position not in known:
            detail = f"position {position} holds no metric of this account"
            return Refusal(Reason.METRIC_UNKNOWN, f"evidence_positions[{index}]", detail)
    return None
