"""`python -m projections --dsn ...`: the materialised tables kept by a process of their own."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

import psycopg
from eventsourcing.persistence import PersistenceError

from ledger.cli.errors import UNUSABLE, UnusableError, ended, tell
from ledger.clock import WallClock
from ledger.config import KNOBS, Config
from ledger.knobs.flags import add_flags
from ledger.knobs.knob import Origin
from ledger.knobs.settings import settings_of
from ledger.log_lines import log_as, log_on_stderr
from ledger.metrics.build import build_readings
from ledger.metrics.endpoint import EndpointError, Listening, listen_for_metrics
from ledger.metrics.looks import begin_metrics
from ledger.store.log import Log
from ledger.store.postgres.database import cannot_be_used, connect, open_datastore
from ledger.store.postgres.dsn import VARIABLE
from ledger.store.postgres.session import Limits
from ledger.visible import visible_output
from projections.readings import log_readings, runner_readings
from projections.tables.runner import Runner
from projections.tables.tables import read_schema

_log: Final = logging.getLogger("projections")

_KNOBS = ("dsn", "dsn_file", "schema", "metrics_listen", "log_format", "log_level", "stop_grace_ms")
_EPILOG = """\
example:
  python -m ledger serve --dsn postgresql://me@db/ledger --no-projections
  python -m projections --dsn postgresql://me@db/ledger

Of several processes on one ledger one works, the others wait for it to end. Exit code 0: stopped as asked. 2: it could
not start; one line says why.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return ended(lambda: _run(arguments), "projections", unusable=(psycopg.Error, PersistenceError))


def _run(arguments: Sequence[str] | None) -> int:
    log_on_stderr()
    with visible_output():
        return _follow(arguments)


def _follow(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m projections",
        description="Keep the materialised tables of a ledger up with its log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser, [KNOBS[name] for name in _KNOBS])
    settings = settings_of(parser.parse_args(arguments), _KNOBS)
    config = settings.config
    if not config.dsn:
        parser.error(f"say where the ledger's PostgreSQL is, in {VARIABLE} or by --dsn")
    log_as(config.log_format, config.log_level)
    is_json = config.log_format == "json"
    for line in settings.remarks:
        _log.warning("%s", line) if is_json else tell(0, f"projections: {line}")
    try:
        connect(config.dsn, "projections").close()
        asked = settings.by_knob["metrics_listen"].said.origin is not Origin.DEFAULT
        return follow(config, listen_for_metrics(config.metrics_listen, asked=asked))
    except (psycopg.Error, PersistenceError, EndpointError) as error:
        why = str(error) if isinstance(error, EndpointError) else cannot_be_used(error)
        if is_json:
            _log.error("%s", " ".join(why.split()))
            return UNUSABLE
        raise UnusableError(why) from error


def follow(config: Config, metrics: Listening) -> int:
    """Follow the log until SIGINT or SIGTERM."""
    dsn, schema = config.dsn, config.schema
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    limits = Limits()
    with open_datastore(dsn, schema, connections=2, limits=limits) as datastore:
        log = Log(datastore)
        runner = Runner(log, schema, lambda: connect(dsn, "projections", limits))
        runner.start()
        look = partial(log_readings, log, schema, WallClock().now_ns)
        stop_metrics = begin_metrics(
            metrics.endpoint, look, partial(build_readings, ""), partial(runner_readings, runner)
        )
        follows = f"the tables in {read_schema(schema)} follow the log of {schema}"
        print(f"{follows}. Ctrl-C stops this.\n{metrics.says}", flush=True)
        _log.info("%s", follows)
        _log.log(metrics.level, "%s", metrics.says)
        stop.wait()
        _log.info("stopping: finishing the batch under way ...")
        limits.patience.end_within(config.stop_grace_ms / 1000)
        stop_metrics()
        runner.stop()
    _log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
