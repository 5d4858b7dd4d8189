"""Running a tool in this process, which is much quicker than a process of its own."""

from __future__ import annotations

import gc
import io
import signal
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from ledger.program import main


class Ran(NamedTuple):
    """What a tool printed, told on stderr, and ended with."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Ran:
    """Run `fee-ledger` with some arguments; what a tool sets for its whole process is set back.

    Not for `serve`: it keeps the process, and every server that a test starts from it, to one processor.
    """
    assert "serve" not in map(str, arguments), "start it as a program of its own"
    terminated, thresholds = signal.getsignal(signal.SIGTERM), gc.get_threshold()
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, terminated)
            gc.set_threshold(*thresholds)
    return Ran(code, out.getvalue(), err.getvalue())
