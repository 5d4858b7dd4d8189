"""Fills for streams, and a door that holds what is committed of them."""

from __future__ import annotations

import threading
from typing import Final

import pytest

from ledger.store.writer import Commit, Writer
from ledger.v1.fill_pb2 import Fill
from tests.conftest import Ledger
from tests.samples import fill, history

_WAIT_S_MAX: Final = 20


def numbered(first: int, last: int) -> list[Fill]:
    """Return fills whose ids are numbers in a row."""
    return [fill(exec_id=f"E{number}") for number in range(first, last + 1)]


def sequences(ledger: Ledger) -> list[int]:
    """Return the numbers of all fills that are recorded, in the order of time."""
    return [line.sequence for line in history(ledger)]


class Door:
    """Holds every commit until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self._reached = threading.Event()
        commit = Writer.commit

        def held(writer: Writer, what: Commit) -> None:
            self._reached.set()
            assert self.open.wait(_WAIT_S_MAX)
            commit(writer, what)

        monkeypatch.setattr(Writer, "commit", held)

    def wait_for_a_commit(self) -> None:
        """Wait until the first commit is held."""
        assert self._reached.wait(_WAIT_S_MAX)
