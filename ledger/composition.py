"""The composition root: the parts of a service, put together over a PostgreSQL."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

import psycopg

from ledger.clock import WallClock, check_clock, check_other_clock, lines_at_start
from ledger.config import Config
from ledger.domain.events import LedgerCreated
from ledger.metrics.build import build_readings
from ledger.metrics.endpoint import Endpoint
from ledger.metrics.looks import begin_metrics
from ledger.server import probe
from ledger.server.app import App
from ledger.server.command_rpc import CommandRpcs
from ledger.server.connections import connections_needed
from ledger.server.evaluation_runner import DueEvaluations, EvaluationRunner
from ledger.server.evaluations import run_evaluation
from ledger.server.fills.service import FillService
from ledger.server.probe import Probe
from ledger.server.readings import app_readings, machine_readings, writer_readings
from ledger.server.services import add_services
from ledger.server.to_writer import ToWriter
from ledger.store.lease import Lease
from ledger.store.log import Log
from ledger.store.migration import migrate, missing_migrations, owner_of
from ledger.store.postgres.callers import CallersConnections
from ledger.store.postgres.database import check_connections, check_durable, connect, open_datastore, store_clock_ns
from ledger.store.postgres.keeper import Keeper, NoKeeper
from ledger.store.postgres.session import Limits, Patience
from ledger.store.recorder import LedgerRecorder
from ledger.store.writer import Writer
from ledger.systemd import Systemd
from ledger.tools.progress import ProgressBar, ProgressLines
from ledger.writing.pulse import Pulse
from ledger.writing.service import Service
from ledger.writing.term import begin_term
from ledger.writing.writer_thread import WriterThread
from projections.as_of import Reader
from projections.evaluation.messages import progress_message
from projections.evaluation.runs import EvaluationRuns
from projections.live import Live
from projections.readings import PresentReadings, runner_readings
from projections.services import read_answers
from projections.tables.runner import Runner

if TYPE_CHECKING:
    from ledger.traces import Traces


_log: Final = logging.getLogger("ledger")

_FIRST_ATTEMPT_S: Final = 5.0  # to take the pen; a longer one goes on while reads are served

_UNGUARDED: Final = (
    "it runs as the owner of the log, who can change what is recorded: `fee-ledger database roles` prints the SQL that"
    " gives owner, service and readers roles of their own"
)


class StartError(Exception):
    """Why the service cannot start: one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers."""

    ledger_id: str
    address: str  # host:port
    log: Log
    new: bool  # nothing was recorded before this start
    lines: tuple[str, ...]  # for a person: that the log and the clock are far apart, that nobody guards the log


@contextmanager
def running(
    config: Config,
    dsn: str,
    *,
    owner_dsn: str = "",
    clock: WallClock | None = None,
    keeper: Keeper = NoKeeper(),  # noqa: B008 - it has no state
    stop: threading.Event | None = None,
    systemd: Systemd | None = None,
    endpoint: Endpoint | None = None,
) -> Iterator[Running]:
    """The whole service over a PostgreSQL, until the block ends. Setting `stop` ends a start that still waits.

    Metrics are served by `endpoint`.

    With `owner_dsn` it is not the role of `dsn` that brings the schema up to date, but one that may act for its owner.
    Raises ClockLeapError where the clock is behind the log, or apart from that of a PostgreSQL given by `config.dsn`.
    """
    clock = clock or WallClock()
    unguarded = _prepare(config, dsn, clock, owner_dsn)
    patience, lease = Patience(), Lease(config.lease_ms)
    reading = Limits(config.read_statement_ms_max, config.lock_ms_max, patience)
    committing = Limits(config.commit_statement_ms_max, config.lock_ms_max, patience)
    with ExitStack() as stack:
        pool = open_datastore(dsn, config.schema, connections=config.read_connections, limits=reading)
        datastore = stack.enter_context(pool)
        connections = CallersConnections(datastore)
        connections.start()
        stack.callback(connections.stop)
        log = Log(connections)
        before, now_ns = log.head(), clock.now_ns()
        check_clock(clock, before.recorded_time_ns, accepted=config.accept_clock)
        writer = Writer(
            dsn,
            LedgerRecorder(datastore),
            lease=lease,
            silent_ms_max=config.writer_silent_ms_max,
            limits=committing,
        )
        live = Live(log, account_bytes_max=config.account_state_bytes_max)

        def new_term() -> Service:
            live.catch_up()
            check_clock(clock, live.head.recorded_time_ns, accepted=config.accept_clock)
            return begin_term(config, Log(writer), writer, clock.now_ns, live.take)

        traces = _start_traces(config, stack)
        thread = WriterThread(config, writer, new_term, clock, keeper, traces)
        stack.callback(_start_following(config, lease, live).stop)
        thread.start()
        stack.callback(thread.stop)
        ledger_id = _await_ledger(config, log, thread, stop or threading.Event())
        tables = _start_projections(config, dsn, stack, patience) if config.projections else None
        probing = _start_probe(dsn, stack, patience, keeper, thread.retry)
        app = App(config, None if traces is None else traces.around)
        to_writer = ToWriter(config, thread, ledger_id, clock)
        reader = Reader(config, log, live, ledger_id, clock.now_ns, lambda: lease.runs)
        runs = EvaluationRuns(reader, config.schema)
        runner = EvaluationRunner(to_writer, runs)
        fills = FillService(to_writer, log)
        fills.add_to(app.calls)
        commands = CommandRpcs(to_writer)
        evaluating = {"RunEvaluation": partial(run_evaluation, commands, runner, progress_message)}
        add_services(app.calls, {**commands.answers(), **read_answers(reader, config.schema), **evaluating})
        address = app.listen()
        stack.callback(app.drain_and_stop, fills.stop)
        stack.callback(runner.stop)
        app.health.start(
            lambda: probing.fault,
            lambda: thread.fault,
            lambda: "its clock leaps" if clock.leaped else "",
            looked=_telling(systemd or Systemd(), thread, live),
        )
        if config.evaluate == "automatic":
            due = DueEvaluations(to_writer, runner, runs)
            due.start()
            stack.callback(due.stop)
        stack.callback(
            begin_metrics(
                endpoint,
                PresentReadings(reader, config.schema, live).readings,
                partial(build_readings, ledger_id),
                partial(app_readings, config, app),
                partial(writer_readings, config, thread, lease),
                partial(machine_readings, clock, probing, keeper),
                fills.readings,
                partial(runner_readings, tables),
            )
        )
        stack.callback(patience.end_within, config.stop_grace_ms / 1000)
        lines = lines_at_start(before.recorded_time_ns, now_ns) if before.position else ()
        yield Running(ledger_id, address, log, not before.position, (*lines, *unguarded))


def _telling(systemd: Systemd, thread: WriterThread, live: Live) -> Callable[[str, str], None]:
    """Return what hands on to systemd what health has found."""

    def told(reads: str, writes: str) -> None:
        systemd.looks(reads, writes, stands_by=thread.stands_by, position=live.head.position)

    return told


def _start_traces(config: Config, stack: ExitStack) -> Traces | None:
    """Return what traces calls until the stack is closed; None: nothing is traced, and nothing of it imported."""
    if not config.traces_endpoint:
        return None
    traces: Traces = traces_module().Traces(config)
    stack.callback(traces.stop)
    return traces


def traces_module() -> ModuleType:
    try:
        return import_module("ledger.traces")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise StartError(
            "traces_endpoint needs the extra traces: pip install 'fee-ledger[traces]', or leave traces_endpoint away"
        ) from error


def _start_following(config: Config, lease: Lease, live: Live) -> Pulse:
    """A standby that has followed the log, in a thread of its own, writes soon after it has got the pen."""

    def follow() -> None:
        if not lease.runs:
            live.catch_up()

    following = Pulse("following", config.standby_poll_ms, follow, lambda: None)
    following.start()
    return following


def _start_projections(config: Config, dsn: str, stack: ExitStack, patience: Patience) -> Runner:
    """The materialised tables, kept up with the log by a thread of this process."""
    limits = Limits(patience=patience)  # a rebuild takes as long as it takes
    pool = open_datastore(dsn, config.schema, connections=2, limits=limits)  # a rebuild needs both
    datastore = stack.enter_context(pool)
    runner = Runner(Log(datastore), config.schema, lambda: connect(dsn, "projections", limits))
    runner.start()
    stack.callback(runner.stop)
    return runner


def _start_probe(
    dsn: str, stack: ExitStack, patience: Patience, keeper: Keeper, recovered: Callable[[], None]
) -> Probe:
    """A thread that knows whether PostgreSQL answers, until the stack is closed."""
    limits = Limits(probe.STATEMENT_MS_MAX, probe.STATEMENT_MS_MAX, patience)
    probing = Probe(lambda: connect(dsn, "probe", limits, probe.CONNECT_S_MAX), keeper, recovered)
    probing.start()
    stack.callback(probing.stop)
    return probing


def _prepare(config: Config, dsn: str, clock: WallClock, owner_dsn: str) -> tuple[str, ...]:
    """Check the database, its clock where it may be another one, and bring the schema up to date.

    Returns a line if it is the owner of the log that is to serve.
    """
    try:
        with connect(dsn, "start") as connection:
            check_durable(connection)
            check_connections(connection, connections_needed(config))
            if config.dsn:
                check_other_clock(clock, store_clock_ns(connection))
            owner, acts = owner_of(connection, config.schema)
            lacks = missing_migrations(connection, config.schema)
            if lacks and not acts and not owner_dsn:
                raise StartError(
                    f"the schema {config.schema} lacks {', '.join(lacks)}: `fee-ledger database migrate --dsn OWNER_DSN"
                    f" --schema {config.schema}` applies them, as the role {owner}"
                )
            if lacks:
                _log.info("migration: the schema %s gets %s", config.schema, ", ".join(lacks))
                progress = ProgressBar() if config.log_format == "text" else ProgressLines(_log, "migration")
                with connect(owner_dsn or dsn, "migration") as migrating:
                    migrate(migrating, config.schema, clock_ns=clock.now_ns, show=progress.show)
                progress.clear()
                _log.info("migration: the schema %s is that of this release", config.schema)
    except psycopg.Error as error:
        raise unusable(error) from error
    return (_UNGUARDED,) if acts else ()


def unusable(error: Exception) -> StartError:
    return StartError(f"PostgreSQL cannot be used: {' '.join(str(error).split())}")


def _await_ledger(config: Config, log: Log, thread: WriterThread, stop: threading.Event) -> str:
    """Return the ledger's name, once a first term has begun here or elsewhere.

    It waits a little for the pen: else the first callers would be told that this process does not write.
    """
    poll_s, until_s = config.standby_poll_ms / 1000, time.monotonic() + _FIRST_ATTEMPT_S
    while not stop.is_set():
        if not thread.wait_for_first_attempt(poll_s) and time.monotonic() < until_s:
            continue
        for recorded in log.ledger():
            if isinstance(recorded.event, LedgerCreated):
                found = recorded.event.ledger_id
                if config.ledger_id and config.ledger_id != found:
                    raise StartError(f"this is the ledger {found}, not {config.ledger_id}: leave --ledger-id away")
                return found
        stop.wait(poll_s)
    raise StartError("stopped before a term began")
