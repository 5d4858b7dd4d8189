"""How long a client waits for a ledger, and when it tries again. Nothing here waits: whoever calls does."""

from __future__ import annotations

import random
import time
from typing import Final

import grpc
from google.protobuf.message import Message

from ledger.client.errors import LedgerError, Unavailable, error_of
from ledger.client.service_config import RETRY

_ATTEMPT_S: Final = 10.0  # the first attempt may take so long, each later one twice as long as the one before


class Patience:
    """The patience of one client, and whether its ledger has ever answered: where nobody has, perhaps nobody is there.

    Every call may safely be sent twice.
    """

    def __init__(self, timeout_s: float, connect_timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self.is_answered = False

    def attempts(self, request: Message, timeout_s: float | None, *, repeated: bool = True) -> Attempts:
        """Begin a call, which is tried once if it is not `repeated`. Without `timeout_s` it has that of the client."""
        return Attempts(self, request, self._timeout_s if timeout_s is None else timeout_s, repeated=repeated)

    def patience_s(self, failure: LedgerError, timeout_s: float) -> float:
        """Return how long to try again after a failure, in seconds since the beginning."""
        if self.is_answered or self._connect_timeout_s is None or failure.code is not grpc.StatusCode.UNAVAILABLE:
            return timeout_s
        return min(timeout_s, self._connect_timeout_s)


class Attempts:
    """The attempts of one call."""

    def __init__(self, patience: Patience, request: Message, timeout_s: float, *, repeated: bool) -> None:
        self._patience = patience
        self._request_id = getattr(request, "request_id", "")
        self._timeout_s = timeout_s
        self._repeated = repeated
        self._began_s = time.monotonic()  # or when it was last answered, if the answer is streamed
        self._attempt_s = _ATTEMPT_S
        self._pauses = Pauses()

    def next_timeout_s(self) -> float:
        """Return how long the next attempt may take."""
        left_s = self._began_s + self._timeout_s - time.monotonic()
        attempt_s, self._attempt_s = self._attempt_s, 2 * self._attempt_s
        return max(0.0, min(attempt_s, left_s))

    def answered(self) -> None:
        """Take note of an answer, or of a message of it: time and pauses begin anew."""
        self._patience.is_answered = True
        self._began_s = time.monotonic()
        self._pauses = Pauses()

    def pause_s(self, error: grpc.RpcError) -> float:
        """Return how long to wait before the next attempt. Raises LedgerError if there is to be none."""
        failure = error_of(error, self._request_id)
        self._patience.is_answered |= failure.reason is not None
        pause_s = self._pauses.next_s(failure)
        end_s = self._began_s + self._patience.patience_s(failure, self._timeout_s)
        if not self._repeated or not isinstance(failure, Unavailable) or time.monotonic() + pause_s >= end_s:
            raise failure from error
        return pause_s


class Pauses:
    """Pauses that grow, each a random part of its full length: many clients should not come back at once."""

    def __init__(self) -> None:
        self._pause_s = RETRY.pause_s

    def next_s(self, failure: LedgerError) -> float:
        """Return the next pause, which is no shorter than the ledger asks for."""
        pause_s = max(failure.retry_after_s, self._pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
        self._pause_s = min(self._pause_s * RETRY.growth, RETRY.pause_s_max)
        return pause_s
