"""Lines for a person when a ledger refuses or does not answer, or a file is unusable; and the exit codes.

0: done. 1: the ledger refused, and says why; or something was found. 2: unusable arguments or files, or no answer; also
a refusal, where 1 means that something was found. 130: interrupted.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final, TextIO, cast

import grpc

from ledger.client import LedgerError, Unavailable
from ledger.masked import masked
from ledger.visible import visible

REFUSED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130

_PROGRAM: Final = "fee-ledger"


class UnusableError(Exception):
    """A file, or a store, that cannot be used: one line with the remedy."""


def is_no(error: LedgerError) -> bool:
    """Return True if the ledger answered, and refused."""
    return error.reason is not None and not isinstance(error, Unavailable)


def sentences(error: LedgerError, where: str, timeout_s: int | None = None, again: str = "") -> list[str]:
    """Return why a call to the ledger at `where` ended: every reason of a refusal, or one line with the remedy.

    `again` says how to go on where a command may or may not have been recorded; by default with its request id.
    """
    if isinstance(error, Unavailable):
        again = again or f"send it again with --request-id {error.request_id}"
        return [f"{_unavailable(error, where, timeout_s)}{f'; {again}' if error.request_id else ''}"]
    if error.reason is None:
        return [f"the ledger at {where} cannot do this ({error})"]
    told = [f"{fault.reason.name}: {fault.description}{_at(fault.field)}" for fault in error.violations if fault.reason]
    return told or [f"{error}{_at(error.field)}"]


def _unavailable(error: Unavailable, where: str, timeout_s: int | None) -> str:
    if error.reason is not None:
        return str(error)
    if error.code is grpc.StatusCode.UNAVAILABLE:
        cause = str(error).rpartition(": ")[2].rstrip(".")  # gRPC tells of every address it tried: this is the last
        return f"no ledger answers at {where} ({cause}): start one with `fee-ledger serve`, or give its --address"
    longer = f"within {timeout_s} s: give a longer --timeout" if timeout_s else "in time"
    return f"the ledger at {where} did not answer {longer}"


def _at(field: str) -> str:
    return f" ({field})" if field else ""


def tell(code: int, *lines: str) -> int:
    """Print lines for a person on stderr, passwords masked, and all of them visible; return the exit code."""
    try:
        for line in lines:
            print(visible(masked(line)), file=sys.stderr, flush=True)
    except OSError:  # nobody is told; the exit code says it all the same
        _write_no_more(sys.stderr)
    return code


def told(
    work: Callable[[], int],
    where: str = "",
    timeout_s: int | None = None,
    *,
    refused: int = REFUSED,
    interrupted: str = "",
    program: str = _PROGRAM,
    unusable: tuple[type[Exception], ...] = (),
) -> int:
    """Do some work; if it fails, tell why. Return the exit code.

    `where` is the address of the ledger it calls, `refused` the exit code if that refuses; `interrupted` says how to go
    on after Ctrl-C, or after a command that was not answered. `unusable` are more exceptions that are no defect, such
    as those of a database that is gone.
    """
    known: tuple[type[Exception], ...] = (UnusableError, ValueError, *unusable)
    try:
        return work()
    except LedgerError as error:
        lines = sentences(error, where, timeout_s, interrupted)
        return tell(refused, *lines) if is_no(error) else tell(UNUSABLE, *(f"{program}: {line}" for line in lines))
    except known as error:
        return tell(UNUSABLE, f"{program}: {' '.join(str(error).split())}")
    except OSError as error:
        if error.filename is None and not _prints():
            raise  # it is about what is printed: see `ended`
        about = "" if error.filename is None else f"{error.filename} cannot be used: "
        return tell(UNUSABLE, f"{program}: {about}{error.strerror or repr(error)}")
    except KeyboardInterrupt:
        return tell(INTERRUPTED, f"{program}: interrupted{interrupted and f': {interrupted}'}")
    except MemoryError:
        return tell(UNUSABLE, f"{program}: there is not enough memory")
    except Exception as error:  # people get a line to report, not a traceback
        return tell(UNUSABLE, f"{program}: a defect of this command ({error!r}): please report it")


def ended(
    work: Callable[[], int],
    program: str = _PROGRAM,
    *,
    refused: int = REFUSED,
    unusable: tuple[type[Exception], ...] = (),
) -> int:
    """Do the work of a whole program; return its exit code, which is 0, 1, 2 or 130 whatever happens to it.

    Whoever reads stdout may go away, as `head` does: that ends the work, and is no error. A full disk is one.
    """
    _have_streams()
    code = 0
    try:
        try:
            code = told(work, refused=refused, program=program, unusable=unusable)
        finally:
            print(end="", flush=True)  # here, for at the end of the interpreter it would fail with a traceback
            _flush_stderr()
    except OSError as error:
        _write_no_more(sys.stdout)
        if code != UNUSABLE and not isinstance(error, BrokenPipeError):  # else it is told, or no error
            return tell(UNUSABLE, f"{program}: {error.strerror}")
    return code


def _have_streams() -> None:
    """Have what is printed to a stream that was closed before the start go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the program ends


def _prints() -> bool:
    """Return False if nobody reads stdout any more, or what was printed cannot be handed over."""
    try:
        sys.stdout.flush()
        watched = select.poll()
        watched.register(sys.stdout.fileno(), 0)
    except io.UnsupportedOperation:
        return True  # it is no file at all
    except OSError:
        return False
    return not watched.poll(0)


def _flush_stderr() -> None:
    try:
        sys.stderr.flush()
    except OSError:
        _write_no_more(sys.stderr)


@contextmanager
def unread() -> Iterator[None]:
    """Let the work within go on if whoever reads stdout goes away.

    Otherwise it would stop half-way, and its exit code would say that all agrees, or that all is recorded.
    """
    out = sys.stdout
    with redirect_stdout(cast(TextIO, _Unread(out))):
        yield
        sys.stdout.flush()


class _Unread:
    """A stdout that takes what is printed after its reader left, and says nothing."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """Print, or do nothing."""
        with _no_reader_is_no_error():
            self._out.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was printed, or nothing."""
        with _no_reader_is_no_error():
            self._out.flush()


@contextmanager
def _no_reader_is_no_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _write_no_more(sys.stdout)


def _write_no_more(stream: TextIO) -> None:
    """Have all that a stream still holds, and whatever comes, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
