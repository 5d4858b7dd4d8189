"""Kill the ledger, its database and its engines while fills stream, and find every fill once, at its fee.

    .venv/bin/python -m scripts.torture [--faults NAME,...] [--trials N] [--seed S] [--results FILE]

Exit code 0: nothing missing, twice, wrong, stale or too slow. 1: findings. 2: it could not run. 130: interrupted.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

try:
    import grpc

    from ledger.cli.arguments import Parser, number
    from ledger.cli.errors import ended
    from ledger.client import LedgerError
    from ledger.config import Config
    from ledger.store.postgres.embedded import EmbeddedError
    from scripts.torture.disk import may_mount
    from scripts.torture.engine import TortureError
    from scripts.torture.fault_trial import FaultTrial
    from scripts.torture.faults import FAULTS
    from scripts.torture.kills import KILLS, KillTrial
    from scripts.torture.network import may_have_networks
    from scripts.torture.pause import Pause
    from scripts.torture.report import Report
    from scripts.torture.served import Served
    from scripts.torture.stage import Stage, stage, temporary_folder
    from scripts.torture.trial import Trial
except ImportError as error:
    print(f"torture lacks packages ({error}): run `make tools`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_FRESH_EVERY: Final = 50
_FRESH_DISK_EVERY: Final = 5  # it is small
_GROUPS: Final = {"kill": [*KILLS], "all": [*KILLS, *FAULTS]}
_ABOUT: Final = "\n".join(f"  {name:<16}{fault.about}" for name, fault in FAULTS.items())
EPILOG: Final = f"""\
what happens in a trial:
  Two engines stream at the same time, one rows and one columns; each writes down what it sends and what is
  acknowledged. Some fills are late, some are self-trades, some come twice, some are refused. At random points
  something bad is done; engines go on where GetSourcePosition says, or earlier, in other batches. Then everything is
  reckoned from what was sent, apart from the ledger's code, and compared: lines, fees, notionals, totals, running
  totals, positions, refusals, and what each acknowledgement has said.

  {", ".join(KILLS)}:
  A service with its PostgreSQL in a temporary folder. One to three times, kill -9 hits what the name says.

  All other faults: two services, of which one writes, over one PostgreSQL. One fault in each trial. Callers ask both
  services all the time: an answer, or a refusal, by a state that was overtaken when the call began is stale.
{_ABOUT}

examples:
  python -m scripts.torture                        20 trials of kill -9
  python -m scripts.torture --trials 200           what a release is put through
  python -m scripts.torture --trials 1 --seed 17   the trial that failed, once more
  python -m scripts.torture --faults freeze,cut,vanish --trials 5
  python -m scripts.torture --faults all --trials 500 --minutes 480 --results nights.jsonl
                                                   a night; the next one goes on where it ended
  python -m scripts.torture --pause 30             what each side sees when the writer stands still

The log grows from trial to trial; every 50 trials begin with a new folder.

exit code 0: nothing missing, twice, wrong, stale or too slow; 1: findings; 2: it could not run; 130: interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    lost = (TortureError, EmbeddedError, grpc.RpcError, subprocess.SubprocessError)
    return ended(lambda: _run_all(options), "torture", refused=2, unusable=lost)


def _run_all(options: argparse.Namespace) -> int:
    for name in _STOPPING:
        signal.signal(name, _interrupt)  # whoever ends it, nothing is left behind
    report = Report(options.results)
    try:
        if options.pause:
            return _pause(options.pause)
        report.resume()
        until_s = time.monotonic() + options.minutes * 60
        for trials in _plan(options):
            _run(trials, report, until_s)
    except KeyboardInterrupt:
        print(f"torture: interrupted after {report.done} trials, nothing is left behind", file=sys.stderr)
        return 130
    if not report.done:
        raise TortureError("no trial was done")
    print(report.table())
    return 1 if report.failed else 0


def _pause(pause_s: int) -> int:
    with throw_away_service() as served:
        findings = Pause(served, pause_s).run()
    for finding in findings:
        print(finding)
    print("all waited, and went on" if not findings else f"{len(findings)} FINDINGS")
    return 1 if findings else 0


class Trials(NamedTuple):
    """Trials that are done to the same services."""

    begin: Callable[[], AbstractContextManager[Any]]  # the services
    trial: Callable[[Any, Path, str, int], Trial]  # of a name and a seed
    order: Sequence[tuple[str, int]]  # names and seeds
    fresh_every: int  # then the services begin anew


def _plan(options: argparse.Namespace) -> Iterator[Trials]:
    """Yield what is to be done, seed after seed; say so where a fault cannot be done here."""
    seeds, fills = range(options.seed, options.seed + options.trials), options.fills
    if kills := [name for name in options.faults if name in KILLS]:
        name = "kill" if kills == [*KILLS] else ",".join(kills)
        trial = partial(_kill_trial, fills, kills)
        yield Trials(throw_away_service, trial, [(name, seed) for seed in seeds], _FRESH_EVERY)
    faults = [name for name in options.faults if name in FAULTS and _can_be_done(name)]
    for networks, disk in ((False, False), (True, False), (False, True)):
        names = [name for name in faults if (FAULTS[name].networks, FAULTS[name].disk) == (networks, disk)]
        begin = partial(stage, networks=networks and may_have_networks(), disk=disk, silent_ms_max=options.silent_ms)
        order = [(name, seed) for seed in seeds for name in names]
        yield Trials(begin, partial(_fault_trial, fills), order, _FRESH_DISK_EVERY if disk else _FRESH_EVERY)


def _can_be_done(name: str) -> bool:
    fault = FAULTS[name]
    if fault.disk and not may_mount():
        print(f"{name}: NOT DONE, only root can mount a small disk", flush=True)
        return False
    if fault.networks and not may_have_networks():
        print(f"{name}: through a proxy, only root can have network namespaces", flush=True)
    return True


def _kill_trial(fills: int, kills: Sequence[str], served: Served, folder: Path, _: str, seed: int) -> Trial:
    return KillTrial(served, folder, seed, fills, kills)


def _fault_trial(fills: int, on: Stage, folder: Path, name: str, seed: int) -> Trial:
    return FaultTrial(on, folder, seed, fills, name)


def _run(trials: Trials, report: Report, until_s: float) -> None:
    """Trial after trial, on the same services as long as all is well."""
    order = deque(each for each in trials.order if not report.knows(*each))
    while order and time.monotonic() < until_s:
        with trials.begin() as on:
            position, some = 0, min(trials.fresh_every, len(order))
            while some and position >= 0 and time.monotonic() < until_s:
                some -= 1
                position = _try(trials, on, *order.popleft(), position, report)


def _try(trials: Trials, on: Served | Stage, name: str, seed: int, position: int, report: Report) -> int:
    """Do one trial; return the position it has compared the log up to, or -1: nothing should follow it."""
    folder = on.folder / f"{name}-{seed}"
    folder.mkdir()
    try:
        outcome = trials.trial(on, folder, name, seed).run(position)
    except (TortureError, LedgerError, EmbeddedError, grpc.RpcError) as error:
        report.fail(name, seed, [" ".join(str(error).split())])
        return -1
    report.add(name, outcome)
    return outcome.position if not outcome.findings else -1


@contextmanager
def throw_away_service() -> Iterator[Served]:
    """Yield a service on a new folder; both are gone when the block ends, however it ends."""
    with temporary_folder() as folder:
        served = Served(folder)
        try:
            served.start()
            yield served
        finally:
            served.stop()


def _interrupt(*_: Any) -> NoReturn:
    for name in _STOPPING:
        signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C would leave PostgreSQL running
    raise KeyboardInterrupt


def _faults(text: str) -> list[str]:
    """Read names of faults, `kill` for all of KILLS, or `all`."""
    known = [*KILLS, *FAULTS]
    names = [name.strip() for name in text.split(",")]
    wanted = {each for name in names for each in _GROUPS.get(name, [name])}
    if unknown := wanted.difference(known):
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is no fault: give some of {', '.join([*_GROUPS, *known])}")
    return [name for name in known if name in wanted]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="torture",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--trials",
        type=number(1, 1_000_000),
        default=20,
        metavar="N",
        help="how many of each fault (default %(default)s)",
    )
    add("--seed", type=number(0, 999_999_999), default=1, metavar="S", help="of the first one (default %(default)s)")
    add("--minutes", type=number(1, 100_000), default=1_440, metavar="M", help="begin none after (default: a day)")
    add("--fills", type=number(100, 1_000_000), default=1_500, metavar="N", help="of each source (default %(default)s)")
    add("--pause", type=number(3, 600), default=0, metavar="SECONDS", help="in place of trials: PostgreSQL does nothing"
        " for the writer for so long, under two streams and 24 callers; a line every second")  # fmt: skip
    add("--faults", type=_faults, default=list(KILLS), metavar="NAME,...", help="which; all: every one (default: kill)")
    add("--results", type=Path, metavar="FILE", help="add a JSON line for each trial; those in it are not done again")
    add("--silent-ms", type=number(500, 60_000), default=Config().writer_silent_ms_max, metavar="MS",
        help="writer_silent_ms_max of two services (default %(default)s)")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
