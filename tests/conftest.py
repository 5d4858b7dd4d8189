"""A real PostgreSQL for the whole run, and a real service over a fresh schema for whoever asks."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from hypothesis import HealthCheck, settings

from ledger import program
from ledger.cli.arguments import ADDRESS_VARIABLE
from ledger.clock import WallClock
from ledger.composition import running
from ledger.config import Config
from ledger.domain.instants import SECOND_NS
from ledger.metrics.endpoint import Endpoint
from ledger.store.log import Log
from ledger.store.postgres.embedded import EmbeddedPostgres
from ledger.v1.command_service_pb2_grpc import CommandServiceStub
from ledger.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from ledger.v1.fill_service_pb2_grpc import FillServiceStub
from ledger.v1.member_query_service_pb2_grpc import MemberQueryServiceStub
from ledger.v1.member_service_pb2_grpc import MemberServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.v1.reward_service_pb2_grpc import RewardServiceStub
from projections.controls_process import ControlsProcess
from tests.data_folders import empty_database
from tests.own_postgres import OWN_PROGRAMS, own_server, version_of
from tests.write_side import NOON_NS, Writing, opened

__all__ = ["NOON_NS", "Clock", "Ledger", "StartLedger", "Status", "at", "refusal", "serving"]

_schemas = itertools.count(1)

# Many services are asked for findings: a process that is copied with all that it imports saves each of them a second.
ControlsProcess.start_method = "forkserver"
multiprocessing.set_forkserver_preload(["projections.controls_process"])

# The files that take longest come first: the other processes of `make test` would wait for one that is begun last.
_LONGEST = (
    "kept/test_killed_upgrade.py",
    "e2e/test_health.py",
    "scripts/test_bench.py",
    "contributing/test_contributing.py",
    "scripts/test_torture.py",
    "scripts/test_demo.py",
    "properties/test_long_lives.py",
    "properties/test_two_clocks.py",
    "store/postgres/test_embedded.py",
    "e2e/test_lease.py",
)

# How long an example takes says nothing here: the tests share their machine with the services that they start.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A run in the background of a shell ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"PostgreSQL: {version_of(OWN_PROGRAMS) if OWN_PROGRAMS else 'the embedded one'}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if OWN_PROGRAMS:
        others = [item for item in items if "dsn" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if "dsn" in getattr(item, "fixturenames", ())]
    first = {Path(__file__).parent / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))


@pytest.fixture(scope="session", autouse=True)
def one_parser() -> Iterator[None]:
    """Make the parser of the command line once, and not for each of a thousand commands: it takes 25 ms.

    Only the address that the environment says changes it.
    """
    make = program.parser
    made = functools.cache(lambda _: make())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "parser", lambda: made(os.environ.get(ADDRESS_VARIABLE)))
        yield


@pytest.fixture(scope="session")
def dsn() -> Iterator[str]:
    """The embedded PostgreSQL, for the whole run, or one of the programs that LEDGER_POSTGRES names."""
    if OWN_PROGRAMS:
        with own_server(OWN_PROGRAMS) as given:
            yield given
        return
    folder = empty_database()
    postgres = EmbeddedPostgres(folder)
    try:
        yield postgres.start("the tests")
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def schema() -> str:
    """A name no other test uses."""
    return f"test_{next(_schemas)}"


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_ns = NOON_NS
        self._leapt_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def leap(self, by_ns: int) -> None:
        """Set the wall clock alone, forward or back."""
        self.now_ns += by_ns
        self._leapt_ns += by_ns

    def restarted(self) -> Clock:
        """A clock that says the same, and has never leapt."""
        clock = Clock()
        clock.now_ns = self.now_ns
        return clock

    def watched(self) -> WallClock:
        """A new pair of wall and boot clock, as a service reads it at its start; no move lies between its two looks.

        The boot clock goes along with `now_ns`, but for what was leapt.
        """
        looked_ns = self.now_ns

        def boot_ns() -> int:
            nonlocal looked_ns
            looked_ns = self.now_ns
            return looked_ns - self._leapt_ns

        return WallClock(lambda: looked_ns, boot_ns)


@dataclass
class Ledger:
    """A running service as a client sees it."""

    commands: Any
    fills: Any
    queries: Any
    clock: Clock
    log: Log
    address: str
    ledger_id: str
    channel: grpc.Channel

    @property
    def members(self) -> Any:
        """Stub of the MemberService."""
        return MemberServiceStub(self.channel)

    @property
    def rewards(self) -> Any:
        """Stub of the RewardService."""
        return RewardServiceStub(self.channel)

    @property
    def evaluations(self) -> Any:
        """Stub of the EvaluationService."""
        return EvaluationServiceStub(self.channel)

    @property
    def member_queries(self) -> Any:
        """Stub of the MemberQueryService."""
        return MemberQueryServiceStub(self.channel)


StartLedger = Callable[..., Ledger]


@contextmanager
def serving(
    dsn: str, schema: str, /, *, clock: Clock | None = None, endpoint: Endpoint | None = None, **settings: Any
) -> Iterator[Ledger]:
    """Run a service over a schema until the block ends; the clock stands at NOON_NS.

    `endpoint` is where its metrics are; other keywords are of Config.
    """
    clock = clock or Clock()
    quick = {"listen": "127.0.0.1:0", "drain_ms": 0, "standby_poll_ms": 20, "read_wait_ms_max": 5_000}
    config = Config(schema=schema, **{**quick, **settings})
    started = running(config, dsn, clock=clock.watched(), endpoint=endpoint)
    with started as service, grpc.insecure_channel(service.address) as channel:
        stubs = (CommandServiceStub(channel), FillServiceStub(channel), QueryServiceStub(channel))
        yield Ledger(*stubs, clock, service.log, service.address, service.ledger_id, channel)


@pytest.fixture
def start_ledger(dsn: str, schema: str) -> Iterator[StartLedger]:
    """Starts services over one fresh schema; keywords are those of Config."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(dsn, schema, **settings))


@pytest.fixture
def ledger(start_ledger: StartLedger) -> Ledger:
    """A running service over a fresh schema, with a clock that stands still at NOON_NS."""
    return start_ledger()


@pytest.fixture
def writing(dsn: str, schema: str) -> Iterator[Writing]:
    """The write side alone, over a fresh schema."""
    with opened(dsn, schema) as writing:
        yield writing


@dataclass(frozen=True)
class Status:
    """How a call was refused."""

    code: grpc.StatusCode
    reason: str
    field: str
    metadata: dict[str, str]
    message: str


def refusal(call: Callable[[Any], Any], request: Message) -> Status:
    """The status of a call that must be refused, with the details every refusal carries."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None, caught.value
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "ledger.v1"
    metadata = dict(info.metadata)
    return Status(caught.value.code(), info.reason, metadata.pop("field", ""), metadata, status.message)  # type: ignore[attr-defined]


def at(time_ns: int) -> Timestamp:
    """An instant on the wire."""
    return Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)
