"""Programme files on disk: their faults, what changes between two of them, and their text."""

from __future__ import annotations

from pathlib import Path

from ledger import programmes
from ledger.cli.errors import UnusableError
from ledger.cli.screens import table
from ledger.domain.state.programme import Programme
from ledger.tools.programme.table import statements


def content(path: Path) -> str:
    """Return the text of a programme file, byte for byte. Raises UnusableError and OSError."""
    with path.open("rb") as file:
        found = file.read(programmes.BYTES_MAX + 1)
    if len(found) > programmes.BYTES_MAX:
        raise UnusableError(f"{path}: longer than {programmes.BYTES_MAX:,} bytes, which a ledger takes at most")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise UnusableError(f"{path} is not text in UTF-8") from error


def programme(path: Path) -> Programme:
    """Return the programme that a file describes. Raises UnusableError and OSError."""
    found = content(path)
    if (fault := programmes.out_of_bounds(found)) is not None:
        raise UnusableError(f"{path}: {fault}")
    try:
        return programmes.parse(found)
    except programmes.ProgrammeError as error:
        raise UnusableError(f"{path}: {error.faults[0]} (`fee-ledger programme validate` names every fault)") from error


def warnings(path: Path) -> list[str]:
    """Return what of a file without faults should be looked at, a line each."""
    return [f"warning: {warning}" for warning in programmes.warnings(content(path))]


def differences(was: Programme, becomes: Programme) -> list[str]:
    """Return a table of every number and switch that is not the same, in the order of the file; empty: none."""
    old, new = statements(was), statements(becomes)
    keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    rows = [(key, f"{old.get(key, 'not there')} -> {new.get(key, 'not there')}") for key in keys]
    return table(("key", "~was -> becomes"), rows) if rows else []
