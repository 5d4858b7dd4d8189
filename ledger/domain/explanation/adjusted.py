"""The adjustments that made a fee another one than was recorded, and what it does not count by (A31)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ledger.domain.decide.facts import (
    BAN,
    BAN_LIFT,
    BY_DEBIT,
    BY_FLAG,
    BY_SIZE,
    BY_SWITCH,
    FLAG,
    GRANT,
    OWNER,
    REVOCATION,
    UNFLAG,
)
from ledger.domain.events import AdjustedLine, FactReleased, FeeAdjusted, Recorded
from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, rate_parameters, say
from ledger.domain.instants import instant_text
from ledger.domain.money import decimal_text
from ledger.domain.state.programme import ADJUST, CREDIT_ONLY
from ledger.domain.state.repricings import Repricings
from ledger.domain.state.shared_facts import PAIR_CLASS, PAIR_RATES
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE

_FACTS: Final[Mapping[str, str]] = {
    GRANT: "a grant",
    REVOCATION: "the end of a grant",
    FLAG: "a flag",
    UNFLAG: "the end of a flag",
    BAN: "a ban",
    BAN_LIFT: "the end of a ban",
    OWNER: "an owner of the account",
    PAIR_CLASS: "a class of the pair",
    PAIR_RATES: "rates of the pair's own",
}

_WITHHELD: Final[Mapping[str, str]] = {
    BY_SWITCH: "until two persons release it: the programme says {switch}",
    BY_DEBIT: "until two persons release it: the programme says {switch}, and the account would not pay less on the"
    " whole",
    BY_FLAG: "while a flag runs",
    BY_SIZE: "until two persons release it: the account has more fills since then than one commit adds up",
}


def _counted(line: AdjustedLine) -> Iterator[Sentence]:
    """Tell what became of its volume."""
    was, now = (bool(values.traits & TRAIT_BANNED) for values in (line.before, line.after))
    if now and not was:
        yield say("COUNTS_AS_BANNED", "A13", "Since then it counts as traded under a ban.")
    elif was and not now:
        yield say("COUNTS_AS_NOT_BANNED", "A13", "Since then it counts as not traded under a ban.")
    was, now = (bool(values.traits & TRAIT_SELF_TRADE) for values in (line.before, line.after))
    if now and not was:
        yield say("COUNTS_AS_SELF_TRADE", "R16", "Since then it counts as a trade with oneself.")
    elif was and not now:
        yield say("COUNTS_AS_NO_SELF_TRADE", "R16", "Since then it counts as a trade with somebody else.")


def _because(event: FeeAdjusted, withdrawn: Mapping[int, int]) -> tuple[str, dict[str, str]]:
    """Return why a fee is adjusted, and the parameters of that: a fact came late, or a fact was withdrawn."""
    fact, named = _FACTS.get(event.cause, "a fact"), {"cause_position": str(event.cause_position)}
    if event.cause_position not in withdrawn:
        return f"because of {fact} recorded late, at position {{cause_position}}", named
    named["withdrawn_position"] = str(withdrawn[event.cause_position])
    return f"because {fact}, of position {{withdrawn_position}}, was withdrawn at position {{cause_position}}", named


def _released(recorded: Recorded, event: FeeAdjusted, facts: Facts) -> Iterator[Sentence]:
    """Tell who released the fact; an earlier release of the software adjusted by itself."""
    if not event.release_position:
        return
    what = "withdrawal" if event.cause_position in facts.withdrawn else "fact"
    text, asked, approved = (
        f"The {what} was released at position {{release_position}}",
        "asked for by",
        "and approved by",
    )
    parameters = {"release_position": str(event.release_position)}
    release = next((each for each in facts.decisions if each.position == event.release_position), None)
    released = release.event if release is not None and not release.envelope.request_message else None
    # A shared fact that two persons released has in the account an event that keeps no request, too.
    if isinstance(released, FactReleased) and released.switch in (ADJUST, CREDIT_ONLY):
        text += " by the programme itself ({switch})"
        parameters["switch"] = released.switch
        asked, approved = "on a command of", "that was approved by"
    envelope = recorded.envelope
    if envelope.actor:
        text, parameters["released_by"] = f"{text}, {asked} {{released_by}}", envelope.actor
    if envelope.approver:
        text, parameters["approved_by"] = f"{text} {approved} {{approved_by}}", envelope.approver
    yield say("RELEASED", "A31", f"{text}.", **parameters)


def explain_adjustments(adjustments: Sequence[tuple[Recorded, AdjustedLine]], facts: Facts) -> Iterator[Sentence]:
    """Yield what each did, oldest first; without any: that the fee is the one recorded first."""
    if not adjustments:
        yield say("NOT_ADJUSTED", "A31", "The fee has not been adjusted since it was recorded.")
    for recorded, line in adjustments:
        event = recorded.event
        assert isinstance(event, FeeAdjusted), recorded
        yield _adjusted(recorded, event, line, facts.withdrawn)
        yield from _counted(line)
        yield from _released(recorded, event, facts)


def _adjusted(recorded: Recorded, event: FeeAdjusted, line: AdjustedLine, withdrawn: Mapping[int, int]) -> Sentence:
    before, after = event.bases[line.before.basis_index], event.bases[line.after.basis_index]
    because, named = _because(event, withdrawn)
    fee = "from {fee_before} {currency_before} to {fee_after} {currency_after}"
    if (line.before.fee, before.fee_currency) == (line.after.fee, after.fee_currency):
        fee = "at {fee_after} {currency_after} as before"
    tier = ": from {tier_before} to {tier_after}" if before.tier != after.tier else ""
    return say(
        "ADJUSTED",
        "A31",
        f"Adjusted at {{recorded_time}} (position {{position}}) {fee}, {because}{tier}.",
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


def explain_withheld(facts: Facts) -> Iterator[Sentence]:
    """Yield one sentence for each fact that came late, would change the fill and is withheld, the earliest first."""
    for one in facts.withheld():
        fact, named = _FACTS.get(one.cause, "a fact"), {"fact_position": str(one.fact_position)}
        what = f"{fact} recorded late, at position {{fact_position}}"
        if one.fact_position in facts.withdrawn:
            what = f"the withdrawal at position {{fact_position}} of {fact}, of position {{withdrawn_position}}"
            named["withdrawn_position"] = str(facts.withdrawn[one.fact_position])
        yield say(
            "FACT_WITHHELD",
            "A31",
            f"The fill does not count by {what}, {_WITHHELD[one.reason]}.",
            **named,
            cause=one.cause,
            switch=one.switch,
            reason=one.reason,
        )


def explain_repricings(repricings: Repricings) -> Iterator[Sentence]:
    """Yield one sentence for each release whose lines are being restated, the first one first."""
    for repricing in repricings.open:
        event = repricing.event
        yield say(
            "REPRICE_IN_PROGRESS",
            "A31",
            f"Lines of the account are being restated, because of {_FACTS.get(event.cause, 'a fact')} recorded late, at"
            " position {cause_position}: this fee may change yet.",
            cause=event.cause,
            cause_position=str(event.fact_position),
            release_position=str(event.release_position),
        )
