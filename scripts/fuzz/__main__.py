"""Look for bytes that the codecs, the readers of fills and of programme files, or the bounds of lists stumble over.

    .venv/bin/python -m scripts.fuzz [--target NAME] [--seconds S] [--seed N] [--found FOLDER]

Exit code 0: nothing found. 1: an input that a target stumbles over, which is kept. 2: it could not run.
130: interrupted.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

try:
    import atheris

    with atheris.instrument_imports(include=["ledger", "tomllib"]):
        from scripts.fuzz.targets import TARGETS, seeds
except ImportError as error:
    print(f"fuzz lacks packages ({error}): .venv/bin/python -m pip install atheris", file=sys.stderr)
    sys.exit(2)

_FOUND: Final = 77  # how libFuzzer ends when a target has failed
_BYTES_MAX: Final = 8_192
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = _parse(arguments)
    if options.run is not None:
        return _run(options.target, options.run)
    names = [options.target] if options.target else list(TARGETS)
    options.found.mkdir(parents=True, exist_ok=True)
    try:
        codes = [_fuzz(name, options.seconds // len(names), options.seed, options.found) for name in names]
    except KeyboardInterrupt:
        return 130
    return max(codes)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--target", choices=list(TARGETS), help="only this one (default: each has its share of the time)"
    )
    parser.add_argument("--seconds", type=int, default=60, help="in all (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of what is tried (default 1)")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder for what is found")
    parser.add_argument(
        "--run", nargs=argparse.REMAINDER, help=argparse.SUPPRESS
    )  # of libFuzzer, which ends the process
    return parser.parse_args(arguments)


def _run(target: str, arguments: Sequence[str]) -> int:
    atheris.Setup([target, *arguments], TARGETS[target])
    atheris.Fuzz()
    return 0


def _fuzz(target: str, seconds: int, seed: int, found: Path) -> int:
    """Fuzz one target in a process of its own, and tell what came of it."""
    with tempfile.TemporaryDirectory() as begin:
        for number, data in enumerate(seeds(target)):
            Path(begin, f"{number}").write_bytes(data)
        libfuzzer = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={_BYTES_MAX}",
            f"-artifact_prefix={found}/{target}-",
            "-print_final_stats=1",
            begin,
        ]
        command = [sys.executable, "-m", "scripts.fuzz", "--target", target, "--run", *libfuzzer]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    executions = _EXECUTIONS.search(done.stderr)
    if done.returncode not in (0, _FOUND) or executions is None:
        print(done.stdout + done.stderr, file=sys.stderr)
        return 2
    failed = done.returncode == _FOUND
    print(f"{target}: {int(executions[1]):,} executions, {int(failed)} findings", flush=True)
    if failed:
        print(done.stdout + done.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
