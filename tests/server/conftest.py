"""One ledger for all rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from ledger.__main__ import running
from ledger.config import Config
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from tests.conftest import Clock, Ledger
from tests.samples import symbol
from tests.server.calls import await_tables, send
from tests.server.good_requests import BATCH_MAX, good
from tests.server.instants import NOON


@pytest.fixture(scope="session")
def shared(dsn: str) -> Iterator[Ledger]:
    """One ledger for all rows: they leave no trace, or have accounts of their own."""
    config = Config(
        schema="test_bad_input",
        listen="127.0.0.1:0",
        drain_ms=0,
        standby_poll_ms=20,
        read_wait_ms_max=20,
        stop_grace_ms=500,  # see _CANCEL_S in server/app
        fills_per_batch_max=BATCH_MAX,
    )
    clock = Clock()
    with running(config, dsn, clock=clock.watched()) as service, grpc.insecure_channel(service.address) as channel:
        stubs = (CommandServiceStub(channel), FillServiceStub(channel), QueryServiceStub(channel))
        found = Ledger(*stubs, clock, service.log, service.address, service.ledger_id, channel)
        found.commands.RegisterSymbol(symbol())
        send(found, good("RecordFills"))  # so that there is a fill to ask for
        await_tables(found)
        yield found


@pytest.fixture(scope="session")
def markets(shared: Ledger) -> Ledger:
    """The shared ledger with a symbol that starts at noon, and one of futures."""
    send(shared, symbol("LATE_USDT", valid_from=NOON))
    send(shared, symbol("XRP_FUTURES", product=2))
    return shared
