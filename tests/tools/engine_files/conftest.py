"""One small ledger for all tests of files, which only read it, and what `reconcile` says of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import pytest

from ledger.__main__ import running as service
from ledger.config import Config
from ledger.v1 import fill_pb2
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import FeeLine
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from tests.conftest import Clock, Ledger, at
from tests.samples import batch, fill, history, symbol
from tests.server.calls import send
from tests.tools import running

INPUTS: Final = Path(__file__).parent / "inputs"
SCHEMA: Final = "test_engine_files"
JANUARY_NS: Final = 1_706_704_336_944_000_000  # 2024-01-31T12:32:16.944Z
TRADER_NS: Final = 1_688_667_796_880_000_000  # 2023-07-06T18:23:16.88Z
FRACTIONS_NS: Final = {
    "K1": 1_688_601_599_600_000_000,
    "K2": 1_688_601_599_999_600_000,  # whole seconds and milliseconds round it over midnight
    "K3": 1_688_585_840_892_100_000,
}


class Told(NamedTuple):
    """What `reconcile` said of a file."""

    code: int
    out: str
    err: str

    @property
    def kinds(self) -> dict[str, int]:
        """How many breaks of each kind there are."""
        found: dict[str, int] = json.loads(self.out)["summary"]["by_kind"]
        return found

    @property
    def breaks(self) -> list[dict[str, Any]]:
        """The breaks."""
        found: list[dict[str, Any]] = json.loads(self.out)["breaks"]
        return found

    @property
    def fault(self) -> str:
        """The one line of a file that cannot be used."""
        assert (self.code, self.out, self.err.count("\n")) == (2, "", 1), self
        return self.err.removeprefix("fee-ledger: ").rstrip("\n")


Reconcile = Callable[..., Told]


@contextmanager
def small_ledger(dsn: str, schema: str) -> Iterator[Ledger]:
    """Fills of r1 (Q1 to Q3), of c03 at times with decimals, and of trader: a maker's sell, a taker's buy of BTC."""
    config, clock = Config(schema=schema, listen="127.0.0.1:0", drain_ms=0, read_wait_ms_max=200), Clock()
    with service(config, dsn, clock=clock.watched()) as serving, grpc.insecure_channel(serving.address) as channel:
        stubs = (CommandServiceStub(channel), FillServiceStub(channel), QueryServiceStub(channel))
        ledger = Ledger(*stubs, clock, serving.log, serving.address, serving.ledger_id, channel)
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

    def run(*arguments: object) -> Told:
        out = [] if "--out" in arguments else ["--out", "json"]
        return Told(*running.run("reconcile", *arguments, *out, "--dsn", dsn, "--schema", SCHEMA))

    return run
