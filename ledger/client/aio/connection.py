"""The part of a client on an event loop that all its methods share: it sends commands, and asks for page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

from ledger.client.aio.calls import Calls
from ledger.client.requests import Requests
from ledger.v1.query_service_pb2 import GetLedgerInfoRequest

Page = TypeVar("Page")
Response = TypeVar("Response")


class Connection(Requests):
    """Sends requests, and waits for their answers."""

    _query_service: Any  # a stub, which `Generated` makes

    def __init__(self, call: Calls, *, authority: Mapping[str, str], read_your_writes: bool) -> None:
        super().__init__(authority=authority, read_your_writes=read_your_writes)
        self._call: Final = call

    async def _command(
        self,
        method: Callable[..., Awaitable[Response]],
        request: Any,
        *,
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
        **authority: str,
    ) -> Response:
        """Send a command under one request_id, however often it takes."""
        self._sign(request, request_id, authority, validate_only=validate_only)
        if validate_only:
            await self._ask_for_previews(timeout_s)
        response: Any = await self._call(method, request, timeout_s)
        self._wrote(response.receipt.position)
        return cast("Response", response)

    async def _ask_for_previews(self, timeout_s: float | None) -> None:
        """Ask a ledger once whether it knows previews. Raises LedgerError if not."""
        if not self._previews:
            self._check_previews(await self._call(self._query_service.GetLedgerInfo, GetLedgerInfoRequest(), timeout_s))

    async def _pages(
        self, method: Callable[..., Awaitable[Page]], request: Any, timeout_s: float | None
    ) -> AsyncIterator[Page]:
        while True:
            page: Any = await self._call(method, request, timeout_s)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
