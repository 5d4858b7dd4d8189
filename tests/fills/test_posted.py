"""Lines as they are posted, as columns: joined from runs of any kind, cut anywhere, with what was adjusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ledger.domain.events import Envelope, FeeAdjusted, Recorded
from ledger.domain.state.account import AccountState
from ledger.fills.account_day import AccountDay, adjusted
from ledger.fills.adjust import adjustments, lines_now
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.fills.posted import PostedLines, Stretch, posted_lines, whole
from ledger.fills.targets import Targets, distinct_rows, sums_by_code
from tests.domain.worked import NOON_NS, fills, record, recorded, rulebook

ROWS: list[list[dict[str, Any]]] = [
    [{"exec_id": "A"}, {"exec_id": "LONGER", "token": "BMX", "token_price": "0.7"}, {"exec_id": "B", "side": 2}],
    [{"exec_id": "C", "quantity": "90000000000000000000000000"}],
    [{"exec_id": "D", "order_time_ns": NOON_NS - 5}, {"exec_id": "E", "price": "3"}],
]


def runs() -> list[Recorded]:
    book = rulebook()
    found = [record(fills(*rows), book, AccountState("alice"))[1][0] for rows in ROWS]
    return [recorded(run, position, "fees/alice/2024-10-04") for position, run in enumerate(found, 5)]


def restated(lines: PostedLines, places: list[int]) -> FeeAdjusted:
    """An adjustment by which some lines cost one unit more."""
    at = np.array(places)
    found = Targets(lines, at, lines.traits[at], lines.fee[at] + 1, lines.basis[at])
    (event,) = adjustments(AccountDay(), found, ("BAN", 3), 20)
    return event


def test_columns_are_those_of_the_lines_one_by_one() -> None:
    log = runs()
    adjustment = restated(posted_lines(list(whole(log)), []), [1, 4])
    log.append(Recorded(21, log[0].stream, 21, Envelope(NOON_NS, NOON_NS, 1), adjustment))
    lines = posted_lines(list(whole(log)), [log[-1]])
    for place, placed in enumerate(lines_now(log).values()):
        line, terms, basis = placed.known
        assert (lines.position[place], lines.line[place], lines.known_at[place]) == (*placed.ref, placed.known_at)
        assert lines.symbols.values[lines.symbol[place]] == terms
        assert lines.bases.values[lines.basis[place]] == basis
        assert lines.exec_id[place].decode() == line.exec_id
        assert (lines.time_ns[place], lines.order_time_ns[place]) == (line.transact_time_ns, line.order_time_ns)
        amounts = (lines.traits[place], lines.price[place], lines.quantity[place], lines.fee[place])
        assert amounts == (line.traits, line.price, line.quantity, line.fee)
        assert lines.payments.values[lines.payment[place]] == (line.token, line.token_price)
        assert lines.currencies.values[lines.currency[place]] == placed.currency
    assert lines.fee.dtype == object, "a run is beyond int64"


@pytest.mark.parametrize(("start", "end"), [(0, 1), (1, 3), (2, 2 + 1)])
def test_a_part_has_the_lines_of_the_whole_that_lie_in_it(start: int, end: int) -> None:
    log = runs()
    every = posted_lines(list(whole(log)), [])
    part = posted_lines([Stretch(log[0], start, end), *whole(log[1:2])], [])
    places = [*range(start, end), 3]
    for name in ("position", "line", "exec_id", "time_ns", "traits", "price", "quantity", "fee"):
        assert getattr(part, name).tolist() == getattr(every, name)[places].tolist(), name


def test_adjusted_lines_are_equal_to_the_same_lines_in_a_tuple() -> None:
    log = runs()
    event = restated(posted_lines(list(whole(log)), []), [0, 3, 5])
    lines = tuple(event.lines)
    assert event.lines == lines
    assert lines == event.lines
    assert (event.lines[1], event.lines[-1], event.lines[:2]) == (lines[1], lines[2], list(lines[:2]))
    assert AdjustedLines.of(lines) == event.lines
    assert hash(AdjustedLines.of(lines)) == hash(event.lines)
    assert [line.after.fee - line.before.fee for line in lines] == [1, 1, 1]
    known = list(lines_now(log).values())[3].known
    assert adjusted(known, event, lines[1]).line.fee == known.line.fee + 1


def test_rows_that_are_the_same_are_found_however_large_their_values_are() -> None:
    large = np.array([2**40, 5, 2**40, 5])
    firsts, kinds = distinct_rows(large, large, large, np.array([1, 0, 1, 1]))
    assert sorted(firsts.tolist()) == [0, 1, 3]
    assert kinds[0] == kinds[2]
    assert len(set(kinds.tolist())) == 3


def test_sums_are_exact() -> None:
    values = np.array([2**62, 2**62, -1, 7])
    assert sums_by_code(np.array([3, 3, 3, 1]), values) == {1: 7, 3: 2**63 - 1}
    assert sums_by_code(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)) == {}
