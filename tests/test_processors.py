"""The service's threads keep to one processor where there are few; what they start need not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ledger import processors

if not hasattr(os, "sched_setaffinity"):
    pytest.skip("this system does not let a thread choose its processors", allow_module_level=True)

_COUNT = "import os; print(len(os.sched_getaffinity(0)))"


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What it returns; the choice of a thread is that of no other one before it."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def kept(choice: str) -> int:
    processors.keep_to(choice)
    return len(os.sched_getaffinity(0))


def test_a_choice_holds_for_the_thread_and_for_those_that_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    every = len(os.sched_getaffinity(0))
    assert in_a_thread(lambda: kept("one")) == 1
    assert in_a_thread(lambda: (kept("one"), in_a_thread(lambda: len(os.sched_getaffinity(0))))) == (1, 1)
    assert in_a_thread(lambda: kept("all")) == every
    monkeypatch.setattr(processors, "_FEW", every)
    assert in_a_thread(lambda: kept("auto")) == 1
    monkeypatch.setattr(processors, "_FEW", every - 1)
    assert in_a_thread(lambda: kept("auto")) == every
    assert len(os.sched_getaffinity(0)) == every


def test_a_program_that_it_starts_may_run_on_every_one() -> None:
    def count() -> tuple[int, int]:
        processors.keep_to("one")
        with processors.on_all():
            found = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True)
        return int(found.stdout), len(os.sched_getaffinity(0))

    assert in_a_thread(count) == (len(os.sched_getaffinity(0)), 1)
