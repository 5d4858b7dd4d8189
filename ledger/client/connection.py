"""The part of a client that all its methods share: calls, the position it has reached, and who asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any, Final, TypedDict, TypeVar, cast

from ledger.client.calls import Calls
from ledger.client.plain import Time, timestamp
from ledger.v1 import read_pb2
from ledger.v1.command_pb2 import Authority

Page = TypeVar("Page")
Response = TypeVar("Response")


class At(TypedDict, total=False):
    """The two clocks of a read."""

    as_of: Time | None  # effective instant; default: now
    known_at_position: int | None  # what the ledger knew after the event at this position; default: all it knows
    known_at_time: Time | None  # or: at this time
    min_position: int  # wait until the ledger has reached this position


class Command(TypedDict, total=False):
    """The arguments of every command beside its own fields; what is left out is as the Client says."""

    actor: str  # who asks: a pseudonymous id
    approver: str  # a second person who approved
    ticket: str  # reference to the case
    reason: str  # why, in free text
    request_id: str  # names the command for ever; default: a new one per call
    timeout_s: float | None


class Connection:
    """Sends requests. Reads wait until the ledger has reached what this client has written, if it reads its writes."""

    def __init__(self, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool) -> None:
        """`authority` is by the field names of Authority; each command may say otherwise."""
        self._call: Final = call
        self._authority = dict(authority)
        self._read_your_writes = read_your_writes
        self._position = 0
        self._lock = Lock()  # two threads may raise the position

    @property
    def position(self) -> int:
        """The highest position of any answer to a write of this client; 0: it has written nothing."""
        return self._position

    def _wrote(self, position: int) -> None:
        with self._lock:
            self._position = max(self._position, position)

    def _command(
        self,
        method: Callable[..., Response],
        request: Any,
        *,
        request_id: str = "",
        timeout_s: float | None = None,
        **authority: str,
    ) -> Response:
        """Send a command under one request_id, however often it takes."""
        self._sign(request, request_id, authority)
        response: Any = self._call(method, request, timeout_s)
        self._wrote(response.receipt.position)
        return cast("Response", response)

    def _sign(self, request: Any, request_id: str, authority: Mapping[str, str]) -> None:
        """Name a command for ever, and say who asks and who approves."""
        request.request_id = request_id or uuid.uuid4().hex
        request.authority.CopyFrom(Authority(**{**self._authority, **authority}))

    def _pages(self, method: Callable[..., Page], request: Any, timeout_s: float | None) -> Iterator[Page]:
        while True:
            page: Any = self._call(method, request, timeout_s)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _at(
        self,
        *,
        as_of: Time | None = None,
        known_at_position: int | None = None,
        known_at_time: Time | None = None,
        min_position: int = 0,
    ) -> read_pb2.ReadAt:
        if known_at_position is not None and known_at_time is not None:
            raise ValueError("give known_at_position or known_at_time, not both")
        at = read_pb2.ReadAt(as_of=timestamp(as_of, "as_of"), min_position=self._at_least(min_position))
        if known_at_position is not None:
            at.known_at_position = known_at_position
        if (known := timestamp(known_at_time, "known_at_time")) is not None:
            at.known_at_time.CopyFrom(known)
        return at

    def _at_least(self, min_position: int) -> int:
        return max(min_position, self._position) if self._read_your_writes else min_position
