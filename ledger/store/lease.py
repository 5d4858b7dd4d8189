"""The right to speak for the present: it ends by itself a short time after the last sign that the pen is still held.

A process that stood still cannot know that it did. So the right does not end with news of a loss; it ends unless it is
renewed. It runs from before the round trip that renewed it, and is asked after an answer is made, before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.clock import boot_ns


class Lease:
    """The lease of one process, renewed by whoever uses the session that holds the pen, asked by everybody."""

    def __init__(self, span_ms: int, clock_ns: Callable[[], int] = boot_ns) -> None:
        self.clock_ns = clock_ns
        self.span_ns = span_ms * 1_000_000
        self._until_ns = 0
        self._suspended = False

    def suspend(self) -> None:
        """Note that a commit is about to be sent: from now on others may read it in the log before this process knows.

        If it is lost, nothing resumes before the first commit of the next term is known.
        """
        self._suspended = True

    def resume(self) -> None:
        """Note that what is in memory here holds the last commit."""
        self._suspended = False

    def begin(self, began_ns: int) -> None:
        """Note that a commit succeeded whose round trip began then: nobody else has written in between."""
        self._until_ns = max(self._until_ns, began_ns + self.span_ns)

    def renew(self, began_ns: int) -> None:
        """Note that a round trip which began then found the pen held.

        Nothing runs before the first commit of a term: what is in memory need not be the present by then.
        """
        if self._until_ns:
            self.begin(began_ns)

    def end(self) -> None:
        """Note that the pen is given up, or lost as far as is known."""
        self._until_ns = 0

    @property
    def left_ns(self) -> int:
        """Return how long it still runs; 0: it does not."""
        return 0 if self._suspended else max(self._until_ns - self.clock_ns(), 0)

    @property
    def runs(self) -> bool:
        """Return whether nobody else can know more than this process has in memory, so that this is the present."""
        return not self._suspended and self.clock_ns() < self._until_ns
