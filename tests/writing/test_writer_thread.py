"""The thread that writes, over a writer and a service that only play their parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from ledger.caller import Caller
from ledger.clock import ClockLeapError
from ledger.config import Config
from ledger.domain.refusal import Reason, Refusal
from ledger.store.postgres.keeper import NoKeeper
from ledger.store.writer import WriterLost
from ledger.writing.messages import AnswerToCome, EvaluateAccounts, Refused, UnreadFills
from ledger.writing.queue import FairQueue
from ledger.writing.writer_thread import WriterThread
from tests.conftest import Clock
from tests.waiting import wait_for

REFUSED = Refused(Refusal(Reason.BATCH_EMPTY, "fills", "nothing to record"))


def job() -> Mock:
    return Mock(spec=EvaluateAccounts, accounts=0)


def test_where_the_clock_lets_no_other_term_begin_nobody_who_waits_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    deciding, is_queued = threading.Event(), threading.Event()

    def decide(*_: object, **__: object) -> None:
        deciding.set()
        assert is_queued.wait(10)
        raise WriterLost("the connection broke")

    service = Mock(pipeline=Mock(is_lost=False, is_storing=False, in_flight=None))
    service.send.side_effect = decide
    terms = Mock(side_effect=[service, *[ClockLeapError("CLOCK_LEAP: the clock is wrong")] * 1_000])
    thread = WriterThread(Config(standby_poll_ms=10), Mock(), terms, Clock().watched(), NoKeeper())
    thread.start()
    try:
        assert thread.wait_for_first_attempt(10)
        assert thread.writing
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


def test_who_has_stood_by_waits_no_longer_after_a_failure_than_who_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, waited = list[float](), threading.Event()

    def pause(_: object, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) >= 7:
            waited.wait()

    monkeypatch.setattr(WriterThread, "_pause", pause)
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    failed = WriterLost("the network is gone")
    writer = Mock(take=Mock(side_effect=[failed, failed, failed, failed, False, failed, False, *[False] * 100]))
    thread = WriterThread(Config(standby_poll_ms=100), writer, Mock(), Clock().watched(), NoKeeper())
    thread.start()
    wait_for(lambda: len(waits) >= 7)
    threading.Thread(target=thread.stop).start()
    waited.set()
    assert waits[:7] == [0.1, 0.2, 0.4, 0.8, 0.1, 0.1, 0.1]


def test_commands_pay_for_what_each_alone_restated_and_for_nothing_where_none_was_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charged = list[int]()
    monkeypatch.setattr(FairQueue, "charge", lambda _, line, fills: charged.append(fills // 12))
    service = Mock(lines_restated=9, snapshots_damaged=0)

    def decide(jobs: list[Mock], *_: object, **__: object) -> None:
        if len(jobs) > 1:
            raise ValueError("a defect that one of them triggers")
        service.lines_restated = jobs[0].lines

    service.send.side_effect = decide
    clock = Clock()
    thread = WriterThread(Config(), Mock(), Mock(), clock.watched(), NoKeeper())
    jobs, futures = [Mock(spec=EvaluateAccounts, lines=lines) for lines in (3, 4)], [Mock(spec=AnswerToCome)] * 2
    thread._send(service, jobs, futures)
    assert charged == [3, 4]
    clock.leap(3_600 * 10**9)
    thread._send(service, jobs, futures)
    assert charged == [3, 4], "the clock was wrong, so none was decided"


class Endless:
    """What has every commit wait for more fills, for as long as nothing else ends that."""

    def came(self, fills: int, now_s: float) -> None:
        pass

    def wait_s(self, oldest_s: float, now_s: float) -> float:
        return 60.0


def streamed(size: int = 1, *, hurries: bool = False) -> UnreadFills:
    """A request of fills, which is refused once it is read."""
    return UnreadFills(size, "source a", None, lambda unread: [REFUSED] * len(unread), Caller(), hurries)


@pytest.fixture
def gathering() -> Iterator[WriterThread]:
    """A thread that gathers fills for its first commit, of 1,000 at most; one fill waits."""
    pipeline = Mock(is_lost=False, is_storing=False, in_flight=None)
    service = Mock(pipeline=pipeline, lines_restated=0, snapshots_damaged=0)
    thread = WriterThread(Config(commit_fills_max=1_000), Mock(), lambda: service, Clock().watched(), NoKeeper())
    thread._gathering = Endless()  # type: ignore[assignment]
    thread.start()
    try:
        assert thread.wait_for_first_attempt(10)
        yield thread
    finally:
        thread.stop()


def gathers(thread: WriterThread) -> AnswerToCome:
    """Have one fill wait for others, and return its answer to come."""
    waiting = thread.submit(streamed())
    wait_for(lambda: thread._is_gathering)
    assert not waiting.done()
    return waiting


def test_fills_of_streams_wait_for_more_until_somebody_waits_alone(gathering: WriterThread) -> None:
    waiting, more = gathers(gathering), gathering.submit(streamed(998))
    assert gathering._is_gathering
    alone = gathering.submit(streamed(hurries=True))
    assert [future.result(10) for future in (waiting, more, alone)] == [REFUSED] * 3
    assert gathers(gathering), "none that hurries is left"


def test_fills_wait_no_longer_than_for_a_commit_s_worth(gathering: WriterThread) -> None:
    waiting, more = gathers(gathering), gathering.submit(streamed(999))
    assert [waiting.result(10), more.result(10)] == [REFUSED] * 2


def test_a_command_never_waits_for_more_fills(gathering: WriterThread) -> None:
    waiting = gathers(gathering)
    gathering.submit(job())
    assert waiting.result(10) == REFUSED


def test_who_stops_decides_what_waits_at_once(gathering: WriterThread) -> None:
    waiting = gathers(gathering)
    gathering.stop()
    assert waiting.result(0) == REFUSED
