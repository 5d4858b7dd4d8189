"""The part that all requests of a client share: who asks, about when, and the position that it has reached."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from threading import Lock
from typing import Any, TypedDict

import grpc

from ledger.client.errors import LedgerError
from ledger.client.plain import Time, timestamp
from ledger.v1 import read_pb2
from ledger.v1.command_pb2 import Authority
from ledger.v1.query_service_pb2 import GetLedgerInfoResponse


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
    validate_only: bool  # answer with receipt.preview, what would be recorded, and record nothing
    timeout_s: float | None


class Conditions(TypedDict, total=False):
    """The conditions that accounts are chosen by, and the page."""

    as_of: Time | None  # effective instant; default: now
    tier: str  # in effect; NONE for those without one
    ending_before: Time | None  # the tier in effect ends before this instant
    banned: bool | None  # banned or not
    flagged: bool | None  # flagged as fake or not
    owner_id: str  # beneficial owner
    programme_id: str  # default: the only one
    min_position: int  # wait until the materialised tables have reached this position
    page_size: int  # 0 is 1,000; at most 10,000
    timeout_s: float | None  # of each page


class Requests:
    """Completes requests. Reads wait until the ledger has reached what this client has written, if it reads its writes.

    It sends nothing: `Connection` does, and on an event loop that of `aio`.
    """

    def __init__(self, *, authority: Mapping[str, str], read_your_writes: bool) -> None:
        """`authority` is by the field names of Authority; each command may say otherwise."""
        self._authority = dict(authority)
        self._read_your_writes = read_your_writes
        self._position = 0
        self._previews = False  # True once the ledger has said that it previews commands
        self._lock = Lock()  # two threads may raise the position

    @property
    def position(self) -> int:
        """The highest position of any answer to a write of this client; 0: it has written nothing."""
        return self._position

    def _wrote(self, position: int) -> None:
        with self._lock:
            self._position = max(self._position, position)

    def _check_previews(self, info: GetLedgerInfoResponse) -> None:
        """Raise LedgerError if a ledger would record what it is to preview, as those of older releases do."""
        if not info.previews:
            detail = "its release knows no previews, and would record the command: nothing was sent"
            raise LedgerError(grpc.StatusCode.UNIMPLEMENTED, detail)
        self._previews = True

    def _sign(self, request: Any, request_id: str, authority: Mapping[str, str], *, validate_only: bool) -> None:
        """Name a command for ever, and say who asks and who approves, and whether it is only to be previewed."""
        request.request_id = request_id or uuid.uuid4().hex
        request.validate_only = validate_only
        request.authority.CopyFrom(Authority(**{**self._authority, **authority}))

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
