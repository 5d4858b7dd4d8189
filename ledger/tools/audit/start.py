"""Where an audit starts: at position 1, or where an earlier run has come to, if the log still is what that one read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.cli.errors import UnusableError
from ledger.replay.compare import Deviation, Difference
from ledger.store.log import Log
from ledger.tools.audit.resume import Found, kept
from ledger.tools.progress import ProgressBar
from projections.audit.audit import stretches
from projections.audit.frame import Frame
from projections.audit.log_rows import chosen_rows
from projections.audit.rows import ChosenRows
from projections.audit.scope import Scope
from projections.audit.seen import Seen


def start(file: Path, audit: dict[str, Any], scope: Scope, log: Log, progress: ProgressBar) -> tuple[Found, Seen]:
    """Return what the file says, or a new beginning, and the digest of what it rests on.

    A log that is no longer what the file says is the first finding of a new beginning. Raises UnusableError.
    """
    frame, chosen = Frame(log), chosen_rows(log, scope)
    found, seen = kept(file, audit) or Found(audit, scope.known), Seen(log, chosen)
    end, position = frame.end(), found.position
    if scope.known < position <= end:
        raise UnusableError(f"{file} has come to position {position} already: give a later --known-at, or another file")
    findings = list(_missing(file, found.known, end))
    same = position <= end and _is_same(found, frame, seen, chosen, scope, progress)
    if position <= end and not same:
        findings.append(_said(position, f"positions 1 to {position} are not what an earlier run with {file} read"))
    if not same:
        found, seen = Found(audit, scope.known), Seen(log, chosen)
    deque(found.findings.add(findings), maxlen=0)
    found.known = scope.known
    return found, seen


def _missing(file: Path, known: int, end: int) -> Iterator[Deviation]:
    if known > end:
        yield _said(end + 1, f"it ended at {known} or later in an earlier run with {file}, and ends at {end} now")


def _is_same(found: Found, frame: Frame, seen: Seen, chosen: ChosenRows, scope: Scope, progress: ProgressBar) -> bool:
    """Read again what the earlier run has read, without deciding it."""
    digest = ""
    for after, until in stretches(frame, chosen, 0, found.position):
        digest = seen.take(after, until)
        progress.show("events read again", until, found.position)
    progress.clear()
    counted = scope.is_whole and not found.findings.count  # else rows may be missing that were missing then
    return digest == found.digest and (not counted or frame.requests(found.position) == found.requests)


def _said(position: int, what: str) -> Deviation:
    return Deviation(position, "log", (Difference(what),))
