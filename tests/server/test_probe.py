"""The probe tells of a PostgreSQL that does not answer, and of none while this service itself stood still."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import psycopg
import pytest

from ledger.server import probe
from ledger.server.probe import Probe
from ledger.store.postgres.keeper import NoKeeper
from tests.waiting import wait_for


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which the clock of the probe is later."""
    ahead = [0.0]
    monkeypatch.setattr(probe, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0]))
    return ahead


def test_an_answer_counts_however_long_ago_it_came_and_a_question_only_for_a_moment(
    dsn: str, later: list[float]
) -> None:
    over = threading.Event()

    def recovered() -> None:
        over.wait(10)

    with psycopg.connect(dsn, autocommit=True) as connection:
        asking = Probe(lambda: connection, NoKeeper(), recovered)
        assert asking.fault
        question = threading.Thread(target=asking._ask)
        question.start()
        try:
            wait_for(lambda: not asking.fault)
            later[0] = 60
            assert asking.fault == "PostgreSQL does not answer", "it is still at it"
        finally:
            over.set()
            question.join()
        later[0] = 3_600  # as after this service stood still
        assert asking.fault == ""
