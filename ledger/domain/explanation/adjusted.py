"""The adjustments that made a fee another one than was recorded (A31)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.domain.events import AdjustedLine, FeeAdjusted, Recorded
from ledger.domain.explanation.sentence import Sentence, rate_parameters, say
from ledger.domain.instants import instant_text


def explain_adjustments(adjustments: Sequence[tuple[Recorded, AdjustedLine]]) -> Iterator[Sentence]:
    """Yield one sentence for each, oldest first; without any: that the fee is the one recorded first."""
    if not adjustments:
        yield say("NOT_ADJUSTED", "A31", "The fee has not been adjusted since it was recorded.")
    for recorded, line in adjustments:
        event = recorded.event
        assert isinstance(event, FeeAdjusted), recorded
        before, after = event.bases[line.basis_before], event.bases[line.basis_after]
        yield say(
            "ADJUSTED",
            "A31",
            "Adjusted at {recorded_time} (position {position}) from {fee_before} {currency_before} to {fee_after}"
            " {currency_after}, because of a grant recorded late, at position {cause_position}: from {tier_before} to"
            " {tier_after}.",
            cause=event.cause,
            cause_position=str(event.cause_position),
            position=str(recorded.position),
            recorded_time=instant_text(recorded.envelope.recorded_time_ns),
            fee_before=line.fee_before,
            currency_before=before.fee_currency,
            tier_before=before.tier,
            rate_before=rate_parameters(before.rate_ppm)["rate"],
            fee_after=line.fee_after,
            currency_after=after.fee_currency,
            tier_after=after.tier,
            rate_after=rate_parameters(after.rate_ppm)["rate"],
        )
