"""A tour of the ledger: a small exchange lives through 90 days, and then the ledger is asked about them.

    make demo
    .venv/bin/python -m scripts.demo [--days 90] [--fills 30000] [--seed 7] [--keep FOLDER]

Exit code 0: done. 1: the ledger answered what it should not. 2: it could not start. 130: interrupted.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

try:
    import grpc
    import psycopg
    from eventsourcing.persistence import PersistenceError

    from ledger.cli.errors import ended
    from ledger.client import Client
    from ledger.clock import WallClock
    from ledger.composition import StartError, running
    from ledger.config import Config
    from ledger.domain.instants import DAY_NS
    from ledger.log_lines import log_on_stderr
    from ledger.server.app import ListenError
    from ledger.store.postgres.database import DatabaseError
    from ledger.store.postgres.embedded import EmbeddedError, EmbeddedPostgres
    from ledger.store.postgres.migrate import MigrationError
    from scripts.demo.exchange import BEGIN_NS, Exchange
    from scripts.demo.play import ACTOR, UnexpectedError, play
    from scripts.demo.report import Report
    from scripts.demo.story import Story
except ImportError as error:
    print(f"demo lacks packages ({error}): run `make demo`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

UNUSABLE_STORE: Final = (
    StartError, EmbeddedError, ListenError, MigrationError, DatabaseError, psycopg.Error, PersistenceError,
    grpc.RpcError,
)  # fmt: skip

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)

EPILOG: Final = """\
what happens:
  A ledger starts on a PostgreSQL of its own, in a temporary folder that is removed at the end, also on Ctrl-C; with
  --keep FOLDER it stays there, for `fee-ledger serve --data FOLDER`, `fee-ledger audit --data FOLDER` and the like.
  Its clock is the demo's, so 90 days pass in seconds. Everything goes over gRPC, as in production: fills from a
  source that numbers them, trials, tiers, bans, flags, a match, applications, bounties, a promotion, daily closes of
  BTC, and evaluations on the 8th, 18th and 28th, planned first and then run by two persons. At the end states,
  histories and controls are asked, every sum and every evaluated volume is reckoned again, and the answers are
  printed.

what to look for:
  alba      her trial ends by itself after 30 days, and her volume keeps the tier; later she trades less
  alba.bot  gets no trial: once for life per owner; flagged as a robot its grants do not count, unflagged they do
  brook     a market maker, paid for trading; of several grants the best one counts, and revoked, leaves the others
  cedar     a ban on measured evidence leaves the tier alone, but what is traded meanwhile does not count
  dune      trades much, then hardly at all: the tier goes as its grants end; a ban is served to its end
  ember     a tier given on one day and valid from an earlier one: fees already charged stay, late fills get it
  fjord     applies, and has the rates of another exchange matched for 30 days; then the own volume counts
  grove     grows from tier to tier; once a close of BTC is missing, and with it the evaluation of grove and brook

The story is written for 90 days, other lengths stretch it. The same seed prints the same, to the byte.
"""


class Clock:
    """The ledger's clock: it stands still until the story goes on."""

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS

    def __call__(self) -> int:
        return self.now_ns

    def set(self, now_ns: int) -> None:
        """Never backwards."""
        assert now_ns >= self.now_ns
        self.now_ns = now_ns


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    return ended(lambda: _run(options), "demo", unusable=UNUSABLE_STORE)


def _run(options: argparse.Namespace) -> int:
    log_on_stderr(logging.WARNING, "%(levelname)s %(message)s")
    for name in STOPPING:
        signal.signal(name, _interrupt)
    try:
        with _kept_store(options.keep) if options.keep else _throw_away_store() as dsn:
            text = tell(Exchange(options.days, options.fills, options.seed), dsn)
    except UnexpectedError as error:
        _say(f"demo: {' '.join(str(error).split())}")
        return 1
    except KeyboardInterrupt:
        _say("demo: interrupted, " + ("half a story is kept" if options.keep else "nothing is left behind"))
        return 130
    finally:
        _progress("")
    print(text)
    return 0


def tell(exchange: Exchange, dsn: str) -> str:
    """Play the exchange on a new ledger, and report on it."""
    clock = Clock()
    config = Config(listen="127.0.0.1:0", ledger_id="demo", drain_ms=0)
    _progress("starting the ledger ...")
    watched = WallClock(clock, clock)  # no clock beside it: it moves as the story does
    with running(config, dsn, clock=watched) as service, grpc.insecure_channel(service.address) as channel:
        ledger = Client(actor=ACTOR, channel=channel)
        played = play(Story(exchange).steps(), ledger, clock.set, _shown(exchange.days))
        clock.set(exchange.end_ns)
        _progress("asking the ledger ...")
        text = Report(exchange, played, ledger).text()
    _progress("")
    return text


@contextmanager
def _throw_away_store() -> Iterator[str]:
    """A PostgreSQL of our own; nothing is left of it when the block ends, however it ends."""
    _progress("starting a PostgreSQL of its own ...")
    folder = Path(tempfile.mkdtemp(prefix="ledger-demo-"))
    try:
        with _stopped(EmbeddedPostgres(folder)) as dsn:
            yield dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _kept_store(folder: Path) -> Iterator[str]:
    """A PostgreSQL in a folder that there was not: the story begins with its ledger."""
    if folder.exists():
        raise StartError(f"{folder} is there already: --keep needs a new folder")
    _progress("starting a PostgreSQL of its own ...")
    with _stopped(EmbeddedPostgres(folder)) as dsn:
        yield dsn


@contextmanager
def _stopped(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A PostgreSQL that no signal leaves running."""
    try:
        yield postgres.start("the demo")
    finally:
        for name in STOPPING:
            signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C would leave it running
        postgres.stop()


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _shown(days: int) -> Callable[[int, int], None]:
    def show(time_ns: int, fills: int) -> None:
        _progress(f"day {min(days, (time_ns - BEGIN_NS) // DAY_NS + 1)} of {days}, {fills:,} fills")

    return show


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    _progress("")
    print(line, file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="demo",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--days", type=_count(10, 120), default=90, metavar="N", help="10 to 120 (default %(default)s)")
    add("--fills", type=_count(200, 200_000), default=30_000, metavar="N", help="200 to 200000 (default %(default)s)")
    add("--keep", type=Path, metavar="FOLDER", help="a new folder that the ledger stays in (default: none)")
    add("--seed", type=_count(0, 999_999_999), default=7, metavar="N", help="another market (default %(default)s)")
    return parser


def _count(least: int, most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!a} is not a number from {least} to {most}")
        return int(text)

    return count


if __name__ == "__main__":
    sys.exit(main())
