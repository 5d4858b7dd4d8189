"""Lines for a person when a ledger refuses or does not answer, or a file is unusable; and the exit codes.

0: done. 1: the ledger refused, and says why; or something was found. 2: unusable arguments or files, or no answer; also
a refusal, where 1 means that something was found. 130: interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final, TextIO, cast

import grpc

from ledger.cli.visible import visible
from ledger.client import LedgerError, Unavailable

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
    """Print lines for a person on stderr, with what a file brings into them made visible; return the exit code."""
    for line in lines:
        print(visible(line), file=sys.stderr)
    return code


def told(
    work: Callable[[], int],
    where: str = "",
    timeout_s: int | None = None,
    *,
    refused: int = REFUSED,
    interrupted: str = "",
) -> int:
    """Do some work; if it fails, tell why. Return the exit code.

    `where` is the address of the ledger it calls, `refused` the exit code if that refuses; `interrupted` says how to go
    on after Ctrl-C, or after a command that was not answered.
    """
    try:
        return work()
    except LedgerError as error:
        lines = sentences(error, where, timeout_s, interrupted)
        return tell(refused, *lines) if is_no(error) else tell(UNUSABLE, *(f"{_PROGRAM}: {line}" for line in lines))
    except OSError as error:
        if error.filename is None:
            raise  # it is about what is printed: see `until_reader_leaves`
        return tell(UNUSABLE, f"{_PROGRAM}: {error.filename} cannot be used: {error.strerror}")
    except (UnusableError, ValueError) as error:
        return tell(UNUSABLE, f"{_PROGRAM}: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        return tell(INTERRUPTED, f"{_PROGRAM}: interrupted{interrupted and f': {interrupted}'}")
    except Exception as error:  # people get a line to report, not a traceback
        return tell(UNUSABLE, f"{_PROGRAM}: a defect of this command ({error!r}): please report it")


def until_reader_leaves(work: Callable[[], int]) -> int:
    """Do some work that prints; return its exit code.

    Whoever reads stdout may go away, as `head` does: that ends the work, and is no error. A full disk is one.
    """
    try:
        try:
            return work()
        finally:
            print(end="", flush=True)  # here, for at the end of the interpreter it would fail with a traceback
    except BrokenPipeError:
        _print_no_more()
        return 0
    except OSError as error:
        _print_no_more()
        return tell(UNUSABLE, f"{_PROGRAM}: {error.strerror}")


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
        _print_no_more()


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
