"""Sums over columns against sums line by line."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from ledger.domain.events import FeeAdjusted, VolumeRecorded
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import (
    FEE_SCALE,
    NOTIONAL_SCALE,
    CellSum,
    CellSums,
    add_totals,
    cell_key,
    restate,
    subtract,
    to_totals,
)
from ledger.domain.traits import TRAIT_BANNED
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import adjustments, differences, lines_of_differences
from ledger.fills.lines import known_lines, lines_at, lines_of, places_having
from ledger.fills.partial_sums import add_run, restate_lines
from ledger.fills.posted import posted_lines, whole
from ledger.fills.targets import Targets
from tests.domain.worked import NOON_NS, fills, record, recorded, rulebook

SEED = 20_261_124


def run_of(*rows: dict[str, Any]) -> VolumeRecorded:
    _, (run,) = record(fills(*rows), rulebook())
    return run


def random_run(random: Random, *, wide: bool) -> VolumeRecorded:
    quantities = ("1000", "90000000000000000000") if wide else ("0.00000001", "7.5", "123456.78901234")
    return run_of(
        *(
            {
                "exec_id": f"E{number}",
                "transact_time_ns": NOON_NS + random.randrange(50),
                "side": random.randint(1, 2),
                "liquidity": random.randint(1, 2),
                "channel": random.randint(1, 2),
                "price": random.choice(("0.5", "3", "0.00000007")),
                "quantity": random.choice(quantities),
                "counterparty_owner_id": random.choice(("", "alice")),
                "token": random.choice(("", "BMX")),
            }
            for number in range(60)
        )
    )


def line_by_line(run: VolumeRecorded, until_ns: int) -> CellSums:
    sums: CellSums = {}
    for line, terms, basis in known_lines(run):
        if line.transact_time_ns < until_ns:
            cell = sums.setdefault(cell_key(terms, line.traits, basis), CellSum())
            cell.lines += 1
            cell.notional += (
                line.price * line.quantity * 10 ** (NOTIONAL_SCALE - terms.price_scale - terms.quantity_scale)
            )
            fee = line.fee * 10 ** (FEE_SCALE - basis.fee_decimals)
            cell.add_fees(basis.fee_currency, max(fee, 0), min(fee, 0), 1)
    return sums


@pytest.mark.parametrize("wide", [False, True])
def test_sums_over_columns_are_those_of_the_lines_up_to_any_instant(wide: bool) -> None:
    random = Random(SEED)
    run = random_run(random, wide=wide)
    assert run.columns.wide is wide
    for until_ns in range(NOON_NS - 1, NOON_NS + 52):
        sums: CellSums = {}
        add_run(sums, run, until_ns)
        assert to_totals(sums) == to_totals(line_by_line(run, until_ns)), f"seed {SEED}"
    assert to_totals(sums) == run.totals


def test_a_product_that_int64_cannot_hold_is_summed_exactly() -> None:
    run = run_of(*({"exec_id": f"E{n}", "price": "1000", "quantity": decimal_text(10**14 + n, 8)} for n in (1, 2)))
    assert not run.columns.wide
    sums: CellSums = {}
    add_run(sums, run, NOON_NS + 1)
    assert to_totals(sums) == run.totals


def test_a_fill_at_the_instant_itself_is_not_before_it() -> None:
    run = run_of({"exec_id": "E1", "transact_time_ns": NOON_NS}, {"exec_id": "E2", "transact_time_ns": NOON_NS + 1})
    for until_ns, lines in ((NOON_NS, 0), (NOON_NS + 1, 1), (NOON_NS + 2, 2)):
        sums: CellSums = {}
        add_run(sums, run, until_ns)
        assert sum(cell.lines for cell in sums.values()) == lines


def test_what_is_subtracted_leaves_the_rest_and_no_empty_cell() -> None:
    run = random_run(Random(SEED), wide=False)
    for until_ns in range(NOON_NS, NOON_NS + 51, 10):
        whole: CellSums = {}
        add_totals(whole, run.totals)
        subtract(whole, line_by_line(run, until_ns))
        late: CellSums = {}
        for key, cell in line_by_line(run, NOON_NS + 51).items():
            late[key] = cell
        subtract(late, line_by_line(run, until_ns))
        assert to_totals(whole) == to_totals(late)
        assert all(cell.lines and cell.fees for cell in whole.values())
    subtract(whole, whole.copy())
    assert whole == {}


@pytest.mark.parametrize("wide", [False, True])
def test_some_lines_of_a_run_are_those_of_all_its_lines(wide: bool) -> None:
    run = random_run(Random(SEED), wide=wide)
    lines = lines_of(run)
    for traits in (0, 1, 1 << 6, 2 << 2):
        places = places_having(run, traits)
        assert lines_at(run, places) == [lines[place] for place in places]
        assert places.tolist() == [place for place, line in enumerate(lines) if line.traits & traits == traits]
    assert lines_at(run, slice(7, 9)) == lines[7:9]
    assert lines_at(run, places_having(run, 3 << 2)) == []


def random_adjustment(random: Random, *, wide: bool) -> FeeAdjusted:
    """Some lines of a run: their fees grow and shrink, some are banned or in another currency from now on."""
    run = random_run(random, wide=wide)
    lines = posted_lines(list(whole([recorded(run, 5, "fees/alice/2024-10-04")])), [])
    places = np.array(sorted(random.sample(range(len(run)), 40)))
    traits = lines.traits[places] ^ np.array([random.choice((0, TRAIT_BANNED)) for _ in places])
    more = np.array([random.choice((-3, 0, 10**9)) for _ in places])
    other = lines.bases.code(lines.bases.values[0]._replace(fee_currency="EUR", fee_decimals=2))
    basis = np.array([random.choice((code, other)) for code in lines.basis[places].tolist()])
    (event,) = adjustments(AccountDay(), Targets(lines, places, traits, lines.fee[places] + more, basis), ("BAN", 3), 9)
    return event


@pytest.mark.parametrize("wide", [False, True])
def test_lines_that_an_adjustment_restates_are_counted_as_one_by_one_up_to_any_instant(wide: bool) -> None:
    event = random_adjustment(Random(SEED), wide=wide)
    for until_ns in range(NOON_NS - 1, NOON_NS + 52):
        sums: CellSums = {}
        one_by_one: CellSums = {}
        restate_lines(sums, event, until_ns)
        for line in event.lines:
            if line.transact_time_ns < until_ns:
                restate(one_by_one, event, line)
        assert to_totals(sums) == to_totals(one_by_one), f"seed {SEED}"
    assert to_totals(sums) == event.totals


def test_differences_of_some_numbers_are_those_of_all_and_a_line_in_another_currency_has_two() -> None:
    event = random_adjustment(Random(SEED), wide=False)
    every, of_line = differences(event), lines_of_differences(event).tolist()
    assert [event.lines[number] for number in of_line] == [each.line for each in every]
    assert 40 < len(every) < 80
    for number, line in enumerate(event.lines):
        mine = [each for each, of in zip(every, of_line, strict=True) if of == number]
        fees = [(event.bases[each.basis_index], each.fee) for each in (line.before, line.after)]
        amounts = [fee * 10 ** (FEE_SCALE - basis.fee_decimals) for basis, fee in fees]
        if fees[0][0].fee_currency == fees[1][0].fee_currency:
            assert [each.amount for each in mine] == [amounts[1] - amounts[0]]
        else:
            assert [each.amount for each in mine] == [-amounts[0], amounts[1]]
            assert [each.currency for each in mine] == [basis.fee_currency for basis, _ in fees]
    for start in range(len(every)):
        assert differences(event, np.arange(start, len(every), 3)) == every[start::3]
