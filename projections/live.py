"""The present, in memory: what the log says at its head, for answers that must not wait for a database.

The writer hands over each commit before it answers its callers, so that a read after an answer sees it. Where no
writer is at hand (a standby), `catch_up` follows the log. A read at a closed known_at goes to the log instead.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterable

from ledger import programmes
from ledger.domain.decide.evaluation_run import NOT_BEGUN, EvaluationState, evolve_evaluation
from ledger.domain.events import FactReleased, Recorded, ReleaseAdvanced
from ledger.domain.state.account import AccountState, evolve_account
from ledger.domain.state.held import NAME_BYTES, Held, account_bytes
from ledger.domain.state.repricings import NO_REPRICINGS, Repricings, evolve_repricings
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.domain.state.shared_facts import (
    NOT_RELEASING,
    Releasing,
    Underway,
    evolve_releasing,
    releases_underway,
)
from ledger.domain.streams import EVALUATION_PREFIX, RELEASE_PREFIX, kind_and_subject
from ledger.store.log import Head, Log
from projections.accounts import account_known


class Live:
    """Head, rulebook and lately used accounts of one ledger. Safe for use by several threads."""

    def __init__(self, log: Log, *, account_bytes_max: int) -> None:
        self._log = log
        self._account_bytes_max = account_bytes_max
        self._mutex = threading.RLock()
        self._accounts: Held[str, AccountState] = Held(account_bytes)
        self._seen: set[str] = set()
        self._head = Head(0, 0)
        self._book = Rulebook(programmes.parse)
        self._book_changes: list[int] = []  # positions of all events that the rulebook is made of
        self._evaluations: dict[str, EvaluationState] = {}
        self._repricings: dict[str, Repricings] = {}  # by account, of those with an open one
        self._releasing: dict[str, Releasing] = {}  # by programme
        self._releases: set[int] = set()  # of shared facts, under way: their positions
        self._releases_ended: dict[int, int] = {}  # the position of each, and of its end

    def evaluation(self, stream: str) -> EvaluationState:
        """Return runs of one evaluation."""
        return self._evaluations.get(stream, NOT_BEGUN)

    def repricings(self, account_id: str) -> Repricings:
        """Return the repricings of an account that are open; how far they are is not known here."""
        return self._repricings.get(account_id, NO_REPRICINGS)

    def accounts_repriced(self) -> list[str]:
        """Return the accounts with an open repricing, in the order in which these began."""
        with self._mutex:
            begun = [(each.open[0].started.position, name) for name, each in self._repricings.items()]
        return [name for _, name in sorted(begun)]

    def releases_underway(self) -> list[Underway]:
        """Return the shared facts that are being brought to accounts, the first one first."""
        with self._mutex:
            return releases_underway(self._book.shared_facts, self._releasing_of) if self.is_releasing() else []

    def is_releasing(self) -> bool:
        """Return True if any shared fact is being brought to accounts."""
        return bool(self._releases)

    def was_releasing(self, known: int) -> bool:
        """Return True if any shared fact was being brought to accounts, as known at a position."""
        with self._mutex:
            ended = any(begun <= known < end for begun, end in self._releases_ended.items())
            return ended or any(begun <= known for begun in self._releases)

    def _releasing_of(self, programme_id: str) -> Releasing:
        return self._releasing.get(programme_id, NOT_RELEASING)

    def saw(self, account_id: str) -> bool:
        """Return whether the ledger is known to have heard of an account; what it has heard of it never forgets."""
        return account_id in self._seen

    def see(self, account_id: str) -> None:
        """Note that the ledger has heard of an account."""
        if 2 * NAME_BYTES * len(self._seen) >= self._account_bytes_max:
            self._seen.clear()
        self._seen.add(account_id)

    def at_head(self, account_id: str = "") -> tuple[Head, Rulebook, AccountState]:
        """Return the head, and rulebook and account as of exactly that position."""
        if account_id and account_id not in self._accounts:
            self._load(account_id)
        with self._mutex:
            account = self._accounts.get(account_id)
            if account is not None:
                self._accounts.used([account_id])
            else:  # the log went on while it was read
                account = self._keep(self._read(account_id, self._head)) if account_id else AccountState("")
            return self._head, self._book, account

    def book_change(self, position: int) -> int:
        """Return the last position of the rulebook up to one that the head has reached; 0: there is none."""
        with self._mutex:
            place = bisect_right(self._book_changes, position)
            return self._book_changes[place - 1] if place else 0

    @property
    def head(self) -> Head:
        """Return the last commit taken in."""
        return self._head

    def take(self, head: Head, events: Iterable[Recorded], others: Collection[str] = ()) -> None:
        """Take in a commit; of its events only decisions matter here. Commits may come twice, never with a gap.

        `others` are accounts of which it has more events than these: they are read again when somebody asks.
        """
        with self._mutex:
            if head.position <= self._head.position:
                return
            for recorded in events:
                if recorded.position > self._head.position:
                    self._evolve(recorded)
            for name in self._accounts.keys() & others:
                self._accounts.forget(name)
            self._shrink()
            self._head = head

    def catch_up(self) -> None:
        """Follow the log to its head. Who waits for the log keeps nobody else from what is in memory."""
        head, before = self._log.head(), self._head
        if before.position == 0:
            before = self._begin(head)
        if head.position > before.position:
            self.take(head, self._log.decisions_between(before.position, head.position))

    def _begin(self, head: Head) -> Head:
        """Read all that is needed up to a head, unless another thread has just done so; returns what was reached."""
        with self._mutex:
            if self._head.position:
                return self._head
            rulebook, evaluations = self._log.rulebook(head.position), self._log.below(EVALUATION_PREFIX, head.position)
            releases = self._log.below(RELEASE_PREFIX, head.position)
            for recorded in (*rulebook, *evaluations, *self._log.repricings(head.position), *releases):
                self._evolve(recorded)
            self._head = head
            return head

    def _evolve(self, recorded: Recorded) -> None:
        kind, name = kind_and_subject(recorded.stream)
        if kind in ("registers", "programme"):
            self._book = evolve_rulebook(self._book, recorded)
            self._book_changes.append(recorded.position)
            if isinstance(recorded.event, FactReleased):
                self._releases.add(recorded.position)
        elif kind == "evaluation":  # all are held, for a reader asks of many, and must not wait for the log
            self._evaluations[recorded.stream] = evolve_evaluation(self.evaluation(recorded.stream), recorded)
        elif kind == "repricing":
            repricings = evolve_repricings(self.repricings(name), recorded)
            self._repricings.pop(name, None)
            if repricings.open:
                self._repricings[name] = repricings
        elif kind == "release":
            self._releasing[name] = evolve_releasing(self._releasing_of(name), recorded)
            if isinstance(recorded.event, ReleaseAdvanced) and not recorded.event.until_account_id:
                self._releases.discard(recorded.event.release_position)
                self._releases_ended[recorded.event.release_position] = recorded.position
        elif kind == "account" and (known := self._accounts.get(name)) is not None:
            evolved = evolve_account(known, recorded)
            if evolved is None:
                self._accounts.forget(name)  # the log has all its events, for whoever asks for it next
            else:
                self._accounts[name] = evolved

    def _load(self, account_id: str) -> None:
        """Read an account without the lock, for which the writer would wait."""
        head = self._head
        found = self._read(account_id, head)
        with self._mutex:
            if self._head == head and account_id not in self._accounts:
                self._keep(found)

    def _read(self, account_id: str, head: Head) -> AccountState:
        return account_known(self._log, account_id, head.position)

    def _keep(self, account: AccountState) -> AccountState:
        self._accounts[account.account_id] = account
        self._shrink()
        return account

    def _shrink(self) -> None:
        self._accounts.shrink(self._account_bytes_max - NAME_BYTES * len(self._seen))
