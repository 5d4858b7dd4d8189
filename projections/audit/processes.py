"""An audit by several processes: each has its own share of the accounts, and all go through the log together."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from projections.audit.scope import Scope
from projections.audit.share import StretchAnswer, opened
from projections.child_process import end_with_parent, signals_held

GC_THRESHOLD: Final = (5_000_000, 10, 10)  # events are trees, not rings: to look for rings takes long

_AHEAD: Final = 2  # stretches that a process has been given and has not answered
_STOP_S_MAX: Final = 5

Stretches = Iterator[tuple[int, int]]
Parts = Iterator[tuple[int, list[StretchAnswer]]]


class ProcessEndedError(Exception):
    """A process of the audit ended by itself: one line says why."""


class Shares(Protocol):
    """All shares of an audit."""

    def begin(self, dsn: str, schema: str, scope: Scope, *, after: int) -> None:
        """Say what is audited, once."""

    def parts(self, stretches: Stretches) -> Parts:
        """Yield (the end of a stretch, the part of each share), in order. Raises ProcessEndedError."""


class _Here:
    """The only share, in this process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def begin(self, dsn: str, schema: str, scope: Scope, *, after: int) -> None:
        self._share = self._stack.enter_context(opened(dsn, schema, scope, after))

    def parts(self, stretches: Stretches) -> Parts:
        for after, until in stretches:
            yield until, [self._share.take(after, until)]


class _Elsewhere:
    """A process to a share, at the other ends of pipes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def begin(self, dsn: str, schema: str, scope: Scope, *, after: int) -> None:
        for number, pipe in enumerate(self._pipes):
            _send(pipe, (dsn, schema, replace(scope, share=number, shares=len(self._pipes)), after))

    def parts(self, stretches: Stretches) -> Parts:
        asked: list[int] = []
        for stretch in stretches:
            asked.append(stretch[1])
            for pipe in self._pipes:
                _send(pipe, stretch)
            if len(asked) == _AHEAD:
                yield asked.pop(0), [_receive(pipe) for pipe in self._pipes]
        for until in asked:
            yield until, [_receive(pipe) for pipe in self._pipes]


@contextmanager
def shares_of(jobs: int) -> Iterator[Shares]:
    """Start processes, and end them with the block; they end too when this process dies, however it does."""
    with ExitStack() as stack:
        if jobs == 1:
            yield _Here(stack)
            return
        # Where nothing else runs in this process yet, it is copied with all that is imported: that saves a second.
        alone = sys.platform == "linux" and threading.active_count() == 1
        context: Any = multiprocessing.get_context("fork" if alone else "spawn")
        pipes = []
        for _ in range(jobs):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there,), daemon=True)
            with signals_held():
                process.start()
            there.close()
            pipes.append(here)
            stack.callback(process.join, _STOP_S_MAX)
            stack.callback(process.kill)  # it only reads
            stack.callback(here.close)
        yield _Elsewhere(pipes)


def _serve(pipe: Connection) -> None:
    """Serve as a process: take what is audited, then stretches, and send parts, until nobody asks any more."""
    end_with_parent()
    gc.set_threshold(*GC_THRESHOLD)
    try:
        with opened(*pipe.recv()) as share:
            while True:
                pipe.send(share.take(*pipe.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # whatever it was, the audit ends with it
        pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _send(pipe: Connection, what: Any) -> None:
    try:
        pipe.send(what)
    except OSError:
        _receive(pipe)
        raise ProcessEndedError("a process of the audit ended") from None


def _receive(pipe: Connection) -> StretchAnswer:
    """Return the next part. Raises ProcessEndedError with what the process said last."""
    try:
        said: Any = pipe.recv()
    except EOFError:
        raise ProcessEndedError("a process of the audit ended, and did not say why") from None
    if not isinstance(said, StretchAnswer):
        raise ProcessEndedError(said)
    return said
