"""By which rules each term of a log was decided, and what that makes of a decision that comes out otherwise now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ledger.domain.events import Recorded, WriterStarted
from ledger.domain.rules import RULES_VERSION
from ledger.domain.streams import LEDGER
from ledger.replay.compare import Deviation, Difference


class Otherwise(NamedTuple):
    """A decision of a term with older rules that those of this release would not take: no finding."""

    deviation: Deviation
    rules_version: int


class Terms:
    """The terms of a log, in order: the position of each WriterStarted, and the number of its rules."""

    def __init__(self, started: Iterable[Recorded]) -> None:
        self._begun = [(each.position, each.event.rules) for each in started if isinstance(each.event, WriterStarted)]
        # Where they go down, a term is held to the highest so far: else a lower number would excuse what was decided.
        self._rules = list(accumulate((rules for _, rules in self._begun), max))

    def newer(self, known: int) -> tuple[int, int] | None:
        """(position, rules) of the first term up to a position whose rules this release does not know."""
        return next((begun for begun in self._begun if begun[0] <= known and begun[1] > RULES_VERSION), None)

    def check(self, known: int) -> Iterator[Deviation]:
        """Terms up to a position with lower rules than a term before them."""
        for (position, rules), highest in zip(self._begun, self._rules, strict=True):
            if position <= known and rules < highest:
                yield Deviation(position, LEDGER, (Difference("rules_version", str(rules), f"{highest} or more"),))

    def split(self, deviations: Sequence[Deviation]) -> tuple[list[Deviation], list[Otherwise]]:
        """(findings, what older rules decided otherwise). One event may be in both."""
        findings, otherwise = [], []
        for deviation in deviations:
            rules = self._of(deviation.position)
            excused = [each for each in deviation.differs if each.ruled and rules < RULES_VERSION]
            strict = tuple(each for each in deviation.differs if each not in excused)
            if strict:
                findings.append(Deviation(deviation.position, deviation.stream, strict))
            if excused:
                otherwise.append(Otherwise(Deviation(deviation.position, deviation.stream, tuple(excused)), rules))
        return findings, otherwise

    def _of(self, position: int) -> int:
        """The rules of the term that a position lies in; what lies before the first term is of that one."""
        place = bisect_right(self._begun, position, key=lambda begun: begun[0])
        return self._rules[max(place - 1, 0)] if self._rules else RULES_VERSION
