"""A thread that beats, also while PostgreSQL is not reached."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest
from eventsourcing.persistence import PersistenceError

from ledger.store.writer import WriterLost
from ledger.writing.pulse import Pulse


@pytest.mark.parametrize("error", [WriterLost, PersistenceError])
def test_beats_that_fail_are_followed_by_others_and_told_seldom(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    beats, enough = Mock(side_effect=error("it is gone")), threading.Event()
    lost = Mock(side_effect=lambda: enough.set() if beats.call_count >= 5 else None)
    pulse = Pulse("pulse", 1, beats, lost)
    pulse.start()
    try:
        assert enough.wait(10)
    finally:
        pulse.stop()
    assert caplog.text.count("pulse: PostgreSQL is not reached: it is gone") == 1
