"""The command line, and the composition root: the only module that sees every floor."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Final

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger import cli, programmes
from ledger.cli.arguments import Parser
from ledger.cli.errors import tell
from ledger.clock import ClockLeapError, WallClock, check_clock, check_other_clock, lines_at_start
from ledger.config import Config
from ledger.domain.events import POSITION_MAX, Event, LedgerCreated, ProgrammePublished, Recorded, WriterStarted
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.rules import RULES_VERSION
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import LEDGER, programme_stream
from ledger.knobs.settings import settings_of
from ledger.log_lines import log_on_stderr
from ledger.memory import few_arenas
from ledger.processors import keep_to
from ledger.server import probe
from ledger.server.app import App, ListenError
from ledger.server.command_rpc import CommandRpcs
from ledger.server.evaluation_runner import DueEvaluations, EvaluationRunner
from ledger.server.evaluations import run_evaluation
from ledger.server.fills.service import FillService
from ledger.server.probe import Probe
from ledger.server.services import add_services
from ledger.server.to_writer import ToWriter
from ledger.store.lease import Lease
from ledger.store.log import Head, Log
from ledger.store.migration import migrate, missing_migrations, owner_of
from ledger.store.postgres.callers import CallersConnections
from ledger.store.postgres.database import (
    DatabaseError,
    check_connections,
    check_durable,
    connect,
    open_datastore,
    store_clock_ns,
)
from ledger.store.postgres.embedded import ROLES, EmbeddedError, EmbeddedPostgres
from ledger.store.postgres.folders import default_folder, earlier_folder
from ledger.store.postgres.keeper import Keeper, NoKeeper
from ledger.store.postgres.migrate import MigrationError
from ledger.store.postgres.roles import have_roles, roles_sql
from ledger.store.postgres.session import Limits, Patience
from ledger.store.recorder import LedgerRecorder
from ledger.store.writer import Writer
from ledger.tools import TOOLS
from ledger.tools.config import knob_flags
from ledger.tools.progress import ProgressBar
from ledger.visible import visible_output
from ledger.writing.pulse import Pulse
from ledger.writing.service import Service
from ledger.writing.writer_thread import WriterThread
from projections.as_of import Reader
from projections.evaluation.messages import progress_message
from projections.evaluation.runs import EvaluationRuns
from projections.live import Live
from projections.services import read_answers
from projections.tables.runner import Runner

_log: Final = logging.getLogger("ledger")

RUN: Final = cli.Group("run")

_UNGUARDED: Final = (
    "it runs as the owner of the log, who can change what is recorded: `fee-ledger database roles` prints the SQL that"
    " gives owner, service and readers roles of their own"
)


class StartError(Exception):
    """Why the service cannot start: one line with the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""

    def work() -> int:
        log_on_stderr()
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it tells of every lost connection at length
        with visible_output():
            return cli.run(parser().parse_args(arguments))

    return cli.ended(work)


def parser() -> Parser:
    """The parser of `fee-ledger` with every subcommand."""
    return cli.program((*cli.GROUPS, TOOLS, RUN, cli.SHELL))


@RUN.add(
    "serve",
    "run the service",
    "serve",
    "serve --data /srv/ledger",
    "serve --dsn postgresql://me@db/ledger",
    parents=(knob_flags,),
    notes="Every knob is an option, a variable such as FEE_LEDGER_LEASE_MS, and a line of a TOML file, such as\n"
    "lease_ms = 750; that is their precedence. `fee-ledger config show` tells which is set, and by whom.\n\n"
    "exit code 0: stopped as asked; 2: it could not start, and one line says why",
)
def _serve(options: cli.Options) -> int:
    settings = settings_of(options)
    tell(0, *(f"fee-ledger: {line}" for line in settings.remarks))
    try:
        return serve(settings.config)
    except (StartError, ClockLeapError, EmbeddedError, ListenError, MigrationError, DatabaseError) as error:
        raise cli.UnusableError(str(error)) from error
    except (psycopg.Error, PersistenceError) as error:
        raise cli.UnusableError(f"PostgreSQL cannot be used: {error}") from error


def serve(config: Config) -> int:
    """Run the service until SIGINT or SIGTERM."""
    few_arenas()
    # States are trees, not rings: to walk over all of them again and again took a third of an ingest, a look at the
    # young ones takes a twentieth. Calls leave no rings behind either, so the old ones are hardly ever looked at.
    gc.freeze()
    gc.set_threshold(50_000, 10, 1_000)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    keep_to(config.processors)
    with ExitStack() as stack:
        dsn, owner_dsn, place, keeper = _store(config, stack, stop)
        ledger = stack.enter_context(running(config, dsn, owner_dsn=owner_dsn, keeper=keeper, stop=stop))
        if ledger.new:
            print(f"a new ledger begins: {ledger.ledger_id}, {place}")
        print(
            f"fee ledger {ledger.ledger_id} is serving on {ledger.address}"
            f" (position {ledger.log.head().position}, {place}). Ctrl-C stops it.",
            flush=True,
        )
        for line in (*keeper.remarks, *ledger.lines):
            print(line, flush=True)
        for line in fixture_lines(fold_rulebook(programmes.parse, ledger.log.rulebook(POSITION_MAX)), time.time_ns()):
            print(line, flush=True)
        stop.wait()
        print("stopping: finishing what is under way ...", flush=True)
    print("stopped.", flush=True)
    return 0


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
) -> Iterator[Running]:
    """The whole service over a PostgreSQL, until the block ends. Setting `stop` ends a start that still waits.

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
        silent_ms_max = config.writer_silent_ms_max
        writer = Writer(dsn, LedgerRecorder(datastore), lease=lease, silent_ms_max=silent_ms_max, limits=committing)
        live = Live(log, account_bytes_max=config.account_state_bytes_max)

        def new_term() -> Service:
            live.catch_up()
            check_clock(clock, live.head.recorded_time_ns, accepted=config.accept_clock)
            return begin_term(config, Log(writer), writer, clock.now_ns, live.take)

        thread = WriterThread(config, writer, new_term, clock, keeper)
        stack.callback(_start_following(config, lease, live).stop)
        thread.start()
        stack.callback(thread.stop)
        ledger_id = _await_ledger(config, log, thread, stop or threading.Event())
        if config.projections:
            stack.callback(_start_projections(config, dsn, stack, patience).stop)
        probing = _start_probe(dsn, stack, patience, keeper, thread.retry)
        app = App(config)
        to_writer = ToWriter(config, thread, ledger_id, clock)
        reader = Reader(config, log, live, ledger_id, clock.now_ns, lambda: lease.runs)
        runs = EvaluationRuns(reader, config.schema)
        runner = EvaluationRunner(to_writer, runs)
        fills = FillService(to_writer, log)
        fills.add_to(app.server)
        commands = CommandRpcs(to_writer)
        evaluating = {"RunEvaluation": partial(run_evaluation, commands, runner, progress_message)}
        add_services(app.server, {**commands.answers(), **read_answers(reader, config.schema), **evaluating})
        address = app.listen()
        stack.callback(app.drain_and_stop, fills.stop)
        stack.callback(runner.stop)
        app.health.start(lambda: probing.fault, lambda: thread.fault, lambda: "its clock leaps" if clock.leaped else "")
        if config.evaluate == "automatic":
            due = DueEvaluations(to_writer, runner, runs)
            due.start()
            stack.callback(due.stop)
        stack.callback(patience.end_within, config.stop_grace_ms / 1000)
        lines = lines_at_start(before.recorded_time_ns, now_ns) if before.position else ()
        yield Running(ledger_id, address, log, not before.position, (*lines, *unguarded))


def fixture_lines(book: Rulebook, at_ns: int) -> list[str]:
    """Return a line for each programme whose example base rates are in force at an instant: nobody decided on them."""
    return [
        f"the base rates of {programme.programme_id} {programme.version} are an example, and they are charged: set your"
        " own in what `fee-ledger programme print` says, without `fixture`, and publish that as a new version"
        for programme in book.in_force(at_ns)
        if programmes.is_fixture(programme, book.contents[programme.programme_id, programme.version])
    ]


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


def _separate(superuser_dsn: str, schema: str) -> None:
    """Give the ledger in an embedded PostgreSQL its roles, also one that release 0.1.0 made."""
    try:
        with connect(superuser_dsn, "start") as connection:
            if not have_roles(connection, schema, ROLES):
                connection.execute(roles_sql(schema, ROLES).encode())
    except psycopg.Error as error:
        raise _unusable(error) from error


def _prepare(config: Config, dsn: str, clock: WallClock, owner_dsn: str) -> tuple[str, ...]:
    """Check the database, its clock where it may be another one, and bring the schema up to date.

    Returns a line if it is the owner of the log that is to serve.
    """
    try:
        with connect(dsn, "start") as connection:
            check_durable(connection)
            check_connections(connection, _connections(config))
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
                progress = ProgressBar()
                with connect(owner_dsn or dsn, "migration") as migrating:
                    migrate(migrating, config.schema, clock_ns=clock.now_ns, show=progress.show)
                progress.clear()
    except psycopg.Error as error:
        raise _unusable(error) from error
    return (_UNGUARDED,) if acts else ()


def _unusable(error: Exception) -> StartError:
    return StartError(f"PostgreSQL cannot be used: {' '.join(str(error).split())}")


def _connections(config: Config) -> int:
    """How many the service has at most: of readers, the writer and the probe, and four where it keeps the tables."""
    return config.read_connections + 2 + (4 if config.projections else 0)


def begin_term(
    config: Config,
    log: Log,
    writer: Writer,
    clock_ns: Callable[[], int],
    publish: Callable[[Head, Sequence[Recorded]], None] = lambda _, __: None,
) -> Service:
    """A service with the pen: the log's first events if there are none, and WriterStarted."""
    ledger = log.ledger()
    events: list[tuple[str, Event]] = []
    created = next((recorded.event for recorded in ledger if isinstance(recorded.event, LedgerCreated)), None)
    if created is None:
        events.append((LEDGER, LedgerCreated(config.ledger_id or f"ledger-{uuid.uuid4().hex[:12]}")))
    terms = [recorded.event.term for recorded in ledger if isinstance(recorded.event, WriterStarted)]
    term = max(terms, default=0) + 1
    events.append((LEDGER, WriterStarted(term, version("fee-ledger"), RULES_VERSION, keeps_requests=True)))
    if not log.rulebook(POSITION_MAX):
        events.append(_packaged_programme())
    service = Service(
        log,
        writer,
        term=term,
        day_bytes_max=config.account_day_bytes_max,
        account_bytes_max=config.account_state_bytes_max,
        publish=publish,
    )
    service.start(events, clock_ns())
    return service


def _packaged_programme() -> tuple[str, ProgrammePublished]:
    content = programmes.packaged()
    programme = programmes.parse(content)
    event = ProgrammePublished(
        programme_id=programme.programme_id,
        version=programme.version,
        valid_from_ns=BEGINNING_NS,
        content=content,
        content_sha256=sha256(content.encode()).digest(),
    )
    return programme_stream(programme.programme_id), event


def _store(config: Config, stack: ExitStack, stop: threading.Event) -> tuple[str, str, str, Keeper]:
    """(DSN, DSN by which the schema is brought up to date, where that is, who looks after it).

    The PostgreSQL is the embedded one, or the one given; for that the second DSN is empty.
    """
    if config.dsn:
        return config.dsn, "", "your PostgreSQL", NoKeeper()
    folder = config.data or default_folder()
    if not config.data and (earlier := earlier_folder()):
        print(f"not opened: the ledger in {earlier}, where release 0.1.0 kept it; `serve --data {earlier}` opens it")
    postgres = EmbeddedPostgres(folder, stop)
    dsn = postgres.start(f"the service with pid {os.getpid()} on {config.listen}")
    stack.callback(postgres.stop)
    _separate(postgres.superuser_dsn, config.schema)
    return dsn, postgres.superuser_dsn, f"data in {folder}", postgres


def _await_ledger(config: Config, log: Log, thread: WriterThread, stop: threading.Event) -> str:
    """The ledger's name, once a first term has begun here or elsewhere."""
    while not stop.is_set():
        writing = thread.wait_until_writing(config.standby_poll_ms / 1000)
        for recorded in log.ledger():
            if isinstance(recorded.event, LedgerCreated):
                found = recorded.event.ledger_id
                if config.ledger_id and config.ledger_id != found:
                    raise StartError(f"this is the ledger {found}, not {config.ledger_id}: leave --ledger-id away")
                if not writing:
                    _log.info("another process writes this ledger: standing by, serving reads")
                return found
    raise StartError("stopped before a term began")


if __name__ == "__main__":
    sys.exit(main())
