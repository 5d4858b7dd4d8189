"""Counts of all that the writer has done: a few additions for each message and each commit, none for a fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from ledger.domain.refusal import Reason
from ledger.metrics.histogram import NS_PER_S, Histogram
from ledger.wire.store_faults import KINDS
from ledger.writing.messages import Answer, FillsTaken

_MS: Final = 1_000_000
_BOUNDS_NS: Final = tuple(ms * _MS for ms in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000))
_BOUNDS_FILLS: Final = (1, 10, 100, 1_000, 5_000, 16_000, 50_000)


class Counts:
    """Counts of all terms of a process. Only the thread that decides, or the one that stores for it, adds to them."""

    def __init__(self) -> None:
        self.recorded = self.replayed = self.refused = 0  # fills
        # What is at 0 from the beginning is seen to rise, also by the first one.
        self.reasons: Counter[Reason] = Counter({Reason.FILL_CONFLICT: 0})  # of fills refused one by one
        self.commit_ns = Histogram(_BOUNDS_NS, NS_PER_S)
        self.commit_fills = Histogram(_BOUNDS_FILLS)
        self.lost = 0  # commits
        self.terms = self.take_overs = 0
        self.term = 0  # the last one that began
        self.failures: Counter[str] = Counter(dict.fromkeys(KINDS, 0))  # of PostgreSQL

    def take(self, answers: Sequence[Answer]) -> None:
        """Count the fills of answers that are about to be given."""
        recorded = 0
        for answer in answers:
            if isinstance(answer, FillsTaken):
                recorded += answer.recorded
                self.replayed += answer.replayed
                if answer.refused:
                    self.refused += len(answer.refused)
                    self.reasons.update(refusal.reason for _, refusal in answer.refused)
        if recorded:
            self.recorded += recorded
            self.commit_fills.add(recorded)

    def begin_term(self, term: int, *, took_over: bool) -> None:
        """Count a term that begins."""
        self.term = term
        self.terms += 1
        self.take_overs += took_over
