"""Files that chance has changed: each is read, or refused in one line; no traceback, no other exit code.

LEDGER_FILES says how many are tried in all (100 if it is not set), each tool has its share; LEDGER_FILES_PROCESSES how
many of them by a process of their own (1); LEDGER_FILES_SEED from which seed on. A failure names its own seed. The
tries of each tool are summed up in a line on stdout (`pytest -s`).
"""

from __future__ import annotations

import functools
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

from ledger.cli.errors import INTERRUPTED
from ledger.store.postgres.dsn import VARIABLE
from tests.tools import running
from tests.tools.engine_files.conftest import small_ledger
from tests.tools.mutated.agreeing import FILES, contradictions
from tests.tools.mutated.mutations import mutated
from tests.tools.mutated.tools import FILE, FRESH, TEXT, TOOLS, Site, Tool, Valid
from tests.tools.running import Ran

TRIES: Final = int(os.environ.get("LEDGER_FILES", "100"))
PROCESSES: Final = int(os.environ.get("LEDGER_FILES_PROCESSES", "1"))
SEED: Final = int(os.environ.get("LEDGER_FILES_SEED", "1"))
MEMORY_MB_MAX: Final = 600  # beside what the tests' process held before, with two services in it
SECONDS_MAX: Final = 60.0  # for one file of a few kB, on a machine that is busy
_SHARED_MEMORY: Final = Path("/dev/shm")

# Runs a program, and adds its peak RSS in kB to what it told. A child begins with the peak of the process that made it,
# which here may have run all other tests: so a small one makes it.
_RUN: Final = """
import os, sys
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
sys.stderr.write(f"\\n{used.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""

Run = Callable[[tuple[str, ...]], Ran]


@pytest.fixture(scope="module")
def site(dsn: str) -> Iterator[Site]:
    """Two small ledgers, and a folder that no disk slows down."""
    with (
        small_ledger(dsn, "test_mutated") as read,
        small_ledger(dsn, "test_mutated_written") as written,
        tempfile.TemporaryDirectory(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(VARIABLE, dsn)
        yield Site(read, written, Path(folder), "test_mutated")


@pytest.fixture(scope="module")
def valid(site: Site) -> Callable[[Tool], list[Valid]]:
    """The valid files of a tool."""
    return functools.cache(lambda tool: tool.valid(site))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_mutant_is_read_or_refused_in_one_line(tool: Tool, site: Site, valid: Callable[[Tool], list[Valid]]) -> None:
    files = valid(tool)
    told = running.run(*_typed(files[0], _fresh(files[0], 0), site.folder))
    assert told.code in (0, 1), f"nothing was done to it: {told}"
    with _summed_up(tool.name) as trials:
        for seed in range(SEED, SEED + max(1, TRIES * tool.share // 100)):
            trials.try_one(tool, files, seed, site.folder, lambda command: running.run(*command))
    assert not trials.faults, "\n".join(trials.faults[:20])
    if sum(trials.codes.values()) >= 500:
        assert min(trials.codes[0], trials.codes[2]) > 0, "mutants are no longer near to valid files, or too near"


def test_a_mutant_is_read_or_refused_by_a_process_too(site: Site, valid: Callable[[Tool], list[Valid]]) -> None:
    peaks_kb = list[int]()

    def run(command: tuple[str, ...]) -> Ran:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            python = [sys.executable, "-I", "-S", "-c", _RUN, sys.executable, "-m", "ledger", *command]
            done = subprocess.run(python, stdout=out, stderr=err, check=False)
            told, _, peak_kb = _text(err).rpartition("\n")
            peaks_kb.append(int(peak_kb))
            return Ran(done.returncode, _text(out), told)

    with _summed_up("python -m ledger") as trials:
        for seed in range(SEED, SEED + PROCESSES):
            tool = TOOLS[seed % len(TOOLS)]
            trials.try_one(tool, valid(tool), -seed, site.folder, run)
    assert not trials.faults, "\n".join(trials.faults[:20])
    assert max(peaks_kb) < MEMORY_MB_MAX * 1_024


def test_the_simple_reader_sees_what_a_file_says_otherwise(valid: Callable[[Tool], list[Valid]]) -> None:
    plain = [one.content for one in valid(TOOLS[0]) if one.name in FILES and not one.name.endswith(".gz")]
    assert len(plain) == len(FILES) - 1
    for content in plain:
        assert contradictions(content, content.replace(b"30010", b"3.001E4"), "") == []
        assert contradictions(content, content.replace(b"30010", b"30011", 1), "")
        assert contradictions(content, content.replace(b"T18:23:16", b"T18:23:17"), "")
        assert contradictions(content, content.replace(b"28457", b"28459"), "")
        unsaid = content.replace(b"100234", b"")
        assert contradictions(content, unsaid, "agree")
        assert contradictions(content, unsaid, "agree, order_id not compared") == []


class Trials:
    """Tries mutants, and counts what came of them."""

    def __init__(self) -> None:
        self.codes = dict.fromkeys((0, 1, 2), 0)
        self.faults: list[str] = []
        self.slowest_s = 0.0

    def try_one(self, tool: Tool, files: list[Valid], seed: int, folder: Path, run: Run) -> None:
        """Make the mutant of a seed, and have it read."""
        chance = random.Random(seed)
        one = chance.choice(files)
        content = mutated(_fresh(one, seed), chance)
        command = _typed(one, content, folder)
        begun = time.monotonic()
        told = run(command)
        if told.code == INTERRUPTED:
            raise KeyboardInterrupt  # it was the tests that were to end
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        self.codes[told.code] = self.codes.get(told.code, 0) + 1
        why = _wrong(tool, told)
        if not why and told.code == 0 and tool.name == "reconcile" and one.name in FILES:
            why = _disagrees(one.content, content, told.out)
        if why:
            at = f"LEDGER_FILES_SEED={abs(seed)} {tool.name} {one.name}"
            self.faults.append(f"{at}: {why}: exit code {told.code}: {told.err[-1_000:]!r}")
            _show(self.faults[-1])


def _fresh(one: Valid, seed: int) -> bytes:
    return one.content.replace(FRESH, str(abs(seed)).encode()) if one.fresh else one.content


def _typed(one: Valid, content: bytes, folder: Path) -> tuple[str, ...]:
    """Return the command line that has a content read, written to a file."""
    file = folder / f"tried-{one.name}"
    file.write_bytes(content)
    text = content.replace(b"\0", b"").decode("utf-8", "surrogateescape")  # as the system hands it to a program
    return tuple(part.replace(FILE, str(file)).replace(TEXT, text) for part in one.command)


def _disagrees(was: bytes, becomes: bytes, told: str) -> str:
    try:
        return "; ".join(contradictions(was, becomes, told))
    except (ValueError, ArithmeticError, LookupError, AttributeError) as error:
        return f"agrees, and a simple reader cannot read it ({error!r})"


def _wrong(tool: Tool, told: Ran) -> str:
    """Return what must not be; empty: all is well."""
    lines = [line for line in told.err.splitlines() if " so far, " not in line]  # progress of a slow machine
    faults = [line for line in lines if not re.match(tool.tells, line)]
    if told.code not in (0, 1, 2):
        return "no such exit code"
    if "Traceback" in told.err or "a defect of this command" in told.err:
        return "a defect"
    if len(faults) != (told.code == 2):
        return "not one line for exit code 2, or one for another"
    if not all(line.isprintable() for line in lines):
        return "a line with control characters"
    return ""


@contextmanager
def _summed_up(name: str) -> Iterator[Trials]:
    """Yield trials, and print what came of them; the memory that they took is bounded."""
    trials, begun = Trials(), time.monotonic()
    _forget_peak()
    held_mb = _peak_mb()
    yield trials
    seconds, more_mb = time.monotonic() - begun, _peak_mb() - held_mb
    codes = " ".join(f"{code}:{count}" for code, count in sorted(trials.codes.items()))
    _show(
        f"\n{name}: {sum(trials.codes.values())} tries, exit {codes}, {seconds:.0f} s, slowest"
        f" {trials.slowest_s:.2f} s, peak RSS {held_mb} + {more_mb} MB, {len(trials.faults)} faults"
    )
    assert more_mb < MEMORY_MB_MAX
    assert trials.slowest_s < SECONDS_MAX


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # a long run is looked at while it goes on


def _forget_peak() -> None:
    """Have Linux measure the peak of this process anew; elsewhere it is that of its whole life."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found
        return int(found[1]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)
