"""Kill the ledger, its database and its engines while fills stream, and find every fill once, at its fee.

    .venv/bin/python -m scripts.torture [--trials N] [--seed S] [--minutes M]

Exit code 0: nothing missing, nothing twice, nothing wrong. 1: findings. 2: it could not run. 130: interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

try:
    import grpc

    from ledger.cli.arguments import Parser, number
    from ledger.client import LedgerError
    from scripts.torture.pause import Pause
    from scripts.torture.served import Served
    from scripts.torture.trial import KILLS, Outcome, TortureError, Trial
except ImportError as error:
    print(f"torture lacks packages ({error}): run `make tools`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_FINDINGS_SHOWN: Final = 10
_FRESH_EVERY: Final = 50
EPILOG: Final = """\
what happens in a trial:
  A service of its own process, on an embedded PostgreSQL in a temporary folder. Two engines stream at the same time,
  one rows and one columns; each writes down what it sends and what is acknowledged. One to three times, at random
  points, kill -9 hits the service, an engine, PostgreSQL, one backend of it, or several of them at once. What was
  killed starts again; engines go on behind GetSourcePosition or earlier, in other batches. Some fills are late, some
  are self-trades, some come twice, some are refused.
  Then everything is reckoned from what was sent, apart from the ledger's code, and compared: lines, fees, notionals,
  totals, running totals, positions, refusals, and what each acknowledgement has said.

examples:
  python -m scripts.torture                        20 trials
  python -m scripts.torture --trials 200           what a release is put through
  python -m scripts.torture --trials 1 --seed 17   the trial that failed, once more
  python -m scripts.torture --minutes 60 --trials 10000
  python -m scripts.torture --pause 30             what each side sees when the writer stands still

The log grows from trial to trial; every 50 trials begin with a new folder.

exit code 0: nothing missing, nothing twice, nothing wrong; 1: findings; 2: it could not run; 130: interrupted
"""


class Report:
    """What became of the trials so far."""

    def __init__(self, trials: int) -> None:
        self._trials = trials
        self._began_s = time.monotonic()
        self._kills = Counter[str]()
        self._sums = Counter[str]()
        self.failed: list[int] = []

    @property
    def done(self) -> int:
        """Trials."""
        return self._sums["trials"]

    def add(self, outcome: Outcome) -> None:
        """Count a trial, and tell of it in a line."""
        self._kills += outcome.kills
        self._sums["trials"] += 1
        for name in ("fills", "sent", "recorded", "refused", "missing", "twice", "wrong"):
            self._sums[name] += getattr(outcome, name)
        kills = ", ".join(f"{kind} x{times}" if times > 1 else kind for kind, times in outcome.kills.items() if times)
        verdict = "good" if not outcome.findings else f"{len(outcome.findings):,} FINDINGS"
        self._tell(
            f"seed {outcome.seed}: killed {kills or 'nothing'}; {outcome.fills:,} fills,"
            f" {outcome.sent - outcome.fills:,} resent, {outcome.recorded:,} recorded, {outcome.refused:,} refused,"
            f" {outcome.seconds:.1f} s: {verdict}"
        )
        if outcome.findings:
            self.fail(outcome.seed, outcome.findings)

    def fail(self, seed: int, findings: Sequence[str]) -> None:
        """Say what is wrong, and how to see it again."""
        self.failed.append(seed)
        for finding in findings[:_FINDINGS_SHOWN]:
            print(f"  {finding}")
        if len(findings) > _FINDINGS_SHOWN:
            print(f"  ... and {len(findings) - _FINDINGS_SHOWN:,} more")
        print(f"  again: python -m scripts.torture --trials 1 --seed {seed}", flush=True)

    def _tell(self, line: str) -> None:
        elapsed_s = time.monotonic() - self._began_s
        left_s = elapsed_s / self.done * (self._trials - self.done)
        print(f"{self.done:>4} of {self._trials}, {left_s / 60:.0f} min left, {line}", flush=True)

    def table(self) -> str:
        """Everything, name by name."""
        sums = self._sums
        rows = [
            ("trials", sums["trials"]),
            *((f"killed: {kind}", self._kills[kind]) for kind in KILLS),
            ("fills", sums["fills"]),
            ("fills resent", sums["sent"] - sums["fills"]),
            ("lines recorded", sums["recorded"]),
            ("fills refused", sums["refused"]),
            ("missing", sums["missing"]),
            ("twice", sums["twice"]),
            ("wrong", sums["wrong"]),
            ("trials that failed", len(self.failed)),
            ("minutes", round((time.monotonic() - self._began_s) / 60)),
        ]
        return "\n".join(f"{name:<30}{value:>12,}" for name, value in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    for name in _STOPPING:
        signal.signal(name, _interrupt)  # whoever ends it, nothing is left behind
    report = Report(options.trials)
    try:
        if options.pause:
            return _pause(options.pause)
        _run(options, report)
    except (TortureError, LedgerError, grpc.RpcError, OSError) as error:
        print(f"torture: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"torture: interrupted after {report.done} trials, nothing is left behind", file=sys.stderr)
        return 130
    print(report.table())
    return 1 if report.failed else 0


def _pause(pause_s: int) -> int:
    with throw_away_service() as served:
        findings = Pause(served, pause_s).run()
    for finding in findings:
        print(finding)
    print("all waited, and went on" if not findings else f"{len(findings)} FINDINGS")
    return 1 if findings else 0


def _run(options: argparse.Namespace, report: Report) -> None:
    """Trial after trial, on one service as long as all is well."""
    until_s = time.monotonic() + options.minutes * 60
    seeds = deque(range(options.seed, options.seed + options.trials))
    while seeds and time.monotonic() < until_s:
        with throw_away_service() as served:
            position, some = 0, min(_FRESH_EVERY, len(seeds))
            while some and position >= 0 and time.monotonic() < until_s:
                some -= 1
                position = _try(served, seeds.popleft(), position, options, report)


def _try(served: Served, seed: int, position: int, options: argparse.Namespace, report: Report) -> int:
    """One trial; the position it has compared the log up to, or -1: nothing should follow it."""
    folder = served.folder / f"trial-{seed}"
    folder.mkdir()
    try:
        outcome = Trial(served, folder, seed, options.fills).run(position)
    except (TortureError, LedgerError, grpc.RpcError) as error:
        report.fail(seed, [" ".join(str(error).split())])
        return -1
    report.add(outcome)
    return outcome.position if not outcome.findings else -1


@contextmanager
def throw_away_service() -> Iterator[Served]:
    """A service on a new folder; both are gone when the block ends, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-torture-"))
    if os.geteuid() == 0:
        folder.chmod(0o755)  # PostgreSQL runs as an unprivileged user, who must reach it
    served = Served(folder)
    try:
        served.start()
        yield served
    finally:
        for name in _STOPPING:
            signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C would leave PostgreSQL running
        served.stop()
        shutil.rmtree(folder, ignore_errors=True)
        for name in _STOPPING:
            signal.signal(name, _interrupt)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="torture",
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--trials", type=number(1, 1_000_000), default=20, metavar="N", help="how many (default %(default)s)")
    add("--seed", type=number(0, 999_999_999), default=1, metavar="S", help="of the first one (default %(default)s)")
    add("--minutes", type=number(1, 100_000), default=1_440, metavar="M", help="begin none after (default: a day)")
    add("--fills", type=number(100, 1_000_000), default=1_500, metavar="N", help="of each source (default %(default)s)")
    add("--pause", type=number(3, 600), default=0, metavar="SECONDS", help="in place of trials: PostgreSQL does nothing"
        " for the writer for so long, under two streams and 24 callers; a line every second")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
