"""The two clocks of a read: which instant, and which prefix of the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache, reduce
from typing import Final, NamedTuple, NoReturn, TypeVar

from ledger import programmes
from ledger.config import Config
from ledger.domain.decide.evaluation_run import EvaluationState, fold_evaluation
from ledger.domain.instants import CLOCK_LEAP_NS, LATEST_NS, SECOND_NS, utc_day
from ledger.domain.refusal import Reason
from ledger.domain.state.account import AccountState, fold_accounts
from ledger.domain.state.owners import family_of, linked_accounts
from ledger.domain.state.repricings import NO_REPRICINGS, Repricings, evolve_repricings
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.state.shared_facts import SharedFact, Underway
from ledger.domain.streams import account_stream, owner_stream, repricing_stream
from ledger.store.log import Head, Log
from ledger.v1 import read_pb2
from ledger.wire.fields import Shape, read_ns
from ledger.wire.status import refuse, timestamp
from projections.accounts import account_known
from projections.live import Live
from projections.repricings import open_releases
from projections.waiting import wait_until

_LOOK_EVERY_S: Final = 0.002  # at most, however many wait
_BOOKS_MAX: Final = 8  # rulebooks of the past in memory: audits ask for the same few again and again
_KNOWN_MAX: Final = 16  # prefixes of the log as answers say them: reads between two commits say the same one

T = TypeVar("T")


class Instant(NamedTuple):
    """Effective at `as_of_ns`, as known after `known` (a position and when it was recorded)."""

    as_of_ns: int
    known: Head
    known_at_open: bool

    def basis(self, ledger_id: str) -> read_pb2.ReadBasis:
        """Return it as every answer says it. To copy what stays the same takes a quarter of the time of making it."""
        basis = read_pb2.ReadBasis()
        basis.CopyFrom(_known(ledger_id, self.known, self.known_at_open))
        basis.as_of.seconds, basis.as_of.nanos = divmod(self.as_of_ns, SECOND_NS)
        return basis


@lru_cache(_KNOWN_MAX)
def _known(ledger_id: str, known: Head, known_at_open: bool) -> read_pb2.ReadBasis:
    """Return the part of a read's basis that is no question of when it asks."""
    return read_pb2.ReadBasis(
        ledger_id=ledger_id,
        known_at_position=known.position,
        known_at_time=timestamp(known.recorded_time_ns) if known.position else None,
        known_at_open=known_at_open,
    )


class View(NamedTuple):
    """The rules and one account, as they were known at an instant."""

    instant: Instant
    book: Rulebook
    account: AccountState


class Reader:
    """Resolves reads: the present out of memory, every other known_at out of the log."""

    def __init__(
        self,
        config: Config,
        log: Log,
        live: Live,
        ledger_id: str,
        clock_ns: Callable[[], int],
        has_lease: Callable[[], bool],
    ) -> None:
        """`has_lease` tells whether this process writes, and nobody else can know more of the log than it does."""
        self.config = config
        self.log = log
        self.ledger_id = ledger_id
        self._live = live
        self._clock_ns = clock_ns
        self._has_lease = has_lease
        self._looking = threading.Lock()
        self._look_again_s = 0.0
        self._book_after = lru_cache(_BOOKS_MAX)(self._fold_book)

    @cached_property
    def began_ns(self) -> int:
        """Return when the ledger's first event was recorded."""
        return self.log.at(1).envelope.recorded_time_ns

    def instant(self, at: read_pb2.ReadAt) -> Instant:
        """Return the instant a read asks for, once the log has reached its min_position.

        Refuses with POSITION_NOT_REACHED or POSITION_AHEAD.
        """
        head = self._wait_for(at.min_position)
        known = self._closed(at, head)
        return Instant(self._as_of_ns(at, head), known or head, known_at_open=known is None)

    def view(self, at: read_pb2.ReadAt, account_id: str) -> View:
        """Return the instant that a read names, with the rules and an account as they were known then."""
        head = self._wait_for(at.min_position)
        known = self._closed(at, head)
        if known is None:
            head, book, account = self._live.at_head(account_id)
            return View(Instant(self._as_of_ns(at, head), head, known_at_open=True), book, account)
        book = self._book_after(self._live.book_change(known.position))
        account = account_known(self.log, account_id, known.position)
        return View(Instant(self._as_of_ns(at, head), known, known_at_open=False), book, account)

    def family(self, view: View) -> list[AccountState]:
        """Return the other accounts that share an owner with the view's account, as they were known then."""
        until = view.instant.known.position

        def accounts_of(owner_id: str) -> list[str]:
            return linked_accounts(self.log.streams([owner_stream(owner_id)], until))

        def accounts(account_ids: Iterable[str]) -> list[AccountState]:
            names = list(account_ids)
            return list(fold_accounts(self.log.streams(map(account_stream, names), until), names).values())

        return family_of(view.account, accounts_of, accounts)

    def book(self) -> Rulebook:
        """Return the rules as they are known now."""
        return self._present(self._live.at_head)[1]

    def evaluation(self, instant: Instant, stream: str) -> EvaluationState:
        """Return runs of an evaluation, as they were known."""
        if instant.known_at_open:
            return self._live.evaluation(stream)
        return fold_evaluation(self.log.streams([stream], instant.known.position))

    def repricings(self, instant: Instant, account_id: str) -> Repricings:
        """Return the repricings of an account that were open, as they were known."""
        if instant.known_at_open:
            return self._live.repricings(account_id)
        events = self.log.streams([repricing_stream(account_id)], instant.known.position)
        return reduce(evolve_repricings, events, NO_REPRICINGS)

    def is_repriced(self, instant: Instant, account_id: str) -> bool:
        """Return True while lines of an account are being restated, a part in each commit, or are still to be."""
        return bool(self.repricings(instant, account_id).open) or any(
            underway.after_account_id < account_id and self._has_fills_before(underway.fact, account_id)
            for underway in self._releases_underway(instant)
        )

    def _releases_underway(self, instant: Instant) -> list[Underway]:
        """Return the shared facts that were being brought to accounts, as it was known."""
        if instant.known_at_open:
            return self._live.releases_underway()
        known = instant.known.position
        if not self._live.was_releasing(known):
            return []
        return open_releases(self.log, self._book_after(self._live.book_change(known)).shared_facts, known)

    def _has_fills_before(self, fact: SharedFact, account_id: str) -> bool:
        """Return True if an account has fills of the time that a shared fact reaches, recorded before it."""
        first_day = utc_day(fact.event.valid_from_ns)
        return bool(self.log.totals_of_account(account_id, first_day, utc_day(LATEST_NS), fact.recorded.position))

    def knows(self, view: View) -> bool:
        """Return whether the ledger had heard of the view's account."""
        account_id = view.account.account_id
        if view.account.version or (view.instant.known_at_open and self._live.saw(account_id)):
            return True
        found = self.log.has_account(account_id, view.instant.known.position)
        if found and view.instant.known_at_open:
            self._live.see(account_id)
        return found

    def now_ns(self) -> int:
        """Return the time of a read of the present."""
        return self._now_ns(self._live.head)

    def _now_ns(self, head: Head) -> int:
        """Return no time before the last commit, though this clock may be a little behind the writer's.

        A commit that is over a minute ahead of it was recorded under a wrong clock, and does not say what time it is.
        """
        clock_ns = self._clock_ns()
        return head.recorded_time_ns if 0 < head.recorded_time_ns - clock_ns <= CLOCK_LEAP_NS else clock_ns

    def _fold_book(self, position: int) -> Rulebook:
        return fold_rulebook(programmes.parse, self.log.rulebook(position))

    def _as_of_ns(self, at: read_pb2.ReadAt, head: Head) -> int:
        if at.HasField("as_of"):
            return read_ns(at.as_of, "at.as_of")
        return self._now_ns(head)

    def _closed(self, at: read_pb2.ReadAt, head: Head) -> Head | None:
        """Return the prefix of the log that a read names; None: all of it, which is still growing."""
        kind = at.WhichOneof("known_at")
        if kind == "known_at_position":
            if at.known_at_position > head.position:
                detail = f"the ledger is at position {head.position}"
                refuse(Reason.POSITION_AHEAD, "at.known_at_position", detail, position=str(head.position))
            return self.log.head_at_position(at.known_at_position)
        if kind == "known_at_time":
            known_ns = read_ns(at.known_at_time, "at.known_at_time")
            if known_ns <= head.recorded_time_ns:
                return self.log.head_at_time(known_ns)
        return None

    def _present(self, look: Callable[[], T]) -> T:
        """Return what a look at `live` finds, if that is the present; else what it finds after following the log.

        The lease is asked before the look: a commit on its way may be in the log already, where a standby has read it.
        And after it: this process may have stood still meanwhile, and another one has written.
        """
        if self._has_lease():
            found = look()
            if self._has_lease():
                return found
        self._live.catch_up()
        return look()

    def _wait_for(self, position: int) -> Head:
        """Return the last commit, once it has reached a position."""
        head = self._present(lambda: self._live.head)
        if head.position < position:
            wait_until(
                lambda: self._look_up() >= position,
                self.config.read_wait_ms_max,
                self._not_reached,
            )
            head = self._live.head
        return head

    def _look_up(self) -> int:
        """Follow the log, for all that wait: a writer that has just lost the pen does not hear of commits."""
        if self._looking.acquire(blocking=False):
            try:
                if time.monotonic() >= self._look_again_s:
                    self._live.catch_up()
                    self._look_again_s = time.monotonic() + _LOOK_EVERY_S
            finally:
                self._looking.release()
        return self._live.head.position

    def _not_reached(self, why: str) -> NoReturn:
        position = self._live.head.position
        detail = f"the ledger is at position {position}{why}"
        refuse(Reason.POSITION_NOT_REACHED, "at.min_position", detail, position=str(position))


def check_times(at: read_pb2.ReadAt) -> None:
    """Refuse instants that are none."""
    with Shape() as shape:
        for field in ("as_of", "known_at_time"):
            if at.HasField(field):
                shape(read_ns, getattr(at, field), f"at.{field}")
