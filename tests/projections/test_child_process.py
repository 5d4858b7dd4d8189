"""Processes that another one starts: all of them end with it, even where it is killed and they compute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.projections.test_controls_process import living
from tests.waiting import wait_for

ROOT: Final = Path(__file__).parents[2]
_PARENT: Final = """
import multiprocessing
import sys
from projections.child_process import end_with_parent, signals_held

def compute(pipe):
    end_with_parent()
    pipe.send(multiprocessing.current_process().pid)
    while True:
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    pipes = [context.Pipe() for _ in range(2)]
    for _, there in pipes:
        with signals_held():
            context.Process(target=compute, args=(there,), daemon=True).start()
    print(*(here.recv() for here, _ in pipes), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_end_with_the_one_that_started_them_where_it_is_killed(method: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen(
        [sys.executable, str(script), method],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(living(pid) for pid in pids)
        parent.kill()
    wait_for(lambda: not any(living(pid) for pid in pids))
