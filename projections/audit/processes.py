"""An audit by several processes: each has its own share of the accounts, and all go through the log together."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from projections.audit.scope import Scope
from projections.audit.share import Part, Share, opened

_AHEAD: Final = 2  # stretches that a process has been given and has not answered
_STOP_S_MAX: Final = 5
GC_THRESHOLD: Final = (5_000_000, 10, 10)  # events are trees, not rings: to look for rings takes long


class ProcessEndedError(Exception):
    """A process of the audit ended by itself: one line says why."""


class Shares(Protocol):
    """The parts of all processes, stretch by stretch."""

    def parts(self, stretches: Iterator[tuple[int, int]]) -> Iterator[tuple[int, list[Part]]]:
        """(the end of a stretch, what each process says of it), in order."""


class _Here:
    """Only one share, in this process."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def parts(self, stretches: Iterator[tuple[int, int]]) -> Iterator[tuple[int, list[Part]]]:
        for after, until in stretches:
            yield until, [self._share.take(after, until)]


class _Elsewhere:
    """A process to a share, at the other ends of pipes: when this process dies, however it does, they end too."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def parts(self, stretches: Iterator[tuple[int, int]]) -> Iterator[tuple[int, list[Part]]]:
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
def shares_of(dsn: str, schema: str, scope: Scope, *, jobs: int, after: int) -> Iterator[Shares]:
    """So many processes, until the block ends."""
    with ExitStack() as stack:
        if jobs == 1:
            yield _Here(stack.enter_context(opened(dsn, schema, scope, after)))
            return
        context = multiprocessing.get_context("spawn")
        pipes = []
        for number in range(jobs):
            here, there = context.Pipe()
            mine = replace(scope, share=number, shares=jobs)
            process = context.Process(target=_serve, args=(there, dsn, schema, mine, after), daemon=True)
            process.start()
            there.close()
            pipes.append(here)
            stack.callback(process.join, _STOP_S_MAX)
            stack.callback(process.terminate)
            stack.callback(here.close)
        yield _Elsewhere(pipes)


def _serve(pipe: Connection, dsn: str, schema: str, scope: Scope, after: int) -> None:
    """A process: stretches in, parts out, until nobody asks any more. Ctrl-C is for the one who asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*GC_THRESHOLD)
    try:
        with opened(dsn, schema, scope, after) as share:
            while True:
                stretch = pipe.recv()
                pipe.send(share.take(*stretch))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # whatever it was, the audit ends with it
        pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())}")


def _send(pipe: Connection, stretch: tuple[int, int]) -> None:
    try:
        pipe.send(stretch)
    except OSError:
        _receive(pipe)
        raise ProcessEndedError("a process of the audit ended") from None


def _receive(pipe: Connection) -> Part:
    """Raises ProcessEndedError with what the process said last."""
    try:
        said: Any = pipe.recv()
    except EOFError:
        raise ProcessEndedError("a process of the audit ended, and did not say why") from None
    if not isinstance(said, Part):
        raise ProcessEndedError(said)
    return said
