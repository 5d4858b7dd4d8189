"""How far an audit has come, in a small file: what a later run with the same file goes on from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ledger.cli.errors import UnusableError
from ledger.domain.events import POSITION_MAX
from ledger.replay.compare import Deviation
from ledger.tools.files import write_whole
from projections.audit.terms import Otherwise

FINDINGS_MAX: Final = 10_000  # more are counted, and not kept: the log is another one then

_FIELDS: Final = {"position": int, "stream": str, "field": str, "recorded": str, "expected": str}


@dataclass
class Findings:
    """The fields that differ: all are counted, and the first FINDINGS_MAX are listed, a document for each."""

    count: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, deviations: Iterable[Deviation | Otherwise]) -> Iterator[dict[str, Any]]:
        """Take in more; yields those that are listed."""
        for document in (each for one in deviations for each in _documents(one)):
            self.count += 1
            if self.count <= FINDINGS_MAX:
                self.listed.append(document)
                yield document


@dataclass
class Found:
    """The result of an audit so far. `audit` says of which one: another one must not go on with it.

    `digest` is that of the log up to `position`. `otherwise` is what older rules decided otherwise: no finding.
    """

    audit: dict[str, Any]
    known: int
    position: int = 0
    events: int = 0
    fills: int = 0
    requests: int = 0
    unkept: int = 0  # requests recorded before requests were kept
    digest: str = ""
    findings: Findings = field(default_factory=Findings)
    otherwise: Findings = field(default_factory=Findings)


def _documents(one: Deviation | Otherwise) -> Iterator[dict[str, Any]]:
    """Yield each field that differs, with where it lies, and by which rules it was decided if these are older."""
    deviation = one.deviation if isinstance(one, Otherwise) else one
    rules = {"rules_version": one.rules_version} if isinstance(one, Otherwise) else {}
    place = {"position": deviation.position, "stream": deviation.stream}
    for each in deviation.differs:
        yield {**place, "field": each.field, "recorded": each.recorded, "expected": each.expected, **rules}


def kept(file: Path | None, audit: dict[str, Any]) -> Found | None:
    """Return what the file says, if there is one. Raises UnusableError if it is of another audit, or no such file."""
    if file is None or not file.exists():
        return None
    try:
        document = json.loads(file.read_bytes())
        if document["sha256"] != _digest(document["found"]):
            raise ValueError("it is not as an audit wrote it")
        found = _found(document["found"])
    except (ValueError, TypeError, KeyError, RecursionError, OSError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise UnusableError(
            f"{file} cannot be gone on with ({why}): remove it, or give another --resume FILE"
        ) from error
    if found.audit != audit:
        names = ", ".join(name for name in audit if found.audit.get(name) != audit[name])
        raise UnusableError(f"{file} is of another audit ({names}): give the same options, or another --resume FILE")
    return found


def save(file: Path | None, found: Found) -> None:
    """Replace the file at once: whoever kills the audit finds the old one or the new one. Raises UnusableError."""
    if file is not None:
        document = asdict(found)
        write_whole(file, json.dumps({"found": document, "sha256": _digest(document)}), own=True)


def _digest(found: Any) -> str:
    """Return the SHA-256, in hex, by which a file is known to be as it was written: one digit off would skip events."""
    return sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _found(said: dict[str, Any]) -> Found:
    """Read what a file says. Raises ValueError or TypeError if no audit can have come to that."""
    listed = [Findings(**said[name]) for name in ("findings", "otherwise")]
    found = Found(**{**said, "findings": listed[0], "otherwise": listed[1]})
    numbers = (
        found.known,
        found.position,
        found.events,
        found.fills,
        found.requests,
        found.unkept,
        *(each.count for each in listed),
    )
    for number in numbers:
        if type(number) is not int or not 0 <= number <= POSITION_MAX:
            raise ValueError(f"no count or position is {str(number)[:20]}")
    if found.position > found.known or (found.position and not re.fullmatch("[0-9a-f]{64}", found.digest)):
        raise ValueError("it has come further than it goes, or has no digest")
    for fields, each in ((_FIELDS, listed[0]), ({**_FIELDS, "rules_version": int}, listed[1])):
        if len(each.listed) != min(each.count, FINDINGS_MAX) or not all(_fits(one, fields) for one in each.listed):
            raise ValueError("it lists what is no finding, or another number of them than it counts")
    if not isinstance(found.audit, dict):
        raise TypeError("it does not say of which audit it is")
    return found


def _fits(document: Any, fields: dict[str, type]) -> bool:
    """Return True if a document has some fields, each with a value of its type, and no others."""
    return isinstance(document, dict) and {name: type(value) for name, value in document.items()} == fields
