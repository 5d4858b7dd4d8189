"""Account-days on their way into the tables: lines of COPY, made of what many fill runs have summed up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ledger.domain.events import CellKey
from ledger.domain.state.volume_cells import CREDITS
from ledger.store.codec.totals_read import Totals, totals_of_fronts
from ledger.store.log import LastEvent, Log
from projections.tables.rows import cell_columns, fee_amounts


class DayLines(NamedTuple):
    """Lines for the places in which rows of `fee_days` and `volume_days` wait; fees of each cell by itself.

    `to_sum`: some account-day has several cells with fees in one currency. Nothing in a line has to be escaped:
    accounts, currencies and decimals have neither tabs nor backslashes.
    """

    fees: list[str]
    volume: list[str]
    to_sum: bool


def day_lines(log: Log, lasts: Sequence[LastEvent], names: Sequence[tuple[str, str]]) -> DayLines:
    """Return lines of some account-days by their last events, which are given in order of positions.

    `names` are their accounts and days: [("alice", "2024-10-01")].
    """
    found = log.fronts_at([last.position for last in lasts])
    runs = [place for place, front in enumerate(found) if front is not None]
    totals = totals_of_fronts([front for front in found if front is not None])
    apart = [last.position for last, front in zip(lasts, found, strict=True) if front is None]
    apart += [lasts[runs[place]].position for place in totals.cut]
    lines = _of_runs(["\t".join(names[place]) for place in runs], [lasts[place].position for place in runs], totals)
    for day in log.day_totals_at(apart) if apart else ():
        name = f"{day.account_id}\t{day.day}"
        cells = [cell for cell in day.totals if cell.key != CREDITS]
        lines.volume.extend([_volume_line(name, cell.key, cell.notional, cell.lines, day.position) for cell in cells])
        lines.fees.extend([_fee_line(name, *amounts, day.position) for amounts in fee_amounts(day)])
    return lines._replace(to_sum=lines.to_sum or bool(apart))


def _of_runs(names: list[str], positions: list[int], totals: Totals) -> DayLines:
    def of_runs(column: list[str] | list[int], fronts: list[int]) -> Iterator[Any]:
        return map(column.__getitem__, fronts)

    fees, cells = totals.fees, totals.cells
    return DayLines(
        list(map(_fee_line, of_runs(names, fees.front), *fees[1:], of_runs(positions, fees.front))),
        [
            _volume_line(names[front], key, notional, lines, positions[front])
            for front, key, notional, lines in zip(*cells, strict=True)
            if key != CREDITS
        ],
        to_sum=len(set(zip(fees.front, fees.currency, strict=True))) < len(fees.front),
    )


def _fee_line(name: str, currency: str, charges: str, rebates: str, credits_: str, lines: int, position: int) -> str:
    return f"{name}\t{currency}\t{charges}\t{rebates}\t{credits_}\t{lines}\t{position}\n"


def _volume_line(name: str, key: CellKey, notional: str, lines: int, position: int) -> str:
    return f"{name}\t{_key_text(key)}\t{notional}\t{lines}\t{position}\n"


@lru_cache(maxsize=65_536)
def _key_text(key: CellKey) -> str:
    return "\t".join(map(str, cell_columns(key)))
