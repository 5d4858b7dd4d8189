"""The adjustments that made a fee another one than was recorded (A31)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ledger.domain.decide.facts import BAN, BAN_LIFT, FLAG, GRANT, REVOCATION, UNFLAG
from ledger.domain.events import AdjustedLine, FeeAdjusted, Recorded
from ledger.domain.explanation.sentence import Sentence, rate_parameters, say
from ledger.domain.instants import instant_text
from ledger.domain.money import decimal_text
from ledger.domain.traits import TRAIT_BANNED

_FACTS: Final[Mapping[str, str]] = {
    GRANT: "a grant",
    REVOCATION: "the end of a grant",
    FLAG: "a flag",
    UNFLAG: "the end of a flag",
    BAN: "a ban",
    BAN_LIFT: "the end of a ban",
}


def _counted(line: AdjustedLine) -> Iterator[Sentence]:
    """Tell what became of its volume."""
    was, now = (bool(values.traits & TRAIT_BANNED) for values in (line.before, line.after))
    if now and not was:
        yield say("COUNTS_AS_BANNED", "A13", "Since then it counts as traded under a ban.")
    elif was and not now:
        yield say("COUNTS_AS_NOT_BANNED", "A13", "Since then it counts as not traded under a ban.")


def _because(event: FeeAdjusted, withdrawn: Mapping[int, int]) -> tuple[str, dict[str, str]]:
    """Return why a fee is adjusted, and the parameters of that: a fact came late, or a fact was withdrawn."""
    fact, named = _FACTS.get(event.cause, "a fact"), {"cause_position": str(event.cause_position)}
    if event.cause_position not in withdrawn:
        return f"because of {fact} recorded late, at position {{cause_position}}", named
    named["withdrawn_position"] = str(withdrawn[event.cause_position])
    return f"because {fact}, of position {{withdrawn_position}}, was withdrawn at position {{cause_position}}", named


def _released(recorded: Recorded, event: FeeAdjusted, withdrawn: Mapping[int, int]) -> Iterator[Sentence]:
    """Tell who released the fact; an earlier release of the software adjusted by itself."""
    if not event.release_position:
        return
    what = "withdrawal" if event.cause_position in withdrawn else "fact"
    envelope, text = recorded.envelope, f"The {what} was released at position {{release_position}}"
    parameters = {"release_position": str(event.release_position)}
    if envelope.actor:
        text, parameters["released_by"] = f"{text}, asked for by {{released_by}}", envelope.actor
    if envelope.approver:
        text, parameters["approved_by"] = f"{text} and approved by {{approved_by}}", envelope.approver
    yield say("RELEASED", "A31", f"{text}.", **parameters)


def explain_adjustments(
    adjustments: Sequence[tuple[Recorded, AdjustedLine]], withdrawn: Mapping[int, int]
) -> Iterator[Sentence]:
    """Yield one sentence for each, oldest first; without any: that the fee is the one recorded first.

    `withdrawn` has the positions of facts that were withdrawn, by that of the withdrawal.
    """
    if not adjustments:
        yield say("NOT_ADJUSTED", "A31", "The fee has not been adjusted since it was recorded.")
    for recorded, line in adjustments:
        event = recorded.event
        assert isinstance(event, FeeAdjusted), recorded
        before, after = event.bases[line.before.basis_index], event.bases[line.after.basis_index]
        because, named = _because(event, withdrawn)
        yield say(
            "ADJUSTED",
            "A31",
            "Adjusted at {recorded_time} (position {position}) from {fee_before} {currency_before} to {fee_after}"
            f" {{currency_after}}, {because}: from {{tier_before}} to {{tier_after}}.",
            cause=event.cause,
            **named,
            position=str(recorded.position),
            recorded_time=instant_text(recorded.envelope.recorded_time_ns),
            fee_before=decimal_text(line.before.fee, before.fee_decimals),
            currency_before=before.fee_currency,
            tier_before=before.tier,
            rate_before=rate_parameters(before.rate_ppm)["rate"],
            fee_after=decimal_text(line.after.fee, after.fee_decimals),
            currency_after=after.fee_currency,
            tier_after=after.tier,
            rate_after=rate_parameters(after.rate_ppm)["rate"],
        )
        yield from _counted(line)
        yield from _released(recorded, event, withdrawn)
