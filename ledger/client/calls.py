"""Calls to a ledger: tried again while it cannot answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from ledger.client.patience import Patience
from ledger.client.trace import traceparent

Response = TypeVar("Response")


class Calls:
    """Makes calls until they are answered or their time is up."""

    def __init__(self, timeout_s: float, connect_timeout_s: float | None) -> None:
        self._patience = Patience(timeout_s, connect_timeout_s)

    def __call__(self, method: Callable[..., Response], request: Message, timeout_s: float | None) -> Response:
        """The answer to a request. Raises LedgerError."""
        attempts = self._patience.attempts(request, timeout_s)
        while True:
            try:
                response = method(request, timeout=attempts.next_timeout_s(), metadata=traceparent())
            except grpc.RpcError as error:
                pause_s = attempts.pause_s(error)
            else:
                attempts.answered()
                return response
            time.sleep(pause_s)

    def messages(
        self, method: Callable[..., Iterator[Response]], request: Message, timeout_s: float | None, *, resumed: bool
    ) -> Iterator[Response]:
        """The messages of an answer that is streamed, for as long as they come. Raises LedgerError.

        If `resumed`, one that breaks off is asked for again, for up to `timeout_s` after its last message.
        """
        attempts = self._patience.attempts(request, timeout_s, repeated=resumed)
        while True:
            try:
                for message in method(request, metadata=traceparent()):
                    attempts.answered()
                    yield message
            except grpc.RpcError as error:
                pause_s = attempts.pause_s(error)
            else:
                return
            time.sleep(pause_s)
