"""The commit in flight: stored in a thread of its own, while the next one is being decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from eventsourcing.persistence import PersistenceError

from ledger.domain.events import Recorded
from ledger.store.log import Head
from ledger.store.writer import Commit, Writer, WriterLost
from ledger.writing.messages import Answer, CommitInFlight

Deliver = Callable[[Sequence[Answer]], None]
# Is told the new head, the events of its commit but for fill runs, and of which accounts it has others besides.
Publish = Callable[[Head, Sequence[Recorded], Sequence[str]], None]


class CommitPipeline:
    """Stores commits of one term, one at a time. All but the storing is called by the thread that decides."""

    def __init__(self, writer: Writer, publish: Publish) -> None:
        """`publish` is told of each commit before anybody is answered."""
        self._writer = writer
        self._publish = publish
        self._pool = ThreadPoolExecutor(1, "commit")
        self._stored: Future[None] | None = None
        self.in_flight: CommitInFlight | None = None  # one that was lost stays here
        self.when_storing: Callable[[Deliver, int], None] | None = None  # called when one begins to be stored
        self.when_done: Callable[[object], None] = lambda _: None  # called when a commit is stored, or lost
        self.when_stored: Callable[[int], None] = lambda _: None  # called with how many ns a commit took

    @property
    def is_storing(self) -> bool:
        """True while a commit is being stored."""
        return self._stored is not None and not self._stored.done()

    @property
    def is_lost(self) -> bool:
        """True if the last commit was not stored, as far as is known: `wait_for_commit` raises why."""
        return self._stored is not None and self._stored.done() and self._stored.exception() is not None

    def store(self, commit: Commit, head: Head, answers: Sequence[Answer], deliver: Deliver, *, at_once: bool) -> None:
        """Store a commit, after which the log ends at `head`, and deliver the answers once it is durable.

        The commit before must be stored. `at_once` stores it in this thread: then it is stored, or lost, when this
        returns, and the answers come sooner than by another thread.
        """
        submit = _call if at_once else self._pool.submit
        self._stored = submit(self._store, commit, head, answers, deliver)
        self._stored.add_done_callback(self.when_done)

    def wait_for_commit(self) -> None:
        """Wait until no commit is in flight. Raises WriterLost if it was not stored, as far as is known."""
        if self._stored is not None:
            self._stored.result()
            self._stored = None

    def close(self) -> None:
        """End the thread, once the commit in flight is stored or lost."""
        self._pool.shutdown()

    def _store(self, commit: Commit, head: Head, answers: Sequence[Answer], deliver: Deliver) -> None:
        self.in_flight = CommitInFlight(commit, answers)
        if self.when_storing is not None:
            self.when_storing(deliver, head.position)
        self._writer.lease.suspend()
        began_ns = time.perf_counter_ns()
        try:
            self._writer.commit(commit)
            self.when_stored(time.perf_counter_ns() - began_ns)
            self._publish(head, commit.decisions, commit.evaluated)
        except (WriterLost, PersistenceError):
            raise
        except Exception as defect:  # whatever it was, what was decided on this commit is worth nothing now
            raise WriterLost(f"a commit ended in a defect: {defect!r}") from defect
        self._writer.lease.resume()
        self.in_flight = None
        deliver(answers)


def _call(function: Callable[..., None], *arguments: Any) -> Future[None]:
    """Call a function as an executor does, but in this thread."""
    done: Future[None] = Future()
    try:
        function(*arguments)
        done.set_result(None)
    except Exception as error:
        done.set_exception(error)
    return done
