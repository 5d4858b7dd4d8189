"""The thread that writes, over a writer and a service that only play their parts."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from ledger.clock import ClockLeapError
from ledger.config import Config
from ledger.domain.refusal import Reason
from ledger.store.postgres.keeper import NoKeeper
from ledger.store.writer import WriterLost
from ledger.writing.messages import EvaluateAccounts, Refused
from ledger.writing.writer_thread import WriterThread
from tests.conftest import Clock


def job() -> Mock:
    return Mock(spec=EvaluateAccounts, assessments=())


def test_where_the_clock_lets_no_other_term_begin_nobody_who_waits_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    deciding, is_queued = threading.Event(), threading.Event()

    def decide(*_: object, **__: object) -> None:
        deciding.set()
        assert is_queued.wait(10)
        raise WriterLost("the connection broke")

    service = Mock(lost=False, on_its_way=False, unsettled=None)
    service.send.side_effect = decide
    terms = Mock(side_effect=[service, *[ClockLeapError("CLOCK_LEAP: the clock is wrong")] * 1_000])
    thread = WriterThread(Config(standby_poll_ms=10), Mock(), terms, Clock().watched(), NoKeeper())
    thread.start()
    try:
        assert thread.wait_until_writing(10)
        lost = thread.submit(job())
        assert deciding.wait(10)
        waiting = thread.submit(job())
        is_queued.set()
        answers = [future.result(10) for future in (lost, waiting)]
    finally:
        thread.stop()
    reasons = [answer.refusal.reason for answer in answers if isinstance(answer, Refused)]
    assert reasons == [Reason.OUTCOME_UNKNOWN, Reason.CLOCK_LEAP]
    assert caplog.text.count("no term begins") == 1
