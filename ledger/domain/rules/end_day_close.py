"""R17: volume in another currency counts at the daily end-day close; a close that is missing is never taken as zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ledger.domain.events import CellKey
from ledger.domain.instants import DAY_NS
from ledger.domain.state.programme import Programme

CLOSE_SCALE: Final = 18  # decimals of a close

Close = tuple[str, int]  # (asset, UTC day since 1970)


@dataclass(frozen=True, slots=True)
class Valued:
    """The counted volume of a window with 36 decimals of the volume currency, and the closes it rests on."""

    volume: int
    closes: Mapping[Close, int]


@dataclass(frozen=True, slots=True)
class Missing:
    """The closes that counted volume needs and nobody has recorded yet, ascending by day: the evaluation waits."""

    closes: tuple[Close, ...]


def close_day(programme: Programme, *, fill_day: int, evaluation_ns: int) -> int:
    """Return the UTC day whose close values a fill (A12): its own, or the last one that ended by the evaluation.

    Its own day may not be over when the window ends: then the last close before it counts, or the evaluation waits
    for the close of the day itself (A30).
    """
    last_ended = evaluation_ns // DAY_NS - 1
    if programme.close_day == "evaluation_day":
        return last_ended
    return min(fill_day, last_ended) if programme.partial_day_close == "previous" else fill_day


def valued(notional: int, close_price: int) -> int:
    """Multiply volume with 36 decimals by a close with 18; digits after the 36th decimal are cut."""
    return notional * close_price // 10**CLOSE_SCALE


def value_cells(
    programme: Programme,
    cells_by_day: Mapping[int, Mapping[CellKey, int]],
    closes: Mapping[Close, int],
    evaluation_ns: int,
    excluded: Callable[[CellKey, Programme], str],
) -> Valued | Missing:
    """Sum the counted volume of a window, from the notional (36 decimals) of each UTC day and cell.

    `closes` are prices in the volume currency with 18 decimals; `excluded` is the rule that says what counts
    (`excluded_because`). A cell that is there needs its close, even where corrections have brought it to 0.
    """
    total, used, missing = 0, dict[Close, int](), set[Close]()
    for fill_day, cells in cells_by_day.items():
        day = close_day(programme, fill_day=fill_day, evaluation_ns=evaluation_ns)
        for key, notional in cells.items():
            if excluded(key, programme):
                continue
            close = (key.quote_currency, day)
            if key.quote_currency == programme.volume_currency:
                total += notional * 10**CLOSE_SCALE
            elif close in closes:
                used[close] = closes[close]
                total += notional * closes[close]
            else:
                missing.add(close)
    if missing:
        return Missing(tuple(sorted(missing, key=lambda close: (close[1], close[0]))))
    return Valued(total // 10**CLOSE_SCALE, dict(sorted(used.items())))
