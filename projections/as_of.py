"""The two clocks of a read: which instant, and which prefix of the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, lru_cache, reduce
from typing import Final, NamedTuple

from ledger import programmes
from ledger.config import Config
from ledger.domain.decide.evaluation_run import EvaluationState, evolve_evaluation
from ledger.domain.refusal import Reason
from ledger.domain.state.account import AccountState, OwnerState, evolve_owner, fold_account
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import account_stream, owner_stream
from ledger.store.log import Head, Log
from ledger.v1 import read_pb2
from ledger.wire.fields import Shape, read_ns
from ledger.wire.status import refuse, timestamp
from projections.live import Live

_POLL_S: Final = 0.002
_BOOKS_MAX: Final = 8  # rulebooks of the past in memory: audits ask for the same few again and again


class Instant(NamedTuple):
    """Effective at `as_of_ns`, as known after `known` (a position and when it was recorded)."""

    as_of_ns: int
    known: Head
    known_at_open: bool

    def basis(self, ledger_id: str) -> read_pb2.ReadBasis:
        """As every answer says it."""
        return read_pb2.ReadBasis(
            ledger_id=ledger_id,
            as_of=timestamp(self.as_of_ns),
            known_at_position=self.known.position,
            known_at_time=timestamp(self.known.recorded_time_ns) if self.known.position else None,
            known_at_open=self.known_at_open,
        )


class View(NamedTuple):
    """What was known of the rules and of one account, at an instant."""

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
        follow: Callable[[], None],
    ) -> None:
        """`follow` brings `live` to the head of the log where no writer of this process does."""
        self.config = config
        self.log = log
        self.ledger_id = ledger_id
        self._live = live
        self._clock_ns = clock_ns
        self._follow = follow
        self._book_after = lru_cache(_BOOKS_MAX)(self._fold_book)

    @cached_property
    def began_ns(self) -> int:
        """When the ledger's first event was recorded."""
        return self.log.at(1).envelope.recorded_time_ns

    def instant(self, at: read_pb2.ReadAt) -> Instant:
        """The instant a read asks for. Waits for min_position; refuses with POSITION_NOT_REACHED or POSITION_AHEAD."""
        head = self._wait_for(at.min_position)
        known = self._closed(at, head)
        return Instant(self._as_of_ns(at, head), known or head, known_at_open=known is None)

    def view(self, at: read_pb2.ReadAt, account_id: str) -> View:
        """The same, with the rules and an account as they were known then."""
        head = self._wait_for(at.min_position)
        known = self._closed(at, head)
        if known is None:
            head, book, account = self._live.at_head(account_id)
            return View(Instant(self._as_of_ns(at, head), head, known_at_open=True), book, account)
        book = self._book_after(self._live.book_change(known.position))
        account = fold_account(account_id, self.log.streams([account_stream(account_id)], known.position))
        return View(Instant(self._as_of_ns(at, head), known, known_at_open=False), book, account)

    def family(self, view: View) -> list[AccountState]:
        """The other accounts of the owner of the view's account, as they were known then."""
        owner_id, until = view.account.owner_id, view.instant.known.position
        owner = reduce(evolve_owner, self.log.streams([owner_stream(owner_id)], until), OwnerState(owner_id))
        names = {owner_id, *owner.account_ids} - {view.account.account_id}
        members = [fold_account(name, self.log.streams([account_stream(name)], until)) for name in sorted(names)]
        return [member for member in members if member.owner_id == owner_id]

    def book(self) -> Rulebook:
        """The rules as they are known now."""
        self._follow()
        return self._live.at_head()[1]

    def evaluation(self, instant: Instant, stream: str) -> EvaluationState:
        """Runs of an evaluation, as they were known."""
        if instant.known_at_open:
            return self._live.evaluation(stream)
        return reduce(evolve_evaluation, self.log.streams([stream], instant.known.position), EvaluationState())

    def knows(self, view: View) -> bool:
        """Whether the ledger had heard of the view's account."""
        account_id = view.account.account_id
        if view.account.version or (view.instant.known_at_open and self._live.saw(account_id)):
            return True
        found = self.log.has_account(account_id, view.instant.known.position)
        if found and view.instant.known_at_open:
            self._live.see(account_id)
        return found

    def now_ns(self) -> int:
        """Now: never before the last commit, though this clock may be behind the writer's."""
        return max(self._clock_ns(), self._live.head.recorded_time_ns)

    def _fold_book(self, position: int) -> Rulebook:
        return fold_rulebook(programmes.parse, self.log.rulebook(position))

    def _as_of_ns(self, at: read_pb2.ReadAt, head: Head) -> int:
        if at.HasField("as_of"):
            return read_ns(at.as_of, "at.as_of")
        return max(self._clock_ns(), head.recorded_time_ns)

    def _closed(self, at: read_pb2.ReadAt, head: Head) -> Head | None:
        """The prefix of the log that a read names; None: all of it, which is still growing."""
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

    def _wait_for(self, position: int) -> Head:
        """The last commit, once it has reached a position."""
        self._follow()
        if (head := self._live.head).position >= position:
            return head
        until_s = time.monotonic() + self.config.read_wait_ms_max / 1000
        while (head := self._live.head).position < position:
            if time.monotonic() >= until_s:
                detail = f"the ledger is at position {head.position}"
                refuse(Reason.POSITION_NOT_REACHED, "at.min_position", detail, position=str(head.position))
            time.sleep(_POLL_S)
            self._live.catch_up()  # from the log: a writer that has just lost the pen does not hear of commits
        return head


def check_times(at: read_pb2.ReadAt) -> None:
    """Refuse instants that are none."""
    with Shape() as shape:
        for field in ("as_of", "known_at_time"):
            if at.HasField(field):
                shape(read_ns, getattr(at, field), f"at.{field}")
