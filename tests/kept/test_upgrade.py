"""The tables of release 0.1.0 under a service of this one: they answer what they can until new ones replace them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import psycopg
import pytest

from ledger.clock import WallClock
from ledger.composition import running
from ledger.config import Config
from projections.check import Check
from projections.check.findings import Finding
from projections.tables.progress import Progress
from projections.tables.rebuild import Rebuild
from projections.tables.tables import TABLES_VERSION, read_schema
from tests.kept.kept import SECOND_NS, Asking, load, refusal_of, request_of

SCHEMA = "kept_upgraded"
BITMART = "bitmart-api-vip"


def test_older_tables_answer_what_they_can_until_new_ones_take_their_place(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, fill = threading.Event(), Rebuild.fill

    def held(self: Rebuild) -> Iterator[Progress]:
        assert gate.wait(10)
        yield from fill(self)

    monkeypatch.setattr(Rebuild, "fill", held)
    now_ns = load(dsn, "0.1.0", SCHEMA) + SECOND_NS
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {read_schema(SCHEMA)}.trials".encode())  # as if 0.1.0 had not known trials
        config = Config(schema=SCHEMA, listen="127.0.0.1:0", drain_ms=0, standby_poll_ms=20, read_wait_ms_max=50)
        with (
            running(config, dsn, clock=WallClock(lambda: now_ns, lambda: now_ns)) as service,
            grpc.insecure_channel(service.address) as channel,
        ):
            asking = Asking(channel)
            await_rebuilding(asking)
            old = says_what_it_can(asking)
            gate.set()
            asking.await_tables()
            info = asking.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].projections
            assert (info.version, info.version_wanted, info.rebuilding) == (TABLES_VERSION, TABLES_VERSION, False)
            assert info.position > old
            asking.send("ListFindings", request_of("ListFindings", control="trials-open", programme_id=BITMART))
        assert [str(one) for one in Check(connection, SCHEMA).findings() if isinstance(one, Finding)] == []


def await_rebuilding(asking: Asking) -> None:
    while not asking.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].projections.rebuilding:
        pass


def says_what_it_can(asking: Asking) -> int:
    """Ask while the tables are those of 0.1.0; returns their position."""
    info = asking.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].projections
    assert (info.version, info.version_wanted) == (1, TABLES_VERSION)
    assert info.lag_positions > 0
    found = asking.send("ListApplications", request_of("ListApplications", programme_id=BITMART))[0]
    assert found.position == info.position
    for rpc, request in (
        ("ListFindings", {"control": "trials-open", "programme_id": BITMART}),
        ("ListApplications", {"min_position": info.position + 1}),
        ("PlanEvaluation", {"programme_id": BITMART, "kind": 1}),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            asking.send(rpc, request_of(rpc, **request))
        assert refusal_of(caught.value) == {"refused": "UNAVAILABLE", "reason": "POSITION_NOT_REACHED"}, rpc
    return int(info.position)
