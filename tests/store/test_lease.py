"""How long a process may speak for the present."""

from __future__ import annotations

from ledger.store.lease import Lease, boot_ns

MS = 1_000_000


class Clock:
    """A boot clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


def test_it_runs_from_before_the_round_trip_and_ends_by_itself() -> None:
    clock = Clock()
    lease = Lease(1_000, clock)
    assert not lease.runs
    began_ns = clock.now_ns
    clock.now_ns += 400 * MS  # the commit took so long
    lease.begin(began_ns)
    clock.now_ns = began_ns + 1_000 * MS - 1
    assert lease.runs
    clock.now_ns += 1
    assert not lease.runs


def test_a_renewal_prolongs_it_and_an_older_one_never_shortens_it() -> None:
    clock = Clock()
    lease = Lease(1_000, clock)
    lease.begin(clock.now_ns)
    lease.renew(clock.now_ns + 500 * MS)
    lease.renew(clock.now_ns + 200 * MS)
    clock.now_ns += 1_500 * MS - 1
    assert lease.runs
    clock.now_ns += 1
    assert not lease.runs


def test_before_the_first_commit_of_a_term_and_after_its_end_nothing_renews_it() -> None:
    clock = Clock()
    lease = Lease(1_000, clock)
    lease.renew(clock.now_ns)
    assert not lease.runs
    lease.begin(clock.now_ns)
    lease.end()
    lease.renew(clock.now_ns)
    assert not lease.runs


def test_it_does_not_run_while_a_commit_is_on_its_way_nor_after_that_was_lost() -> None:
    clock = Clock()
    lease = Lease(1_000, clock)
    lease.begin(clock.now_ns)
    lease.suspend()
    assert not lease.runs
    lease.renew(clock.now_ns)
    assert not lease.runs
    lease.resume()
    assert lease.runs


def test_the_boot_clock_goes_on() -> None:
    assert 0 < boot_ns() <= boot_ns()
