"""A full disk: callers hear STORE_FULL, reads go on, health and the log say so, and room heals it without a hand."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.query_service_pb2 import GetVipStateRequest, ListFeeHistoryRequest
from scripts.torture.disk import Disk, may_mount
from tests.conftest import refusal
from tests.data_folders import reachable_folder
from tests.e2e.served import Served
from tests.e2e.turns import FILLS, QUERIES, TURN_S_MAX, Turns
from tests.samples import batch, fill, symbol
from tests.waiting import wait_for

MEGABYTES = 400


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a small disk of its own."""
    if not may_mount():
        pytest.skip("only root mounts a small disk, and this machine lets nobody mount")
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    with Disk(folder, MEGABYTES) as disk:
        yield disk


@pytest.fixture
def served(disk: Disk, folder: Path, tmp_path: Path) -> Iterator[Served]:
    """A service whose PostgreSQL has its data on the disk, and not its log."""
    service = Served(folder, log=tmp_path / "service.log")
    try:
        service.start()
        yield service
    finally:
        service.stop()


def test_a_full_disk_is_told_reads_go_on_and_room_heals_it(served: Served, disk: Disk, folder: Path) -> None:
    fills, recorded = FillServiceStub(served.channel), list[str]()

    def record() -> bool:
        try:
            fills.RecordFills(batch(fill(exec_id=f"E{len(recorded) + 1}")), timeout=10)
        except grpc.RpcError:
            return False
        recorded.append(f"E{len(recorded) + 1}")
        return True

    CommandServiceStub(served.channel).RegisterSymbol(symbol())
    with Turns(served.channel, "", FILLS, QUERIES) as turns:
        wait_for(lambda: turns.serving(FILLS) and turns.serving("") and record(), 30)
        began_s = time.monotonic()
        disk.fill(leave=40_000_000)
        assert turns.seconds_to(serving=False, since_s=began_s, name=FILLS) < TURN_S_MAX
        refused = refusal(lambda asked: fills.RecordFills(asked, timeout=10), batch(fill(exec_id="E-refused")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        assert told_to_wait(fills) > 1

        disk.fill()
        said = (folder / "log" / "postgresql.log").stat().st_size
        time.sleep(3)
        assert turns.serving(QUERIES)
        assert turns.serving("")
        assert served.queries.GetVipState(GetVipStateRequest(account_id="alice"), timeout=10).tier == "NONE"
        assert (folder / "log" / "postgresql.log").stat().st_size - said < 5_000

        began_s = time.monotonic()
        disk.free()
        assert turns.seconds_to(serving=True, since_s=began_s, name=FILLS) < TURN_S_MAX
        wait_for(record)
    lines = served.queries.ListFeeHistory(ListFeeHistoryRequest(account_id="alice")).lines
    assert sorted(line.fill_ref.exec_id for line in lines) == sorted(recorded)
    log = served.log.read_text()
    assert "the disk of PostgreSQL is full" in log
    assert "this process writes the ledger now" in log
    assert "Traceback" not in log


def told_to_wait(fills: FillServiceStub) -> float:
    """Seconds after which a caller may ask again."""
    with pytest.raises(grpc.RpcError) as caught:
        fills.RecordFills(batch(fill(exec_id="E-refused")), timeout=10)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    retry = RetryInfo()
    assert status is not None
    assert any(detail.Unpack(retry) for detail in status.details)
    return retry.retry_delay.ToMilliseconds() / 1000
