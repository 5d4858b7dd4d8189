"""What the log says, as a client reads it: the events of a stream, decoded from their stored bytes."""

from __future__ import annotations

from ledger.domain.events import Event
from ledger.store.codec.events import decode
from ledger.v1.query_service_pb2 import ListEventsRequest
from tests.conftest import Ledger


def events(ledger: Ledger, stream: str) -> list[Event]:
    """Events of a stream over ListEvents, oldest first."""
    page = ledger.queries.ListEvents(ListEventsRequest(stream=stream))
    assert not page.next_page_token
    return [decode(row.position, row.stream, row.version, row.topic, row.state).event for row in page.events]
