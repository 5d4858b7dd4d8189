"""One ledger for all rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Ledger, serving
from tests.samples import symbol
from tests.server.calls import await_tables, send
from tests.server.good_requests import BATCH_MAX, good
from tests.server.instants import NOON


@pytest.fixture(scope="session")
def shared(dsn: str) -> Iterator[Ledger]:
    """One ledger for all rows: they leave no trace, or have accounts of their own."""
    grace_ms = 500  # see _CANCEL_S in server/app
    with serving(
        dsn, "test_bad_input", read_wait_ms_max=20, stop_grace_ms=grace_ms, fills_per_batch_max=BATCH_MAX
    ) as found:
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
