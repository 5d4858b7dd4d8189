"""Attempts that fail come ever more seldom, and a success begins anew."""

from __future__ import annotations

import random

import pytest

from ledger.writing.backoff import Backoff


@pytest.fixture
def backoff(monkeypatch: pytest.MonkeyPatch) -> Backoff:
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    return Backoff(0.25, 30)


def test_each_wait_is_twice_the_one_before_up_to_the_most(backoff: Backoff) -> None:
    assert [backoff.after(0) for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_what_lasted_longer_than_the_wait_before_it_begins_anew(backoff: Backoff) -> None:
    assert [backoff.after(0), backoff.after(0), backoff.after(0.1)] == [0.25, 0.5, 1]
    assert backoff.after(1.1) == 0.25


def test_chance_takes_up_to_half_of_a_wait() -> None:
    waits = [Backoff(1, 30).after(0) for _ in range(200)]
    assert 0.5 <= min(waits) < 0.6
    assert 0.9 < max(waits) <= 1
