"""The service as the keeper of its PostgreSQL: nothing for one of the user's own, everything for the embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Keeper(Protocol):
    """Looks after a PostgreSQL. Every method raises EmbeddedError where it cannot."""

    @property
    def remarks(self) -> Sequence[str]:
        """Return what whoever has started it should know, a line each."""

    def ensure_running(self) -> None:
        """Start the server again if it died; return at once if it accepts connections."""

    def tend(self) -> None:
        """Do what a running server needs now and then. Return at once where nothing is to be done."""

    def check_room(self) -> None:
        """Raise unless there is room on its disk to write. Return at once."""

    def free_bytes(self) -> int | None:
        """Return how much is free where it writes; None: that is for others to see."""


class NoKeeper:
    """The keeper of a PostgreSQL that others look after."""

    remarks = ()

    def ensure_running(self) -> None:
        """Do nothing."""

    def tend(self) -> None:
        """Do nothing."""

    def check_room(self) -> None:
        """Do nothing: PostgreSQL itself tells when its disk is full."""

    def free_bytes(self) -> None:
        """Return None: its disk may be that of another machine."""
