"""How little of an account is read for a page, and for sums up to an instant."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from ledger.domain.commands import RegisterSymbol
from ledger.domain.instants import DAY_NS
from ledger.store import fee_streams, reads
from projections.answers import fee_history
from projections.answers.fee_history import FIRST_PLACE, AccountSpan, Place, cell_sums, entries_after, entries_naming
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record

RUNS = 40
STEP_NS = 60 * 10**9
FIRST_NS = NOON_NS - RUNS * STEP_NS


@pytest.fixture
def history(writing: Writing) -> Writing:
    """An account-day of so many runs of three fills, a minute apart; every tenth run has one that comes late."""
    for number in range(RUNS):
        at_ns = FIRST_NS + number * STEP_NS
        late_ns = at_ns - 3 * STEP_NS if number % 10 == 9 else at_ns
        times = (at_ns, at_ns + 1, late_ns)
        rows = ({"exec_id": f"E{number * 3 + place}", "transact_time_ns": time} for place, time in enumerate(times))
        writing.step(record(fills(*rows)))
    return writing


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of the events that are read with all they hold."""
    positions: list[int] = []
    decode = reads.decode

    def noting(position: int, *row: Any) -> Any:
        positions.append(position)
        return decode(position, *row)

    for module in (reads, fee_streams):
        monkeypatch.setattr(module, "decode", noting)
    return positions


def span(writing: Writing, from_ns: int, until_ns: int) -> AccountSpan:
    return AccountSpan("alice", from_ns, until_ns, writing.log.head().position)


def lines(writing: Writing, from_ns: int, until_ns: int) -> int:
    return sum(cell.lines for cell in cell_sums(writing.log, span(writing, from_ns, until_ns)).values())


def test_a_page_reads_the_runs_it_shows_and_hardly_more(history: Writing, decoded: list[int]) -> None:
    every = list(entries_after(history.log, span(history, 0, NOON_NS), FIRST_PLACE))
    assert len(every) == 3 * RUNS
    for first in (0, 1, 2, 58, 115):
        decoded.clear()
        after = every[first - 1].place if first else FIRST_PLACE
        page = list(islice(entries_after(history.log, span(history, 0, NOON_NS), after), 5))
        assert page == every[first : first + 5]
        assert len(decoded) <= 2 + 16


def test_a_page_of_one_line_unpacks_a_step_of_a_long_run(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    writing.step(record(fills(*({"exec_id": f"E{number}"} for number in range(1_000)))))
    unpacked: list[int] = []
    lines_at = fee_history.lines_at
    monkeypatch.setattr(
        fee_history, "lines_at", lambda run, places: unpacked.append(len(places)) or lines_at(run, places)
    )
    after = Place(NOON_NS // DAY_NS, writing.log.head().position, 499)
    (entry,) = islice(entries_after(writing.log, span(writing, 0, NOON_NS + 1), after), 1)
    assert (entry.place.line, entry.line.exec_id) == (500, "E500")  # type: ignore[union-attr]
    assert sum(unpacked) == 128


def test_sums_up_to_an_instant_read_only_the_runs_it_cuts(history: Writing, decoded: list[int]) -> None:
    at_ns = FIRST_NS + 20 * STEP_NS + 1  # behind two of the fills of run 20, before the other; none is late around it
    assert lines(history, 0, at_ns) == 20 * 3 + 2
    assert len(decoded) == 1
    decoded.clear()
    assert lines(history, at_ns, NOON_NS // DAY_NS * DAY_NS + DAY_NS) == 3 * RUNS - 62
    assert len(decoded) == 1


def test_a_late_fill_counts_where_it_was_traded(history: Writing, decoded: list[int]) -> None:
    at_ns = FIRST_NS + 27 * STEP_NS  # runs 27 and 28 came before the late fill of run 29, from minute 26
    assert lines(history, 0, at_ns) == 27 * 3 + 1
    assert len(decoded) == 1


def test_whole_days_are_summed_without_a_run(history: Writing, decoded: list[int]) -> None:
    day_ns = NOON_NS // DAY_NS * DAY_NS
    assert lines(history, day_ns, day_ns + DAY_NS) == 3 * RUNS
    assert lines(history, day_ns + DAY_NS, day_ns + 2 * DAY_NS) == lines(history, 0, day_ns) == 0
    assert decoded == []


def test_sums_of_every_span_are_those_of_its_entries(history: Writing) -> None:
    edges = [FIRST_NS + number * STEP_NS + step for number in (0, 9, 16, 17, 39) for step in (0, 1, 2)]
    for from_ns in edges:
        for until_ns in edges:
            entries = entries_after(history.log, span(history, from_ns, until_ns), FIRST_PLACE)
            assert lines(history, from_ns, until_ns) == sum(1 for _ in entries)


def test_a_fill_is_found_in_its_run_among_ids_that_begin_alike(history: Writing, decoded: list[int]) -> None:
    head = history.log.head().position
    (entry,) = entries_naming(history.log, "alice", NOON_NS // DAY_NS, "E11", head)
    assert entry.line.exec_id == "E11"  # type: ignore[union-attr]
    assert len(decoded) == 1 + 4  # its own, and those of E110 to E119
    assert list(entries_naming(history.log, "alice", NOON_NS // DAY_NS, "E", head)) == []


def test_totals_of_very_many_cells_are_read_where_a_front_does_not_hold_them(
    writing: Writing, decoded: list[int]
) -> None:
    names = [f"S{number:03}" for number in range(150)]
    writing.step(*(ask(RegisterSymbol(name, "XRP", f"Q{name}", 1, 8, 8)) for name in names))
    writing.step(record(fills(*({"exec_id": name, "symbol": name} for name in names))))
    decoded.clear()
    day = NOON_NS // DAY_NS
    (found,) = writing.log.totals_of_account("alice", day, day + 1, 2**62)
    assert [cell.key.quote_currency for cell in found.totals] == [f"Q{name}" for name in names]
    assert decoded == [found.position]
