"""Who waits for the writer takes turns: what is taken in which order, and who finds room."""

from __future__ import annotations

import pytest

from ledger.writing.queue import FairQueue


def queue_of(fills_max: int = 200_000, **lines: list[int]) -> FairQueue[str]:
    """A queue with jobs `a0`, `a1` ... for each line `a`, with so many fills."""
    queue: FairQueue[str] = FairQueue(fills_max)
    for line, sizes in lines.items():
        for number, fills in enumerate(sizes):
            queue.add(line, f"{line}{number}", fills)
    return queue


def test_one_line_alone_is_taken_in_order_up_to_a_commit() -> None:
    queue = queue_of(a=[1_000] * 5)
    assert not queue.is_shared
    assert queue.take(3_500) == ["a0", "a1", "a2"]
    assert queue.take(3_500) == ["a3", "a4"]
    assert queue.take(3_500) == []
    assert (queue.fills, len(queue)) == (0, 0)


def test_lines_take_turns_and_each_keeps_its_order() -> None:
    queue = queue_of(a=[1_000] * 4, b=[500] * 4, c=[2_000] * 2)
    assert queue.is_shared
    assert queue.take(50_000) == ["a0", "b0", "b1", "a1", "b2", "b3", "c0", "a2", "a3", "c1"]


def test_a_line_for_which_nobody_waits_makes_no_commit_smaller() -> None:
    queue: FairQueue[str] = FairQueue(200_000, patient=("aside",))
    for line in ("aside", "a"):
        queue.add(line, line, 1)
    assert not queue.is_shared
    queue.add("b", "b", 1)
    assert queue.is_shared
    assert queue.take(10) == ["aside", "a", "b"]


def test_over_many_commits_lines_have_the_same_share_whatever_the_size_of_their_jobs() -> None:
    queue = queue_of(a=[1_000] * 100, b=[10_000] * 10, c=[400] * 250)
    fills = {"a": 1_000, "b": 10_000, "c": 400}
    taken = dict.fromkeys(fills, 0)
    for _ in range(10):
        for job in queue.take(16_000):
            taken[job[0]] += fills[job[0]]
    assert all(abs(share - sum(taken.values()) / 3) <= 11_000 for share in taken.values()), taken


def test_one_fill_is_in_the_next_commit_whatever_others_have_sent() -> None:
    queue = queue_of(**{f"s{number}": [1_000] * 12 for number in range(16)})
    queue.take(2_000)
    queue.add("single", "single", 1)
    assert "single" in queue.take(2_000)


def test_a_job_greater_than_a_commit_is_taken_alone() -> None:
    queue = queue_of(a=[10_000, 10_000])
    assert queue.take(500) == ["a0"]
    assert queue.take(500) == ["a1"]


def test_many_who_send_a_little_again_and_again_do_not_starve_a_stream() -> None:
    queue = queue_of(stream=[1_000] * 10)
    found: list[str] = []
    for number in range(20):
        for caller in range(10):
            queue.add(f"caller{caller}", f"caller{caller}-{number}", 200)
        found += queue.take(2_000)
    assert [job for job in found if job.startswith("stream")] == [f"stream{number}" for number in range(10)]


def test_a_line_alone_may_hold_half_of_the_queue_and_the_next_one_finds_room() -> None:
    queue = queue_of(100_000)
    for line in "abcde":
        held = 0
        while queue.has_room(line, 1_000):
            queue.add(line, line, 1_000)
            held += 1
        assert held > 0
        if line == "a":
            assert 45 <= held <= 50
    assert queue.has_room("single", 1)
    assert queue.fills < 100_000


@pytest.mark.parametrize(("fills", "found"), [(2, True), (3, False)])
def test_a_few_fills_find_room_until_the_queue_is_full(fills: int, found: bool) -> None:
    assert queue_of(10, a=[4, 4]).has_room("b", fills) is found


def test_an_empty_queue_takes_a_job_of_any_size() -> None:
    assert queue_of(10).has_room("a", 10_000)


def test_all_that_waits_can_be_dropped() -> None:
    queue = queue_of(a=[1_000, 1_000], b=[1])
    assert sorted(queue.clear()) == ["a0", "a1", "b0"]
    assert (queue.take(9), queue.fills, len(queue), queue.is_shared) == ([], 0, 0, False)


def test_the_oldest_job_tells_how_long_it_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    queue = queue_of(a=[1_000])
    now_s = 103.0
    queue.add("b", "b0", 2_000)
    assert queue.oldest_s == 3
    assert queue.take(1_000) == ["a0"]
    now_s = 104.0
    assert queue.oldest_s == 1
    queue.clear()
    assert queue.oldest_s == 0


def test_a_line_that_is_charged_waits_until_the_others_have_had_as_much() -> None:
    queue = queue_of(commands=[1], stream=[1_000] * 30)
    assert queue.take(3_000) == ["commands0", "stream0", "stream1"]
    queue.charge("commands", 8_000)
    for number in (1, 2, 3):
        queue.add("commands", f"commands{number}", 1)
    assert queue.take(5_000) == [f"stream{number}" for number in range(2, 7)]
    queue.charge("commands", 1_000)
    taken = queue.take(20_000)
    assert taken.index("commands1") == 5, "9,000 fills of others after what it was charged for"
    assert taken[5:8] == ["commands1", "commands2", "commands3"], "it owes no more"


def test_a_line_that_is_charged_waits_for_nobody_where_it_is_alone() -> None:
    queue = queue_of(commands=[1])
    for number in range(1, 4):
        assert queue.take(16_000) == [f"commands{number - 1}"]
        queue.charge("commands", 100_000)
        queue.add("commands", f"commands{number}", 1)
