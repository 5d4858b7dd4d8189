"""How far an audit has come, in a small file: what a later run with the same file goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ledger.cli.errors import UnusableError
from ledger.replay.compare import Deviation
from ledger.tools.files import write_whole
from projections.audit.terms import Otherwise

FINDINGS_MAX: Final = 10_000  # more are counted, and not kept: the log is another one then


@dataclass
class Found:
    """The findings of an audit so far. `audit` says of which one: another one must not go on with it."""

    audit: dict[str, Any]
    known: int
    position: int = 0
    events: int = 0
    fills: int = 0
    findings: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)
    otherwise: int = 0
    listed_otherwise: list[dict[str, Any]] = field(default_factory=list)

    def add(self, deviations: Iterable[Deviation]) -> list[dict[str, Any]]:
        """Take in findings, one for each field that differs; gives those that are kept."""
        new = [each for deviation in deviations for each in _fields(deviation)]
        kept = new[: max(FINDINGS_MAX - self.findings, 0)]
        self.findings += len(new)
        self.listed += kept
        return kept

    def add_otherwise(self, decided: Iterable[Otherwise]) -> list[dict[str, Any]]:
        """Take in what older rules decided otherwise, which is no finding, each with the number of these rules."""
        new = [{**each, "rules_version": one.rules_version} for one in decided for each in _fields(one.deviation)]
        kept = new[: max(FINDINGS_MAX - self.otherwise, 0)]
        self.otherwise += len(new)
        self.listed_otherwise += kept
        return kept


def _fields(deviation: Deviation) -> list[dict[str, Any]]:
    """Each field that differs, with where it lies."""
    place = {"position": deviation.position, "stream": deviation.stream}
    return [
        {**place, "field": each.field, "recorded": each.recorded, "expected": each.expected}
        for each in deviation.differs
    ]


def begun(file: Path | None, audit: dict[str, Any], known: int, *, chosen: bool) -> Found:
    """Return what the file says, or a new beginning. Raises UnusableError.

    `chosen` says that `known` was chosen, and must be the same.
    """
    if file is None or not file.exists():
        return Found(audit, known)
    try:
        document = json.loads(file.read_text())
        if document["sha256"] != _digest(document["found"]):
            raise ValueError("it is not as an audit wrote it")
        found = Found(**document["found"])
    except (ValueError, TypeError, KeyError, RecursionError, OSError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise UnusableError(
            f"{file} cannot be gone on with ({why}): remove it, or give another --resume FILE"
        ) from error
    if found.audit != audit or (chosen and found.known != known) or found.known > known:
        raise UnusableError(f"{file} is of another audit: give the same options, or another --resume FILE")
    return found


def _digest(found: Any) -> str:
    """Return the SHA-256, in hex, by which a file is known to be as it was written: one digit off would skip events."""
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def save(file: Path | None, found: Found) -> None:
    """Replace the file at once: whoever kills the audit finds the old one or the new one. Raises UnusableError."""
    if file is not None:
        document = asdict(found)
        write_whole(file, json.dumps({"found": document, "sha256": _digest(document)}))
