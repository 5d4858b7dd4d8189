"""A typed client of the ledger: plain Python values in, the contract's messages out.

    with Client("127.0.0.1:50051", actor="ops-7") as ledger:
        ledger.start_trial("alice")
        print(ledger.get_vip_state("alice").tier)

`AsyncClient` has the same methods for an event loop: a call is awaited, a list is gone over by `async for`.

A time is an aware datetime, or nanoseconds since 1970 as an int. An amount is a Decimal, a str or an int, never a
float. An enum is the name of its member, such as "BUY", or its number. A value that cannot be right raises TypeError or
ValueError and is not sent.

Every call may raise LedgerError. It is tried again while the ledger cannot answer, for up to `timeout_s`: commands and
fills are recorded once, however often they are sent. What a client has written, it reads.
"""

from ledger.client.acknowledgement import Acknowledgement, RefusedFill
from ledger.client.aio.client import AsyncClient
from ledger.client.aio.fill_stream import AsyncFillStream
from ledger.client.client import Client
from ledger.client.errors import Conflict, InvalidRequest, LedgerError, Refused, Unavailable, Violation
from ledger.client.fill_stream import FillStream
from ledger.client.fill_window import FILLS_MAX
from ledger.client.requests import At, Conditions
from ledger.client.stream_state import Unacknowledged

__all__ = [
    "FILLS_MAX",
    "Acknowledgement",
    "AsyncClient",
    "AsyncFillStream",
    "At",
    "Client",
    "Conditions",
    "Conflict",
    "FillStream",
    "InvalidRequest",
    "LedgerError",
    "Refused",
    "RefusedFill",
    "Unacknowledged",
    "Unavailable",
    "Violation",
]
