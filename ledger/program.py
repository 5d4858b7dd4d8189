"""The command line `fee-ledger`, and the process of its service."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Final

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger import cli, programmes
from ledger.cli.arguments import Parser
from ledger.cli.errors import UNUSABLE, tell
from ledger.clock import ClockLeapError
from ledger.composition import Running, StartError, running, traces_class
from ledger.config import Config
from ledger.domain.events import POSITION_MAX
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.knobs.knob import Origin
from ledger.knobs.settings import settings_of
from ledger.log_lines import log_as, log_on_stderr
from ledger.memory import few_arenas
from ledger.metrics.endpoint import EndpointError, Listening, listen_for_metrics
from ledger.processors import keep_to
from ledger.server.app import ListenError
from ledger.store.postgres.database import DatabaseError, cannot_be_used, connect
from ledger.store.postgres.embedded import ROLES, EmbeddedError, EmbeddedPostgres
from ledger.store.postgres.folders import default_folder, earlier_folder
from ledger.store.postgres.keeper import Keeper, NoKeeper
from ledger.store.postgres.migrate import MigrationError
from ledger.store.postgres.roles import ensure_roles
from ledger.systemd import Systemd
from ledger.tools import TOOLS
from ledger.tools.config import knob_flags
from ledger.visible import visible_output

_log: Final = logging.getLogger("ledger")

RUN: Final = cli.Group("run")

_REFUSES_TO_START: Final = (
    StartError,
    ClockLeapError,
    EmbeddedError,
    ListenError,
    EndpointError,
    MigrationError,
    DatabaseError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""

    def work() -> int:
        log_on_stderr()
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
    config = settings.config
    log_as(config.log_format, config.log_level)
    for line in settings.remarks:
        _remark(config, line)
    try:
        asked = settings.by_knob["metrics_listen"].said.origin is not Origin.DEFAULT
        return serve(config, metrics_asked=asked)
    except _REFUSES_TO_START as error:
        return _unserved(config, str(error))
    except (psycopg.Error, PersistenceError) as error:
        return _unserved(config, cannot_be_used(error))


def _remark(config: Config, line: str) -> None:
    """Tell on stderr what somebody should look at."""
    if config.log_format == "json":
        _log.warning("%s", line)
    else:
        tell(0, f"fee-ledger: {line}")


def _unserved(config: Config, why: str) -> int:
    """Tell on stderr, in one line, why the service ends; return the exit code."""
    if config.log_format == "json":
        _log.error("%s", " ".join(why.split()))
        return UNUSABLE
    raise cli.UnusableError(why)


def _say(config: Config, line: str, level: int = logging.INFO) -> None:
    """Print a line for people, and log it for programs, which do not read stdout."""
    print(line, flush=True)
    if config.log_format == "json":
        _log.log(level, "%s", line)


def serve(config: Config, *, metrics_asked: bool = True) -> int:
    """Run the service until SIGINT or SIGTERM.

    Unless `metrics_asked`, nobody has named their address, and it serves without them where that is taken.
    """
    _spare_memory_and_time(config)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    if config.traces_endpoint:
        traces_class()  # what is missing is told before anything starts
    systemd = Systemd.of(os.environ)
    systemd.starts()
    with ExitStack() as stack:
        metrics = listen_for_metrics(config.metrics_listen, asked=metrics_asked)
        if metrics.endpoint is not None:
            stack.callback(metrics.endpoint.stop)
        dsn, owner_dsn, place, keeper = _store(config, stack, stop)
        serving = running(
            config, dsn, owner_dsn=owner_dsn, keeper=keeper, stop=stop, systemd=systemd, endpoint=metrics.endpoint
        )
        ledger = stack.enter_context(serving)
        _say_that_it_serves(config, ledger, place, metrics, keeper.remarks)
        stop.wait()
        systemd.stops()
        _say(config, "stopping: finishing what is under way ...")
    _say(config, "stopped.")
    return 0


def _spare_memory_and_time(config: Config) -> None:
    """Set allocator, garbage collector and processors as the service needs them."""
    few_arenas()
    # States are trees, not rings: to walk over all of them again and again took a third of an ingest, a look at the
    # young ones takes a twentieth. Calls leave no rings behind either, so the old ones are hardly ever looked at.
    gc.freeze()
    gc.set_threshold(50_000, 10, 1_000)
    keep_to(config.processors)


def _say_that_it_serves(
    config: Config, ledger: Running, place: str, metrics: Listening, remarks: Iterable[str]
) -> None:
    """Say where which ledger is served, and what somebody should look at."""
    if ledger.new:
        _say(config, f"a new ledger begins: {ledger.ledger_id}, {place}")
    _say(
        config,
        f"fee ledger {ledger.ledger_id} is serving on {ledger.address}"
        f" (position {ledger.log.head().position}, {place}). Ctrl-C stops it.",
    )
    _say(config, metrics.says, metrics.level)
    book = fold_rulebook(programmes.parse, ledger.log.rulebook(POSITION_MAX))
    for line in (*remarks, *ledger.lines, *fixture_lines(book, time.time_ns())):
        _say(config, line, logging.WARNING)


def _store(config: Config, stack: ExitStack, stop: threading.Event) -> tuple[str, str, str, Keeper]:
    """Start the embedded PostgreSQL, unless one is given.

    Returns (DSN, DSN by which the schema is brought up to date, where that is, who looks after it); the second DSN is
    empty for a PostgreSQL that is given.
    """
    if config.dsn:
        return config.dsn, "", "your PostgreSQL", NoKeeper()
    folder = config.data or default_folder()
    if not config.data and (earlier := earlier_folder()):
        line = f"not opened: the ledger in {earlier}, where release 0.1.0 kept it; `serve --data {earlier}` opens it"
        _say(config, line, logging.WARNING)
    postgres = EmbeddedPostgres(folder, stop)
    dsn = postgres.start(f"the service with pid {os.getpid()} on {config.listen}")
    stack.callback(postgres.stop)
    with connect(postgres.superuser_dsn, "start") as connection:
        ensure_roles(connection, config.schema, ROLES)
    return dsn, postgres.superuser_dsn, f"PostgreSQL {postgres.version}, data in {folder}", postgres


def fixture_lines(book: Rulebook, at_ns: int) -> list[str]:
    """Return a line for each programme whose example base rates are in force at an instant: nobody decided on them."""
    return [
        f"the base rates of {programme.programme_id} {programme.version} are an example, and they are charged: set your"
        " own in what `fee-ledger programme print` says, without `fixture`, and publish that as a new version"
        for programme in book.in_force(at_ns)
        if programmes.is_fixture(programme, book.contents[programme.programme_id, programme.version])
    ]
