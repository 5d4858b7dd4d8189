"""A fee in words: a fold of what its line recorded and of the events it names. Every number is one of the log's.

Only the exact product, of which the recorded amount is the rounding, is worked out here: from the recorded price,
quantity, rate and discount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.domain.events import AdjustedLine, Recorded
from ledger.domain.explanation.adjusted import explain_adjustments, explain_repricings, explain_withheld
from ledger.domain.explanation.amount import explain_amount
from ledger.domain.explanation.discount import explain_discount
from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.rate import explain_programme, explain_rate
from ledger.domain.explanation.sentence import Sentence
from ledger.domain.explanation.tier import explain_tier
from ledger.domain.explanation.trade import explain_trade
from ledger.domain.state.repricings import NO_REPRICINGS, Repricings

__all__ = ["Facts", "Sentence", "explain"]


def explain(
    facts: Facts,
    adjustments: Sequence[tuple[Recorded, AdjustedLine]] = (),
    repricings: Repricings = NO_REPRICINGS,
) -> Iterator[Sentence]:
    """Yield sentences in the order of the rules: programme, tier, rate, trade, discount, amount; then adjustments.

    Then come the facts that it does not count by, and last what is open of the account and may adjust the fee yet.
    """
    yield from explain_programme(facts)
    yield from explain_tier(facts)
    yield from explain_rate(facts)
    yield from explain_trade(facts)
    yield from explain_discount(facts)
    yield from explain_amount(facts)
    yield from explain_adjustments(adjustments, facts)
    yield from explain_withheld(facts)
    yield from explain_repricings(repricings)
