"""Evaluations of volume that were due and are not done, oldest first: each is caught up with, in order."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.decide.evaluation_run import evaluations_due, fold_evaluation
from ledger.domain.events import PERIODIC
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import evaluation_stream
from ledger.store.log import Log
from projections.evaluation.plan import known_closes


class Missed:
    """The evaluations missed since an instant, as known at a position. One that is done is remembered: it stays so."""

    def __init__(self, log: Log, since_ns: int) -> None:
        self._log = log
        self._since_ns = since_ns
        self._done: dict[str, int] = {}  # by stream: a position that knows it

    def instants(self, book: Rulebook, programme_id: str, now_ns: int, known: int) -> Iterator[int]:
        """Yield instants, oldest first; of one that waits for closes only if one of them has come."""
        for at_ns, programme in evaluations_due(book, programme_id, self._since_ns, now_ns):
            stream = evaluation_stream(programme_id, PERIODIC, at_ns)
            if self._done.get(stream, known + 1) <= known:
                continue
            state = fold_evaluation(self._log.streams([stream], known))
            if state.is_done:
                self._done[stream] = known
                continue
            if state.completed is not None:
                closes = known_closes(self._log, programme, known)
                if not any((one.asset, one.day) in closes for one in state.completed.missing):
                    continue
            yield at_ns

    def first(self, book: Rulebook, programme_id: str, now_ns: int, known: int) -> int | None:
        """Return the oldest; None: nothing is missed."""
        return next(self.instants(book, programme_id, now_ns, known), None)
