"""Decodes requests, for every RPC in one place: size and count are bounded before a message is built of the bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError

from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.seldom import Seldom
from ledger.server.bytes_under_way import BytesUnderWay
from ledger.server.lanes import HEALTH, LANES, PAGES, PLANS, READS, WATCHES
from ledger.server.receiving import Receiving
from ledger.wire.list_bounds import ListBounds
from ledger.wire.status import refuse

_log: Final = logging.getLogger(__name__)

_TOO_MANY: Final = object()  # in place of a message for which there was no room
_SLOW_S: Final = 5.0  # after which a message that is still coming in may be ended for those that wait,
_SLOW_SMALL_S: Final = 0.05  # and one of the RPCs whose requests are small: they are there with their headers
_SMALL: Final = {rpc for lane in (READS, PAGES, PLANS, HEALTH, WATCHES) for rpc in LANES[lane]}


class Decoding:
    """Receives the requests of calls: they are counted first, and decoded in the thread of the call.

    gRPC decodes in the one thread that takes messages off the wire, and answers INTERNAL with a traceback in the log to
    bytes that are no message. Here that thread only counts bytes. They count for as long as somebody keeps the request.
    """

    def __init__(self, config: Config) -> None:
        self._entries_max = config.fills_per_batch_max
        # Who reads is not to wait while large messages come in: of the places two thirds are theirs.
        large = max(config.receiving_max // 3, 1)
        self._small = Receiving(config.receiving_max - large, _SLOW_SMALL_S)
        self._large = Receiving(large, _SLOW_S)
        self.under_way = BytesUnderWay(config.request_bytes_max)
        self._unreadable = Seldom(_log)

    def end_receiving(self) -> None:
        """End the calls whose message has not come: the service stops, and would wait for them."""
        self._small.end()
        self._large.end()

    def counted(self, data: bytes) -> object:
        """Return the bytes of a request that arrived, counted, or what says that there was no room for them."""
        counted = self.under_way.count(data)
        return _TOO_MANY if counted is None else counted

    def only_request(self, rpc: str, decode: Callable[[bytes], Any]) -> Callable[..., Any]:
        """Return what receives the request of a call: `(arriving, context) -> request`. It may raise RefusedError."""
        receiving = self._small if rpc in _SMALL else self._large
        return partial(receiving.only_message, self._decoded(rpc, decode))

    def requests(self, rpc: str, decode: Callable[[bytes], Any]) -> Callable[..., Iterator[Any]]:
        """Return what receives the requests of a stream: `(arriving, context) -> requests`."""
        return partial(self._requests, self._decoded(rpc, decode))

    def _decoded(self, rpc: str, decode: Callable[[bytes], Any]) -> Callable[[Any], Any]:
        request = descriptor_pool.Default().FindMethodByName(rpc.replace("/", ".")).input_type
        bounds = ListBounds(request, self._entries_max)

        def decoded(arrived: Any) -> Any:
            if arrived is None:
                refuse(Reason.MESSAGE_MALFORMED, "", f"there is no {request.full_name}")
            if arrived is _TOO_MANY:
                refuse(Reason.QUEUE_FULL, "", "the requests under way have as many bytes as may be: send it later")
            bounds.check(arrived)
            try:
                return decode(arrived)
            except DecodeError:
                self._unreadable.warning("the bytes of a request were no %s", request.full_name)
                refuse(Reason.MESSAGE_MALFORMED, "", f"the bytes are no {request.full_name}")

        return decoded

    def _requests(
        self, decode: Callable[[Any], Any], arriving: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Yield the requests of a stream: none is taken off the wire while there is no room for it."""
        while True:
            self.under_way.wait_for_room(context.is_active)
            try:
                arrived = next(arriving, None)
            except grpc.RpcError:  # the call is over: its client hung up
                return
            if arrived is None:
                return
            yield decode(arrived)
