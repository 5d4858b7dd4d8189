"""Metrics of a service as a user runs it, and the alerts that take a disk, a PostgreSQL or a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ledger.metrics.table import METRICS, TABLES
from ledger.store.postgres.dsn import VARIABLE
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import QuoteFeeRequest
from scripts.torture.disk import Disk, may_mount
from tests.data_folders import empty_database, reachable_folder
from tests.docs.pages import ROOT
from tests.e2e.served import Served
from tests.metrics.promql import evaluate
from tests.metrics.watching import Watch, get
from tests.samples import batch, fill, symbol
from tests.waiting import wait_for
from tests.write_side import Writing

_HISTOGRAM = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Watch]]:
    """A service on a small disk, where one can be mounted, and else in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    with ExitStack() as stack:
        if may_mount():
            folder = reachable_folder()
            stack.enter_context(Disk(folder))
        else:
            folder = empty_database()
        served = Served(folder, log=tmp_path_factory.mktemp("log") / "service.log", metrics_listen=listen)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(served.stop)
        served.start()
        yield served, Watch(f"http://{listen}/metrics")


@pytest.fixture
def served(site: tuple[Served, Watch]) -> Served:
    return site[0]


@pytest.fixture
def watch(site: tuple[Served, Watch]) -> Watch:
    return site[1]


def test_every_metric_of_the_table_is_on_the_page_and_every_panel_shows_something(served: Served, watch: Watch) -> None:
    CommandServiceStub(served.channel).RegisterSymbol(symbol())
    refused = fill(symbol="ABC_USDT")
    for first in (1, 3):
        FillServiceStub(served.channel).RecordFills(batch(fill(), refused, source="engine-1", first_sequence=first))
        watch.scrape()
    one = fill()
    names = ("account_id", "symbol", "side", "liquidity", "last_px", "last_qty", "channel")
    served.queries.QuoteFee(QuoteFeeRequest(**{name: getattr(one, name) for name in names}))
    wait_for(lambda: (watch.scrape(), "fee_ledger_source_sequence" in watch.scrapes[-1].values)[1])
    found = {name for name, values in watch.scrapes[-1].values.items() if values}
    assert {name for name, metric in METRICS.items() if name not in found and metric.kind != "histogram"} == set(), (
        "these are missing"
    )
    assert {
        f"{name}{end}" for name, metric in METRICS.items() if metric.kind == "histogram" for end in _HISTOGRAM
    } <= found
    bare = {name for name in found if not name.endswith(_HISTOGRAM)}
    assert bare - METRICS.keys() == {"up"}
    dashboard = json.loads((ROOT / "docs/operations/prometheus/grafana.json").read_text())
    empty = [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        if not evaluate(target["expr"].replace("$__rate_interval", "5m"), watch.scrapes)
    ]
    assert empty == [("Services that are not SERVING", "fee_ledger_health == 0")]
    assert "alice" not in get(watch.url)


def test_the_process_of_the_tables_tells_of_them(dsn: str, writing: Writing) -> None:
    command = [
        sys.executable,
        "-m",
        "projections",
        "--schema",
        writing.config.schema,
        "--metrics-listen",
        "127.0.0.1:0",
    ]
    environment = {**os.environ, VARIABLE: dsn}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            watch = Watch(process.stdout.readline().removeprefix("metrics: ").strip())
            wait_for(lambda: (watch.scrape(), "fee_ledger_tables_version" in watch.scrapes[-1].values)[1])
        finally:
            process.send_signal(signal.SIGTERM)
    found = {name for name, values in watch.scrapes[-1].values.items() if values}
    assert found == {name for name, metric in METRICS.items() if TABLES in metric.told_by} | {"up"}
    assert process.returncode == 0


def test_a_small_disk(served: Served, watch: Watch) -> None:
    if not may_mount():
        pytest.skip("only root mounts a small disk, and this machine lets nobody mount")
    assert watch.holds("LedgerDiskFillsUp")


def test_a_postgresql_that_stands_still(served: Served, watch: Watch) -> None:
    assert not watch.holds("LedgerStoreDown")
    with served.postgres.frozen():
        watch.wait_until("LedgerStoreDown")
        wait_for(lambda: (watch.scrape(), watch.value("fee_ledger_health", service=""))[1] == 0)
    watch.wait_until("LedgerStoreDown", holds=False)


def test_a_process_that_hangs_and_one_that_is_gone(served: Served, watch: Watch) -> None:
    served.pause()
    assert watch.holds("LedgerDown")
    served.go_on()
    assert not watch.holds("LedgerDown")
    served.kill()
    assert watch.holds("LedgerDown")
