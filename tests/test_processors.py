"""The service's threads keep to one processor where there are few; what they start need not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

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


_SERVER = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import ledger.__main__
from ledger.config import Config
from ledger.server.app import App
app = App(Config(listen="127.0.0.1:0"))
print(app.listen(), flush=True)
input()
"""


def wakes_of_grpc(pid: int) -> int:
    """How often the threads that gRPC has for connections went to sleep; they are named event_engine."""
    threads = [task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text() == "event_engine\n"]
    assert threads
    told = [line.split() for task in threads for line in (task / "status").read_text().splitlines()]
    return sum(int(words[1]) for words in told if words[0] == "voluntary_ctxt_switches:")


def test_a_call_wakes_no_thread_of_grpc_where_there_are_few_processors() -> None:
    calls = 300
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        with grpc.insecure_channel(server.stdout.readline().strip()) as channel:
            health = HealthStub(channel)
            health.Check(HealthCheckRequest(), timeout=30)
            before = wakes_of_grpc(server.pid)
            for _ in range(calls):
                health.Check(HealthCheckRequest(), timeout=30)
            woken = wakes_of_grpc(server.pid) - before
        server.kill()
    assert woken < calls / 2


def test_grpc_is_left_alone_where_somebody_has_chosen_there_are_many_processors_or_its_release_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processors, "_FEW", len(os.sched_getaffinity(0)))
    assert processors.choices_of_grpc({}) == {"GRPC_EXPERIMENTS": "-event_engine_listener"}
    assert processors.choices_of_grpc({"GRPC_EXPERIMENTS": ""}) == {}
    with monkeypatch.context() as patch:
        patch.setattr(processors, "_FEW", len(os.sched_getaffinity(0)) - 1)
        assert processors.choices_of_grpc({}) == {}
    monkeypatch.setattr(processors, "_GRPC_TRIED", (1, 0))
    assert processors.choices_of_grpc({}) == {}
