"""`fee-ledger doctor` under a kernel that really gives too little, or does not know its clock to be right."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from ledger.tools.doctor.clocks import UNSYNCHRONISED, Timex
from tests.cgroups import Group, limited
from tests.e2e.served import started
from tests.tools.doctoring import NOWHERE, Visit, doctor, heal, visit_of

GB: Final = 2**30
_SETS_MAXERROR: Final = 0x4  # ADJ_MAXERROR of timex.h
_SETS_STATUS: Final = 0x10  # ADJ_STATUS


def doctor_in(group: Group, *arguments: object) -> Visit:
    """Ask it as a process in a control group, about what it would start there."""
    command = group.inside(sys.executable, "-m", "ledger", "doctor", "--json", *map(str, arguments), *NOWHERE)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return visit_of(done.returncode, done.stdout, done.stderr)


def test_a_cgroup_with_less_memory_than_the_bound_is_named_and_the_knobs_printed_heal_it() -> None:
    with limited(memory=GB) as group:
        visit = doctor_in(group, "memory")
        line = visit.only("memory")
        assert (visit.code, line.level, line.figures["memory_bytes"]) == (1, "FAULT", GB)
        assert line.says.endswith(", and its cgroup has 1.0 GB: it may be killed")
        assert line.figures["bound_bytes"] > GB
        program, command, *healed = line.remedy.split()
        assert (program, command) == ("fee-ledger", "serve")
        assert doctor_in(group, "memory", *healed).levels("memory") == ["OK"]
        group.limits["memory"].write_text(str(line.figures["bound_bytes"] // 4 * 5))
        assert doctor_in(group, "memory").levels("memory") == ["WARNING"]


def test_a_cgroup_with_fewer_threads_than_the_service_takes_is_named_and_the_command_printed_heals_it() -> None:
    with limited(pids=30) as group:
        visit = doctor_in(group, "threads")
        line = visit.only("threads")
        assert (visit.code, line.level, line.figures["threads"]) == (1, "FAULT", 30)
        heal(line.remedy)
        assert doctor_in(group, "threads").levels("threads") == ["OK"]


def test_a_service_that_runs_in_cgroups_is_looked_at_in_those_from_outside_of_them() -> None:
    with limited(memory=GB, pids=200) as group, started(inside=group.inside()) as served:
        asked = ("memory", "threads", "--data", served.folder)
        visit = doctor(*asked)
        assert (visit.code, visit.levels("memory"), visit.levels("threads")) == (1, ["FAULT"], ["WARNING"])
        heal(visit.only("threads").remedy)
        assert doctor(*asked).levels("threads") == ["OK"]


@contextmanager
def clock_of_the_kernel() -> Iterator[Callable[[bool], None]]:
    """Give what tells the kernel, as NTP does, whether its clock is synchronised; in the end it knows what it knew."""
    if os.geteuid():
        pytest.skip("only root may tell the kernel whether its clock is synchronised")
    adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    known = Timex()
    assert adjtimex(ctypes.byref(known)) >= 0
    known.modes = _SETS_STATUS | _SETS_MAXERROR
    if adjtimex(ctypes.byref(known)) < 0:
        pytest.skip(f"root may not set the clock here: {os.strerror(ctypes.get_errno())}")

    def tell(is_synchronised: bool) -> None:
        told = Timex()
        ctypes.memmove(ctypes.byref(told), ctypes.byref(known), ctypes.sizeof(Timex))
        told.maxerror_us = 1_000
        told.status = known.status & ~UNSYNCHRONISED if is_synchronised else known.status | UNSYNCHRONISED
        assert adjtimex(ctypes.byref(told)) >= 0

    try:
        yield tell
    finally:
        assert adjtimex(ctypes.byref(known)) >= 0


def test_a_clock_that_nothing_synchronises_is_noted_until_something_does() -> None:
    with clock_of_the_kernel() as tell:
        tell(False)
        visit = doctor("clock-synchronised", *NOWHERE)
        line = visit.only("clock-synchronised")
        assert (visit.code, line.level, line.remedy) == (0, "NOTE", "timedatectl set-ntp true")
        tell(True)
        line = doctor("clock-synchronised", *NOWHERE).only("clock-synchronised")
        assert line.level == "OK"
        assert 1_000_000 <= line.figures["most_ns"] < 2_000_000
