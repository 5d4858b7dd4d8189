"""How long a commit waits for more fills: what came and when is told, no clock runs."""

from __future__ import annotations

from ledger.writing.gathering import Gathering


def streaming(
    gathering: Gathering, fills: int, *, from_s: float = 0.0, for_s: float = 1.0, each_s: float = 0.01
) -> float:
    """Have requests of so many fills come, one after the other; return when the last one did."""
    times = [from_s + number * each_s for number in range(round(for_s / each_s) + 1)]
    for now_s in times:
        gathering.came(fills, now_s)
    return times[-1]


def test_who_sends_little_never_waits() -> None:
    gathering = Gathering(100, 2_000)
    now_s = streaming(gathering, 19)
    assert gathering.wait_s(0.0, now_s) == 0
    gathering.came(1, now_s + 10)
    assert gathering.wait_s(0.0, now_s + 10) == 0


def test_while_as_many_fills_come_as_are_asked_for_a_commit_waits() -> None:
    gathering = Gathering(100, 2_000)
    now_s = streaming(gathering, 20)
    assert 0 < gathering.wait_s(0.0, now_s) <= 0.1


def test_it_waits_until_the_oldest_job_has_waited_for_so_long() -> None:
    gathering = Gathering(100, 2_000)
    now_s = streaming(gathering, 50)
    assert round(gathering.wait_s(0.09, now_s), 9) == 0.01
    assert gathering.wait_s(0.1, now_s) == 0
    assert gathering.wait_s(3.0, now_s) == 0


def is_quiet(gathering: Gathering, now_s: float) -> bool:
    """Whether a commit waits now, and goes on when nothing came for a quarter of 100 ms."""
    waits = gathering.wait_s(0.0, now_s) > 0
    return waits and 0 < gathering.wait_s(0.02, now_s + 0.02) <= 0.01 and gathering.wait_s(0.03, now_s + 0.03) == 0


def test_it_goes_on_soon_when_nothing_comes_and_is_tried_again_with_the_next_commit() -> None:
    gathering = Gathering(100, 2_000)
    now_s = streaming(gathering, 50)
    assert is_quiet(gathering, now_s)
    now_s = streaming(gathering, 50, from_s=now_s + 0.04, for_s=0.1)
    assert gathering.wait_s(0.1, now_s) == 0, "fills came for as long as it waited"
    assert is_quiet(gathering, now_s)


def test_where_nothing_came_three_times_it_is_not_tried_again_for_longer_and_longer() -> None:
    gathering, pauses = Gathering(100, 2_000), list[float]()
    now_s = streaming(gathering, 50)
    for _ in range(8):
        began_s = now_s
        while not gathering.wait_s(0.0, now_s):
            now_s = streaming(gathering, 50, from_s=now_s + 0.01, for_s=0.25)
        pauses.append(now_s - began_s)
        for _ in range(3):
            assert is_quiet(gathering, now_s)
            now_s = streaming(gathering, 50, from_s=now_s + 0.03, for_s=0.0)
    assert pauses[0] == 0
    wanted = (0.5, 1, 2, 4, 8, 16, 16)
    assert all(0.8 <= pause / least <= 1.6 for pause, least in zip(pauses[1:], wanted, strict=True)), pauses


def test_a_commit_that_never_gathers_is_one_of_no_wait() -> None:
    gathering = Gathering(0, 1)
    assert gathering.wait_s(0.0, streaming(gathering, 10_000)) == 0
