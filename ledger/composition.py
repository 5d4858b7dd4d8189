"""The composition root: the parts of a service, put together over a PostgreSQL."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg
from eventsourcing.postgres import PostgresDatastore

from ledger.cli.extra import extra_of
from ledger.clock import WallClock, check_clock, check_other_clock, lines_at_start
from ledger.config import Config
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
from ledger.server.later_commits import LaterCommits
from ledger.server.probe import Probe
from ledger.server.readings import app_readings, machine_readings, writer_readings
from ledger.server.repricer import Repricer
from ledger.server.services import add_services
from ledger.server.to_writer import ToWriter
from ledger.store.lease import Lease
from ledger.store.log import Log
from ledger.store.migration import migrate, missing_migrations, owner_of
from ledger.store.postgres.callers import CallersConnections
from ledger.store.postgres.database import (
    cannot_be_used,
    check_connections,
    check_durable,
    connect,
    open_datastore,
    store_clock_ns,
)
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
from projections.controls_process import ControlsProcess
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
    """The service cannot start: one line with the remedy."""


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
    """Run the whole service over a PostgreSQL until the block ends. Setting `stop` ends a start that still waits.

    Metrics are served by `endpoint`.

    With `owner_dsn` it is not the role of `dsn` that brings the schema up to date, but one that may act for its owner.
    Raises ClockLeapError where the clock is behind the log, or apart from that of a PostgreSQL given by `config.dsn`.
    """
    clock = clock or WallClock()
    unguarded = _prepare(config, dsn, clock, owner_dsn)
    with ExitStack() as stack:
        base = _Base(config, dsn, clock, keeper, Patience(), stack)
        datastore, log = _open_log(base)
        before, now_ns = log.head(), clock.now_ns()
        check_clock(clock, before.recorded_time_ns, accepted=config.accept_clock)
        lease, live = Lease(config.lease_ms), Live(log, account_bytes_max=config.account_state_bytes_max)
        traces = _start_traces(base)
        thread = _start_writer(base, LedgerRecorder(datastore), lease, live, traces)
        ledger_id = _await_ledger(config, log, thread, stop or threading.Event())
        tables = _start_tables(base) if config.projections else None
        probing = _start_probe(base, thread.retry)
        reader = Reader(config, log, live, ledger_id, clock.now_ns, lambda: lease.runs)
        app, fills, address = _start_server(base, reader, thread, live, traces)
        app.health.start(
            lambda: probing.fault,
            lambda: thread.fault,
            lambda: "its clock leaps" if clock.leaped else "",
            looked=_telling(systemd or Systemd(), thread, live),
        )
        end_metrics = begin_metrics(
            endpoint,
            PresentReadings(reader, config.schema, live).readings,
            partial(build_readings, ledger_id),
            partial(app_readings, config, app),
            partial(writer_readings, config, thread, lease),
            partial(machine_readings, clock, probing, keeper),
            fills.readings,
            partial(runner_readings, tables),
        )
        stack.callback(end_metrics)
        stack.callback(base.patience.end_within, config.stop_grace_ms / 1000)
        lines = lines_at_start(before.recorded_time_ns, now_ns) if before.position else ()
        yield Running(ledger_id, address, log, not before.position, (*lines, *unguarded))


@dataclass(frozen=True, slots=True)
class _Base:
    """The knobs, PostgreSQL and clock of every part, and the stack that ends first what was started last."""

    config: Config
    dsn: str
    clock: WallClock
    keeper: Keeper
    patience: Patience  # of all that waits for PostgreSQL, when the service stops
    stack: ExitStack


def _open_log(base: _Base) -> tuple[PostgresDatastore, Log]:
    """Open the connections of readers; return them, and the log that is read over them while callers wait."""
    config = base.config
    limits = Limits(config.read_statement_ms_max, config.lock_ms_max, base.patience)
    pool = open_datastore(base.dsn, config.schema, connections=config.read_connections, limits=limits)
    datastore = base.stack.enter_context(pool)
    connections = CallersConnections(datastore)
    connections.start()
    base.stack.callback(connections.stop)
    return datastore, Log(connections)


def _start_traces(base: _Base) -> Traces | None:
    """Return what traces calls until the stack is closed; None: nothing is traced, and nothing of it imported."""
    if not base.config.traces_endpoint:
        return None
    traces = traces_class()(base.config)
    base.stack.callback(traces.stop)
    return traces


def traces_class() -> type[Traces]:
    """Import what traces calls. Raises StartError where its packages are missing."""
    try:
        from ledger.traces import Traces  # noqa: PLC0415 - it needs the extra `traces`
    except ModuleNotFoundError as error:
        if extra_of(error) != "traces":
            raise
        raise StartError(
            "traces_endpoint needs the extra traces: pip install 'fee-ledger[traces]', or leave traces_endpoint away"
        ) from error
    return Traces


def _start_writer(
    base: _Base, recorder: LedgerRecorder, lease: Lease, live: Live, traces: Traces | None
) -> WriterThread:
    """Start the thread that writes while it has the pen, and the one that follows the log while it has not.

    So a standby has little left to read when it gets the pen.
    """
    config, clock = base.config, base.clock
    limits = Limits(config.commit_statement_ms_max, config.lock_ms_max, base.patience)
    writer = Writer(base.dsn, recorder, lease=lease, silent_ms_max=config.writer_silent_ms_max, limits=limits)

    def new_term() -> Service:
        live.catch_up()
        check_clock(clock, live.head.recorded_time_ns, accepted=config.accept_clock)
        return begin_term(config, Log(writer), writer, clock.now_ns, live.take)

    def follow() -> None:
        if not lease.runs:
            live.catch_up()

    thread = WriterThread(config, writer, new_term, clock, base.keeper, traces)
    following = Pulse("following", config.standby_poll_ms, follow, lambda: None)
    following.start()
    base.stack.callback(following.stop)
    thread.start()
    base.stack.callback(thread.stop)
    return thread


def _start_tables(base: _Base) -> Runner:
    """Start the thread that keeps the materialised tables up with the log."""
    limits = Limits(patience=base.patience)  # a rebuild takes as long as it takes
    pool = open_datastore(base.dsn, base.config.schema, connections=2, limits=limits)  # a rebuild needs both
    datastore = base.stack.enter_context(pool)
    runner = Runner(Log(datastore), base.config.schema, lambda: connect(base.dsn, "projections", limits))
    runner.start()
    base.stack.callback(runner.stop)
    return runner


def _start_probe(base: _Base, recovered: Callable[[], None]) -> Probe:
    """Start the thread that knows whether PostgreSQL answers."""
    limits = Limits(probe.STATEMENT_MS_MAX, probe.STATEMENT_MS_MAX, base.patience)
    probing = Probe(lambda: connect(base.dsn, "probe", limits, probe.CONNECT_S_MAX), base.keeper, recovered)
    probing.start()
    base.stack.callback(probing.stop)
    return probing


def _start_server(
    base: _Base, reader: Reader, thread: WriterThread, live: Live, traces: Traces | None
) -> tuple[App, FillService, str]:
    """Answer calls, restate what is open, and run the evaluations that are due.

    Returns what answers, its fills, and where it listens.
    """
    config, stack = base.config, base.stack
    app = App(config, None if traces is None else traces.around)
    to_writer = ToWriter(config, thread, reader.ledger_id, base.clock)
    fills = FillService(to_writer, reader.log)
    commands = CommandRpcs(to_writer, LaterCommits(to_writer, reader.log))
    runs = EvaluationRuns(reader, config.schema)
    runner = EvaluationRunner(to_writer, runs)
    evaluating = {"RunEvaluation": partial(run_evaluation, commands, runner, progress_message)}
    fills.add_to(app.calls)
    controls = ControlsProcess(base.dsn, config)
    stack.callback(controls.stop)
    answers = read_answers(reader, config.schema, controls.page)
    add_services(app.calls, {**commands.answers(), **answers, **evaluating})
    address = app.listen()
    stack.callback(app.drain_and_stop, fills.stop)
    stack.callback(runner.stop)
    repricer = Repricer(to_writer, live.accounts_repriced, live.is_releasing)
    repricer.start()
    stack.callback(repricer.stop)
    if config.evaluate == "automatic":
        due = DueEvaluations(to_writer, runner, runs)
        due.start()
        stack.callback(due.stop)
    return app, fills, address


def _telling(systemd: Systemd, thread: WriterThread, live: Live) -> Callable[[str, str], None]:
    """Return what tells systemd what health has found."""

    def told(reads: str, writes: str) -> None:
        systemd.looks(reads, writes, stands_by=thread.stands_by, position=live.head.position)

    return told


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
        raise StartError(cannot_be_used(error)) from error
    return (_UNGUARDED,) if acts else ()


def _await_ledger(config: Config, log: Log, thread: WriterThread, stop: threading.Event) -> str:
    """Return the ledger's name, once a first term has begun here or elsewhere.

    It waits a little for the pen: else the first callers would be told that this process does not write.
    """
    poll_s, until_s = config.standby_poll_ms / 1000, time.monotonic() + _FIRST_ATTEMPT_S
    while not stop.is_set():
        if not thread.wait_for_first_attempt(poll_s) and time.monotonic() < until_s:
            continue
        if found := log.ledger_id():
            if config.ledger_id and config.ledger_id != found:
                raise StartError(f"this is the ledger {found}, not {config.ledger_id}: leave --ledger-id away")
            return found
        stop.wait(poll_s)
    raise StartError("stopped before a term began")
