"""The states that no single account has, in memory: rulebook, promotions, bounty rounds, closes and evaluations.

The writer and the audit hold them alike. Each is folded from the events of its stream when it is first asked for, and
evolved from then on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ledger.domain.decide.bounty import Round, evolve_round
from ledger.domain.decide.daily_close import Closes, fold_closes
from ledger.domain.decide.evaluation_run import EvaluationState, fold_evaluation
from ledger.domain.decide.promotion import Promotions, evolve_promotions
from ledger.domain.events import Recorded
from ledger.domain.state.held import Held
from ledger.domain.state.repricings import NO_REPRICINGS, Repricings, evolve_repricings
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.domain.state.shared_facts import NOT_RELEASING, Releasing, Underway, evolve_releasing, releases_underway
from ledger.domain.streams import (
    PROMOTIONS,
    bounty_stream,
    closes_stream,
    kind_and_subject,
    release_stream,
    repricing_stream,
    subject_of,
)

S = TypeVar("S")


_BOOKS_MAX: Final = 64  # of the past in memory, which share what did not change


class _Kind(NamedTuple, Generic[S]):
    """The first state of a stream, by what follows the kind in its name; and the state after some events of it."""

    begin: Callable[[str], S]
    fold: Callable[[Iterable[Recorded], S], S]


def _one_by_one(evolve: Callable[[S, Recorded], S]) -> Callable[[Iterable[Recorded], S], S]:
    return lambda events, state: reduce(evolve, events, state)


_ROUND: Final = _Kind(Round, _one_by_one(evolve_round))
_CLOSES: Final = _Kind(Closes, fold_closes)
_PROMOTIONS: Final = _Kind(lambda _: Promotions(), _one_by_one(evolve_promotions))
_EVALUATION: Final = _Kind(lambda _: EvaluationState(), fold_evaluation)
_REPRICINGS: Final = _Kind(lambda _: NO_REPRICINGS, _one_by_one(evolve_repricings))
_RELEASING: Final = _Kind(lambda _: NOT_RELEASING, _one_by_one(evolve_releasing))
_KINDS: Final[dict[str, _Kind[Any]]] = {
    "bounty": _ROUND,
    "closes": _CLOSES,
    "promotions": _PROMOTIONS,
    "evaluation": _EVALUATION,
    "repricing": _REPRICINGS,
    "release": _RELEASING,
}


class SharedStates:
    """These states after the events so far.

    Nothing is held of a stream without an event: its name may be any that somebody asks with, and is refused.
    """

    def __init__(
        self,
        book: Rulebook,
        read: Callable[[str], Iterable[Recorded]],
        book_at: Callable[[int], Rulebook],
        changed_at: Iterable[int] = (),
        evolves: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`read` gives the events of a stream so far, in order; `book_at` folds the rules known at a position.

        `changed_at` are the positions of the events that made the `book`. `evolves` says to which streams every later
        event is given: others are read each time.
        """
        self.book = book
        self._book_at = book_at
        self._changed_at = list(changed_at)
        self._past_books: Held[int, Rulebook] = Held()  # by the position of the change after which they held
        self._books_with_shared: Held[tuple[int, ...], Rulebook] = Held()  # likewise, and with these facts
        self._read = read
        self._evolves = evolves
        self._shared: Held[str, Any] = Held()

    def promotions(self) -> Promotions:
        """Return all promotions."""
        return self._state(_PROMOTIONS, PROMOTIONS)

    def round(self, week: str) -> Round:
        """Return a week of bounties."""
        return self._state(_ROUND, bounty_stream(week))

    def closes(self, asset: str) -> Closes:
        """Return the closes of an asset."""
        return self._state(_CLOSES, closes_stream(asset))

    def evaluation(self, stream: str) -> EvaluationState:
        """Return the last run of an evaluation."""
        return self._state(_EVALUATION, stream)

    def repricings(self, account_id: str) -> Repricings:
        """Return the repricings of an account that are open."""
        return self._state(_REPRICINGS, repricing_stream(account_id))

    def releasing(self, programme_id: str) -> Releasing:
        """Return how far the released facts of a programme have come among the accounts."""
        return self._state(_RELEASING, release_stream(programme_id))

    def releases_underway(self) -> list[Underway]:
        """Return the shared facts that are being brought to accounts, the first one first."""
        return releases_underway(self.book.shared_facts, self.releasing)

    def book_of_line(self, position: int, shared: Sequence[int]) -> Rulebook:
        """Return the rules that a line counts by: those known at its position, with shared facts of later ones."""
        book = self._known_by(position)
        if not shared:
            return book
        of_line = (bisect_right(self._changed_at, position), *shared)
        found = self._books_with_shared.get(of_line)
        if found is None:
            self._books_with_shared.shrink(_BOOKS_MAX - 1)
            facts = (self.book.shared_facts[each].recorded for each in shared)
            found = self._books_with_shared.hold(of_line, reduce(evolve_rulebook, facts, book))
        return found

    def _known_by(self, position: int) -> Rulebook:
        place = bisect_right(self._changed_at, position)
        if place == len(self._changed_at):
            return self.book
        at = self._changed_at[place - 1] if place else 0
        found = self._past_books.get(at)
        if found is None:
            self._past_books.shrink(_BOOKS_MAX - 1)
            found = self._past_books.hold(at, self._book_at(at))
        return found

    def version(self, stream: str) -> int:
        """Return the version of the last event of one of these streams; 0: it has none."""
        kind = _KINDS.get(kind_and_subject(stream)[0])
        return self.book.versions.get(stream, 0) if kind is None else int(self._state(kind, stream).version)

    def evolve(self, recorded: Recorded) -> None:
        """Take in one more event of one of these streams."""
        stream = recorded.stream
        kind = _KINDS.get(kind_and_subject(stream)[0])
        if kind is None:
            if self._changed_at:
                self._past_books.hold(self._changed_at[-1], self.book)
                self._past_books.shrink(_BOOKS_MAX)
            self._changed_at.append(recorded.position)
            self.book = evolve_rulebook(self.book, recorded)
        else:
            self._shared.hold(stream, kind.fold([recorded], self._state(kind, stream)))

    def _state(self, kind: _Kind[S], stream: str) -> S:
        found: S | None = self._shared.get(stream)
        if found is None:
            events = list(self._read(stream))
            found = kind.fold(events, kind.begin(subject_of(stream)))
            if events and self._evolves(stream):
                self._shared.hold(stream, found)
        return found
