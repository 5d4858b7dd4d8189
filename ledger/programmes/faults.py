"""The faults of a programme file: each is one line with a name, the key, and what to do."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`code` is stable; `key` the dotted path in the file, empty for the file as a whole."""

    code: str
    key: str
    detail: str

    def __str__(self) -> str:
        return f"{self.code}: {self.key} {self.detail}" if self.key else f"{self.code}: {self.detail}"


class ProgrammeError(ValueError):
    """Everything that is wrong with a file, in the order in which it was found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)
