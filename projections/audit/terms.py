"""The rules and the release of each term of a log: what older rules decided otherwise is no finding, nor are words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate
from operator import or_
from typing import Final, NamedTuple

from ledger.domain.events import Recorded, WriterStarted
from ledger.domain.rules import RULES_VERSION
from ledger.domain.streams import LEDGER
from ledger.replay.compare import Deviation, Difference

RELEASE: Final = version("fee-ledger")


class Otherwise(NamedTuple):
    """A decision of a term with older rules that those of this release would not take: no finding."""

    deviation: Deviation
    rules_version: int


class Terms:
    """The terms of a log, in order: the position of each WriterStarted, the number of its rules, and its release."""

    def __init__(self, started: Iterable[Recorded]) -> None:
        begun = [(each.position, each.event) for each in started if isinstance(each.event, WriterStarted)]
        self._begun = [(position, event.rules) for position, event in begun]
        self._releases = [event.software_version for _, event in begun]
        self._links = [event.links_fees for _, event in begun]
        # Where they go down, a term is held to the highest so far: else a lower number would excuse what was decided.
        self._rules = list(accumulate((rules for _, rules in self._begun), max))

    def newer(self, known: int) -> tuple[int, int] | None:
        """Return (position, rules) of the first term up to a position whose rules this release does not know."""
        return next((begun for begun in self._begun if begun[0] <= known and begun[1] > RULES_VERSION), None)

    def check(self, known: int) -> Iterator[Deviation]:
        """Yield terms up to a position with lower rules than a term before them, or that link no fees where it did."""
        linked = accumulate(self._links, or_)
        for (position, rules), highest, links, must in zip(self._begun, self._rules, self._links, linked, strict=True):
            differs = [Difference("rules_version", str(rules), f"{highest} or more")] if rules < highest else []
            if links < must:
                differs.append(Difference("links_fees is False, and a term before it linked them"))
            if position <= known and differs:
                yield Deviation(position, LEDGER, tuple(differs))

    def split(self, deviations: Sequence[Deviation]) -> tuple[list[Deviation], list[Otherwise]]:
        """Return (findings, decisions that older rules made otherwise). One event may be in both.

        The words of another release are neither.
        """
        findings, otherwise = [], []
        for deviation in deviations:
            rules, release = self._of(deviation.position)
            differs = [each for each in deviation.differs if not each.worded or release == RELEASE]
            excused = [each for each in differs if each.ruled and rules < RULES_VERSION]
            strict = tuple(each for each in differs if each not in excused)
            if strict:
                findings.append(Deviation(deviation.position, deviation.stream, strict))
            if excused:
                otherwise.append(Otherwise(Deviation(deviation.position, deviation.stream, tuple(excused)), rules))
        return findings, otherwise

    def _of(self, position: int) -> tuple[int, str]:
        """Return (rules, release) of the term that a position lies in; positions before the first are of that one."""
        place = max(bisect_right(self._begun, position, key=lambda begun: begun[0]) - 1, 0)
        return (self._rules[place], self._releases[place]) if self._rules else (RULES_VERSION, RELEASE)
