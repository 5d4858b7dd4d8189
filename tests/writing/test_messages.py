"""An answer to come: whoever asks for it waits until it is there, and no longer than asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.writing.messages import AnswerToCome, Evaluated


def test_everybody_who_waits_gets_the_answer_when_it_comes() -> None:
    coming, answer = AnswerToCome(), Evaluated(7)
    asking = threading.Barrier(4)

    def ask() -> object:
        asking.wait()
        return coming.result(60)

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask) for _ in range(3)]
        asking.wait()
        assert not coming.done()
        coming.set_result(answer)
        assert [each.result() for each in asked] == [answer] * 3
    assert coming.done()
    assert coming.result(0) is answer


def test_who_waits_in_vain_gets_nothing_and_may_ask_again() -> None:
    coming = AnswerToCome()
    assert coming.result(0.001) is None
    coming.set_result(Evaluated(1))
    assert coming.result(0.001) == Evaluated(1)


def test_it_tells_once_that_it_has_come() -> None:
    coming, told = AnswerToCome(), list[bool]()
    coming.when_come = lambda: told.append(coming.done())
    coming.set_result(Evaluated(1))
    assert told == [True]
    with pytest.raises(RuntimeError):  # nobody gets two answers
        coming.set_result(Evaluated(2))
