"""Why this rate: the programme, the row of its table or what stands in its place, and the rule on self-trades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, rate_parameters, say
from ledger.domain.instants import instant_text
from ledger.domain.state.programme import CHANNEL_API, LIQUIDITY_MAKER

_LOWER: Final = "The base rate, {percent} % as the {role}, is lower than that of {tier} in {pair_class}, so it counts."
_SUPPRESSED: Final = "The rate is 0: a trade with oneself earns the {role} no rebate."
_PAIR: Final = "{symbol} has a rate of its own: the {role} {verb} {percent} %, in place of the table's rate for {tier}."
_PAIR_BASE: Final = "{symbol} has a rate of its own: the {role} {verb} {percent} %, in place of the base rate."
_TIER: Final = "{tier} {verb} {percent} % as the {role} in {pair_class}."


def explain_programme(facts: Facts) -> Iterator[Sentence]:
    """Tell the version in force, and at which instant it was looked up (A32, A25)."""
    basis, at_ns = facts.known.basis, facts.rate_ns
    text = "The rates are those of {programme_id} {version}, in force on {venue} at {instant}."
    version = {"programme_id": basis.programme_id, "version": basis.programme_version}
    yield say("PROGRAMME", "A32", text, **version, venue=facts.venue, instant=instant_text(at_ns))
    if at_ns != facts.known.line.transact_time_ns:
        text = "The programme says that rates are those of the time when the order came in, {order_time}."
        yield say("RATES_OF_ORDER_TIME", "A25", text, order_time=instant_text(at_ns))


def explain_rate(facts: Facts) -> Iterator[Sentence]:
    """Tell the rate before any discount."""
    line, terms, basis = facts.known
    parameters = {
        "tier": basis.tier,
        "role": "maker" if line.liquidity == LIQUIDITY_MAKER else "taker",
        "pair_class": f"pair class {basis.pair_class}" if basis.pair_class else "a pair without a class",
        "symbol": terms.symbol,
        "verb": "earns a rebate of" if basis.rate_ppm < 0 else "pays",
        **rate_parameters(basis.rate_ppm),
    }
    match basis.rate_source:
        case "TIER" if basis.rate_ppm < 0:
            yield say("TIER_REBATE", "R2", _TIER, **parameters)
        case "TIER":
            yield say("TIER_RATE", "R1", _TIER, **parameters)
        case "PAIR":
            text = _PAIR if facts.programme.rank(basis.tier) else _PAIR_BASE
            yield say("PAIR_RATE", "R1", text, **parameters)
        case "BASE_LOWER":
            yield say("BASE_RATE_LOWER", "A18", _LOWER, **parameters)
        case "REBATE_SUPPRESSED":
            yield say("REBATE_SUPPRESSED", "A20", _SUPPRESSED, **parameters)
        case _:
            yield _base_rate(facts, parameters)


def _base_rate(facts: Facts, parameters: dict[str, str]) -> Sentence:
    """Tell why no row of the table counts."""
    base = "the base rate counts, {percent} % as the {role}."
    programme, tier = facts.programme, parameters["tier"]
    if programme.rate_scope == "api_only" and facts.known.line.channel != CHANNEL_API:
        text = f"Rates of tiers are for orders through the API, and this one came in another way: {base}"
        return say("BASE_RATE_NOT_API", "A21", text, **parameters)
    if programme.rank(tier):
        text = f"The table has no rate of {{tier}} in {{pair_class}}: {base}"
        return say("BASE_RATE_WITHOUT_ROW", "A19", text, **parameters)
    return say("BASE_RATE", "A26", f"Without a tier {base}", **parameters)
