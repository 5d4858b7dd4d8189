"""One small ledger for all tests of files, which only read it, and what `reconcile` says of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from ledger.v1 import fill_pb2
from ledger.v1.query_service_pb2 import FeeLine
from tests.conftest import Ledger, at, serving
from tests.samples import batch, fill, history, symbol
from tests.server.calls import send
from tests.tools.reconciled import Books, Told

INPUTS: Final = Path(__file__).parent / "inputs"
SCHEMA: Final = "test_engine_files"
JANUARY_NS: Final = 1_706_704_336_944_000_000  # 2024-01-31T12:32:16.944Z
TRADER_NS: Final = 1_688_667_796_880_000_000  # 2023-07-06T18:23:16.88Z
FRACTIONS_NS: Final = {
    "K1": 1_688_601_599_600_000_000,
    "K2": 1_688_601_599_999_600_000,  # whole seconds and milliseconds round it over midnight
    "K3": 1_688_585_840_892_100_000,
}

Reconcile = Callable[..., Told]


@contextmanager
def small_ledger(dsn: str, schema: str) -> Iterator[Ledger]:
    """Fills of r1 (Q1 to Q3), of c03 at times with decimals, and of trader: a maker's sell, a taker's buy of BTC."""
    with serving(dsn, schema) as ledger:
        for name in ("XRP_USDT", "BTC_USDT"):
            send(ledger, symbol(name))
        xrp = {"side": fill_pb2.SIDE_SELL, "last_px": "0.6", "last_qty": "1000"}
        btc = {
            "account_id": "trader",
            "symbol": "BTC_USDT",
            "last_px": "30010",
            "last_qty": "0.02",
            "order_id": "100234",
        }
        fills = [
            *(fill(account_id="r1", exec_id=f"Q{n}", transact_time=at(JANUARY_NS), **xrp) for n in (1, 2, 3)),
            *(fill(account_id="c03", exec_id=name, transact_time=at(ns), **xrp) for name, ns in FRACTIONS_NS.items()),
            fill(exec_id="28457", transact_time=at(TRADER_NS), side=fill_pb2.SIDE_SELL,
                 liquidity=fill_pb2.LIQUIDITY_MAKER, **btc),
            fill(exec_id="28458", transact_time=at(TRADER_NS + 10**6), **btc),
        ]  # fmt: skip
        assert not send(ledger, batch(*fills)).refusals
        yield ledger


@pytest.fixture(scope="session")
def small(dsn: str) -> Iterator[Ledger]:
    """The small ledger."""
    with small_ledger(dsn, SCHEMA) as ledger:
        yield ledger


@pytest.fixture(scope="session")
def trader(small: Ledger) -> list[FeeLine]:
    """The lines of trader."""
    return history(small, "trader")


@pytest.fixture
def reconcile(dsn: str, small: Ledger) -> Reconcile:
    """Runs it over the small ledger; JSON, if nothing else is asked for."""
    return Books(dsn, SCHEMA).reconcile
