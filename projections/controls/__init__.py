"""Controls: one file for each, found by its name. A control is a query, it changes nothing.

A new one is a module with a `CONTROL`, named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.controls import (
    applications_due,
    applications_granted,
    benefits_ending,
    bounty_weeks_open,
    charged_fees,
    clock_leaps,
    continuous_bans,
    evaluations_open,
    fills_after_heartbeat,
    fills_during_bans,
    manual_reviews_open,
    matches_pending,
    months_without_promotion,
    near_a_tier,
    rebates_by_counterparty,
    several_owners,
    shared_evidence,
    silent_sources,
    source_conflicts,
    token_discount_better,
    trades_below_zero,
    trials_open,
)
from projections.controls.scope import Control

CONTROLS: Final[Mapping[str, Control]] = {
    module.CONTROL.name: module.CONTROL
    for module in (
        applications_due,
        applications_granted,
        benefits_ending,
        bounty_weeks_open,
        charged_fees,
        clock_leaps,
        continuous_bans,
        evaluations_open,
        fills_after_heartbeat,
        fills_during_bans,
        manual_reviews_open,
        matches_pending,
        months_without_promotion,
        near_a_tier,
        rebates_by_counterparty,
        several_owners,
        shared_evidence,
        silent_sources,
        source_conflicts,
        token_discount_better,
        trades_below_zero,
        trials_open,
    )
}
