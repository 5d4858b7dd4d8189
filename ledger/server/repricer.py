"""Has the writer go on with what takes many commits, lines restated and shared facts, with fills in between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from ledger.seldom import Seldom
from ledger.server.to_writer import ToWriter
from ledger.wire.status import RefusedError
from ledger.writing.messages import GoOnRepricing, Repriced

_ACCOUNTS_AT_ONCE: Final = 100  # whose lines may be few, so that one commit restates those of several
_LOOK_S: Final = 0.1  # between two looks whether any was begun

_log: Final = logging.getLogger(__name__)
_failing: Final = Seldom(_log)


class Repricer:
    """A thread that asks the writer for parts while any repricing is open, or a shared fact is brought to accounts.

    After a start it goes on where it was.
    """

    def __init__(
        self, to_writer: ToWriter, accounts: Callable[[], Sequence[str]], is_releasing: Callable[[], bool]
    ) -> None:
        """`accounts` returns those whose lines are being restated, in the order in which that began.

        `is_releasing` returns whether any shared fact is being brought to accounts.
        """
        self._to_writer = to_writer
        self._accounts = accounts
        self._is_releasing = is_releasing
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repricing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the part under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                while self._to_writer.writing and not self._stopping.is_set() and self._go_on():
                    pass
            except RefusedError:
                continue  # nobody writes now, or the queue is full: what was recorded is known at the next look
            except Exception:
                _failing.exception("a defect: lines could not be restated; it is tried again")

    def _go_on(self) -> bool:
        """Have one more part done; return False if no line was left to restate, and no account to bring a fact to."""
        accounts = self._accounts()[:_ACCOUNTS_AT_ONCE]
        if not accounts and not self._is_releasing():
            return False
        began_s = time.monotonic()
        answer = self._to_writer.wait(self._to_writer.queue(GoOnRepricing(accounts), self._stopping.is_set))
        assert isinstance(answer, Repriced), answer
        if self._to_writer.is_busy:  # others come first: rest as long as this took
            self._stopping.wait(time.monotonic() - began_s)
        for account_id in sorted({*accounts} - {*self._accounts()}):
            _log.info("the lines of %s are restated", account_id)
        return answer.lines > 0 or answer.accounts > 0
