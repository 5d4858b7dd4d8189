"""Mending: what a fact that is recorded late does to the lines before it, and to which of them (A31).

The writer and the audit go this way alike, each with its own reading of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.domain.decide.facts import AccountFacts, Fact, fact_of
from ledger.domain.decide.release import LINES_MAX, judge_held, judge_late
from ledger.domain.events import FactReleased, FactWithheld, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import fold_account
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import fee_stream
from ledger.fills.adjust import PlacedLine, Restated, nets, restated_by_facts


class Reading(Protocol):
    """The log as mending reads it, at the position at hand."""

    @property
    def book(self) -> Rulebook: ...

    def book_of_line(self, position: int, /) -> Rulebook:
        """Return the rules that were known at a position."""

    def account_events(self, account_id: str, /) -> Sequence[Recorded]:
        """Return the events of an account, in order."""

    def fee_lines(self, account_id: str, from_ns: int, /) -> Mapping[str, int]:
        """Return how many lines each fee stream of an account has, from the UTC day of an instant on."""

    def latest_ns(self, stream: str, /) -> int:
        """Return when the latest line of a fee stream traded; 0: it has none."""

    def lines(self, stream: str, /) -> Iterable[PlacedLine]:
        """Return the lines of a fee stream as they are now."""


@dataclass(frozen=True, slots=True)
class Mending:
    """Decides what late facts do, and finds the lines that they change."""

    reading: Reading

    def outcome(self, recorded: Recorded, account_id: str, now_ns: int) -> Iterator[FactReleased | FactWithheld]:
        """Yield what is recorded with an event of an account: of most events nothing. Each is recorded as it comes."""
        fact = fact_of(recorded, ())
        if fact is None:
            return
        lines = self._lines_reached(account_id, fact)
        if not lines and not fact.ends_flag:
            return  # as nearly always, and the account needs not be read
        facts = self._facts(account_id)
        account = fold_account(account_id, facts.events)
        if lines and not (lines <= LINES_MAX and self._takes_back_nothing(facts, fact)):
            yield from judge_late(
                facts.facts[recorded.position],
                account,
                self.reading.book,
                lines=lines,
                nets=lambda released: self._nets(account_id, released),
                now_ns=now_ns,
            )
        if fact.ends_flag:
            yield from judge_held(
                facts,
                account,
                lines_of=lambda held: self._lines_reached(account_id, held),
                nets=lambda released: self._nets(account_id, released),
                now_ns=now_ns,
            )

    def restated(self, account_id: str, release: Recorded) -> Iterator[tuple[str, list[Restated]]]:
        """Yield the fee streams with the lines that change by a FactReleased, which is recorded already."""
        assert isinstance(release.event, FactReleased), release
        facts = self._facts(account_id)
        before = AccountFacts(account_id, [each for each in facts.events if each.position != release.position])
        fact = facts.facts[release.event.fact_position]
        for stream in sorted(self.reading.fee_lines(account_id, fact.from_ns)):
            found = restated_by_facts(
                self.reading.lines(stream), before, facts, fact.from_ns, self.reading.book_of_line
            )
            if restated := list(found):
                yield stream, restated

    def _facts(self, account_id: str) -> AccountFacts:
        return AccountFacts(account_id, self.reading.account_events(account_id))

    def _lines_reached(self, account_id: str, fact: Fact) -> int:
        """Return how many lines are on the account-days that a fact reaches; 0: it came before all that it changes."""
        lines = self.reading.fee_lines(account_id, fact.from_ns)
        first = fee_stream(account_id, fact.from_ns // DAY_NS)
        is_late = any(stream != first for stream in lines) or self.reading.latest_ns(first) >= fact.from_ns
        return sum(lines.values()) if is_late else 0

    def _takes_back_nothing(self, facts: AccountFacts, fact: Fact) -> bool:
        """Return True for the withdrawal of a fact that no line counts by: all came before it, and it is not released.

        No line ever will, so nobody has to release the withdrawal.
        """
        withdrawn = fact.withdrawn_position
        if not withdrawn or facts.is_released(withdrawn):
            return False
        streams = self.reading.fee_lines(facts.account_id, fact.from_ns)
        placed = (placed for stream in streams for placed in self.reading.lines(stream))
        return not any(
            each.known_at > withdrawn and each.known.line.transact_time_ns >= fact.from_ns for each in placed
        )

    def _nets(self, account_id: str, released: FactReleased) -> dict[str, int]:
        before = self._facts(account_id)
        after, found = before.with_release(released), dict[str, int]()
        fact = before.facts[released.fact_position]
        for stream in self.reading.fee_lines(account_id, fact.from_ns):
            lines = [
                placed
                for placed in self.reading.lines(stream)
                if not released.programme_ids or placed.known.basis.programme_id in released.programme_ids
            ]
            restated = restated_by_facts(lines, before, after, fact.from_ns, self.reading.book_of_line)
            for currency, net in nets(lines, restated, fact.from_ns).items():
                found[currency] = found.get(currency, 0) + net
        return found
