"""A pool runs every call once, in as many threads as it may have, and says when each has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from ledger.server.call_pool import CallPool
from tests.waiting import wait_for


@pytest.fixture
def pool() -> Iterator[CallPool]:
    pool = CallPool(3, "tried")
    yield pool
    pool.shutdown()
    wait_for(lambda: not threads())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tried")]


def test_so_many_calls_run_at_once_and_the_others_wait_for_a_thread(pool: CallPool) -> None:
    go_on, began = threading.Event(), list[int]()

    def call(number: int) -> None:
        began.append(number)
        go_on.wait(10)

    for number in range(5):
        pool.submit(call, number)
    wait_for(lambda: len(began) == 3)
    assert (pool.held, sorted(threads())) == (5, ["tried_0", "tried_1", "tried_2"])
    go_on.set()
    wait_for(lambda: not pool.held)
    assert sorted(began) == [0, 1, 2, 3, 4]


def test_one_thread_is_enough_for_calls_one_after_the_other(pool: CallPool) -> None:
    for number in range(10):
        pool.submit(lambda: None)
        wait_for(lambda: not pool.held)
        assert threads() == ["tried_0"], number


def test_each_function_is_called_once_at_the_end_whenever_it_is_added(pool: CallPool) -> None:
    told = list[int]()

    def note(number: int, _: object) -> None:
        told.append(number)

    for number in range(0, 4_000, 2):
        ended = pool.submit(lambda: None)
        ended.add_done_callback(partial(note, number))
        ended.add_done_callback(partial(note, number + 1))
    wait_for(lambda: len(told) == 4_000)
    assert sorted(told) == list(range(4_000))


def test_a_defect_ends_the_call_and_not_the_thread(pool: CallPool, caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()

    def fail() -> None:
        raise ValueError("a defect")

    pool.submit(fail).add_done_callback(lambda _: told.set())
    assert told.wait(10)
    wait_for(lambda: not pool.held)
    assert "ValueError: a defect" in caplog.text
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(10)


def test_a_call_waits_for_the_next_one_where_the_system_gives_no_thread(
    pool: CallPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    first, second = threading.Event(), threading.Event()
    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", fail)
        pool.submit(first.set)
    assert "the system gives no more threads: can't start new thread" in caplog.text
    pool.submit(second.set)
    assert first.wait(10)
    assert second.wait(10)
    wait_for(lambda: not pool.held)


def test_a_call_that_steps_aside_lets_another_one_run_and_goes_on_when_a_thread_has_ended(pool: CallPool) -> None:
    others_go_on, back, told = threading.Event(), threading.Event(), list[str]()

    def waits() -> None:
        pool.step_aside()
        back.wait(10)
        pool.come_back(10)
        told.append("is back")

    def works(number: int) -> None:
        told.append(f"other {number}")
        others_go_on.wait(10)

    pool.submit(waits)
    for number in range(4):
        pool.submit(works, number)
    wait_for(lambda: len(told) == 3)  # as many as there are threads, though one more call is under way
    assert (pool.held, len(threads())) == (5, 4)
    back.set()
    others_go_on.set()
    wait_for(lambda: not pool.held)
    assert sorted(told) == ["is back", "other 0", "other 1", "other 2", "other 3"]
    wait_for(lambda: len(threads()) == 3)


def test_a_call_comes_back_at_once_where_a_thread_is_missing_and_late_where_none_ends_in_time(pool: CallPool) -> None:
    go_on, told = threading.Event(), list[str]()

    def waits(wait_s: float) -> None:
        pool.step_aside()
        if wait_s:
            wait_for(lambda: told.count("works") == 3)
        pool.come_back(wait_s)
        told.append("is back")

    pool.submit(waits, 0)
    wait_for(lambda: told == ["is back"])

    def works() -> None:
        told.append("works")
        go_on.wait(10)

    pool.submit(waits, 0.01)
    for _ in range(3):
        pool.submit(works)
    wait_for(lambda: told.count("is back") == 2)
    assert told.count("works") == 3  # who has come back is the fourth, and nobody has ended for it
    go_on.set()
    wait_for(lambda: not pool.held and len(threads()) <= 3)


def test_many_calls_that_step_aside_all_end_and_leave_no_thread_too_many(pool: CallPool) -> None:
    def waits() -> None:
        pool.step_aside()
        pool.come_back(10)

    for _ in range(2_000):
        pool.submit(waits)
    wait_for(lambda: not pool.held)
    wait_for(lambda: len(threads()) <= 3)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(10)
