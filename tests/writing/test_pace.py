"""How many fills a commit takes follows from how long the last ones took."""

from __future__ import annotations

from ledger.writing.pace import Pace


def test_a_term_begins_with_little_and_goes_on_with_all_it_may_take() -> None:
    pace = Pace(50_000, 16_000)
    taken = []
    for _ in range(5):
        taken.append(pace.fills)
        pace.took(0.5)
    assert taken == [5_000, 10_000, 20_000, 40_000, 50_000]


def test_a_term_whose_commits_are_short_takes_all_it_may_at_the_third() -> None:
    pace = Pace(50_000, 16_000)
    taken = []
    for _ in range(3):
        taken.append(pace.fills)
        pace.took(0.1)
    assert taken == [5_000, 40_000, 50_000]


def test_commits_that_take_long_take_less_but_never_nothing() -> None:
    pace = Pace(50_000, 16_000)
    for _ in range(20):
        pace.took(5.0)
    assert pace.fills == 500
    assert Pace(100, 16_000).fills == 100
